//! Graphics devices in the plan: which driver the installed system will have for each, and whether it encodes videos.

use aegis_hw::{
    Tree,
    gpu::{self, Encoder, Gpu, Names, PCI_IDS, drivers},
    text::Shown,
};

/// One line for each device, by the packages that the system will have.
pub fn lines(gpus: &[Gpu], packages: &[String]) -> Vec<String> {
    gpus.iter().map(|gpu| format!("{}: {}", name(gpu), driver(gpu, packages))).collect()
}

/// The lines for a machine, by the table alone: its drivers are not those of the system that will be installed. A machine
/// whose devices cannot be listed has none; that is no reason against an installation.
pub fn of_machine(tree: &Tree, packages: &[String]) -> Vec<String> {
    let names = Names::read(tree, PCI_IDS).unwrap_or_default();
    lines(&gpu::gpus(tree, &names).unwrap_or_default(), packages)
}

/// The name of the product where pci.ids has it in brackets, else that of the chip.
fn name(gpu: &Gpu) -> String {
    let product = gpu.name.as_deref().and_then(|name| name.split_once('[')?.1.strip_suffix(']'));
    let chip = gpu.chip.as_ref().map(|chip| chip.chip.as_str());
    match product.or(chip).or(gpu.name.as_deref()) {
        Some(name) => Shown(name).to_string(),
        None => format!("{:04x}:{:04x}", gpu.vendor, gpu.device),
    }
}

fn driver(gpu: &Gpu, packages: &[String]) -> String {
    let Some(chip) = &gpu.chip else { return "not in the table of graphics devices".into() };
    let driver = drivers::driver(chip, packages);
    let module = driver.as_ref().map_or("the firmware's frame buffer", |driver| driver.module);
    let encoder = match (&gpu.encoder.state, &driver) {
        (Encoder::None | Encoder::Disabled, _) => ", no video encoder",
        (Encoder::Unknown, _) => "",
        (_, Some(driver)) if driver.encodes => ", encodes videos",
        _ => ", video encoder not used",
    };
    format!("{module}{encoder}")
}
