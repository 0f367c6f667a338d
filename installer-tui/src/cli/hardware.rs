//! `aegis-installer hardware`: the graphics devices of this machine, and which videos they encode.

use aegis_hw::{
    Tree,
    gpu::{self, Gpu, Names, PCI_IDS},
    text::Shown,
};

use super::lines;
use crate::error::Error;

#[derive(Debug, clap::Args)]
pub(super) struct HardwareArgs {
    /// Leaves out devices without a video encoder.
    #[arg(long)]
    encoders: bool,

    /// Prints JSON.
    #[arg(long)]
    json: bool,

    /// File with the names of PCI devices.
    #[arg(long, value_name = "FILE", default_value = PCI_IDS)]
    pci_ids: String,
}

pub(super) fn run(tree: &Tree, args: &HardwareArgs) -> Result<(), Error> {
    let names = Names::read(tree, &args.pci_ids)?;
    let mut gpus = gpu::gpus(tree, &names)?;
    if args.encoders {
        gpus.retain(|gpu| gpu.encoder != gpu::Encoder::None);
    }
    if args.json {
        lines::out(&format!("{:#}\n", serde_json::json!({ "evidence": "table", "gpus": gpus })));
        return Ok(());
    }
    if gpus.is_empty() {
        lines::out(if args.encoders { "no video encoders\n" } else { "no graphics devices\n" });
    }
    gpus.iter().for_each(|gpu| lines::out(&describe(gpu)));
    Ok(())
}

/// What is known of a device, and from where.
fn describe(gpu: &Gpu) -> String {
    let Gpu { address, vendor, device, name, driver, chip, encoder, .. } = gpu;
    let ids = format!("{vendor:04x}:{device:04x}");
    let name = name.as_ref().map_or_else(|| ids.clone(), |name| format!("{} [{ids}]", Shown(name)));
    let driver = driver.as_ref().map_or("none".into(), |driver| Shown(driver).to_string());
    let mut text = format!("{}  {name}\n    driver {driver}\n", Shown(address));
    if let Some(chip) = chip {
        text.push_str(&format!(
            "    chip {}, {}; best driver: {}\n",
            chip.chip, chip.generation, chip.driver
        ));
    }
    text.push_str(&format!("    {encoder}, by table"));
    if let Some(chip) = chip.as_ref().filter(|chip| !chip.codecs.is_empty()) {
        text.push_str(&format!("; {} encode {}", chip.encoders, chip.codecs.join(", ")));
    }
    text.push('\n');
    text
}
