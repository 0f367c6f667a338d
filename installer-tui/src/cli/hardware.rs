//! `aegis-installer hardware`: the machine, its graphics devices, and which videos they encode.

use std::{path::PathBuf, time::Duration};

use aegis_hw::{
    Tree,
    gpu::{
        self, Encoder, Gpu, Names, PCI_IDS,
        answer::Source,
        ask::{self, Asker, Question},
    },
    text::Shown,
};
use clap::ValueEnum;
use serde_json::json;

use super::{PathArgs, lines, machine, page::Page};
use crate::{error::Error, select};

#[derive(Debug, clap::Args)]
pub(super) struct HardwareArgs {
    /// Leaves out devices without a video encoder.
    #[arg(long)]
    encoders: bool,

    /// Prints JSON.
    #[arg(long)]
    json: bool,

    /// Records this machine in a new file, for --sysroot.
    ///
    /// Serial numbers, identifiers, addresses and names of people are replaced by others.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["encoders", "json"])]
    save: Option<PathBuf>,

    /// File with the names of PCI devices.
    #[arg(long, value_name = "FILE", default_value = PCI_IDS)]
    pci_ids: String,

    /// Whether the drivers are asked.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    drivers: Drivers,

    /// Seconds that a driver may take to answer.
    #[arg(long, value_name = "SECONDS", default_value_t = Asker::LIMIT.as_secs())]
    limit: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Drivers {
    /// When the machine is the one that this program runs on.
    Auto,
    /// Also when another directory is in place of /sys.
    Always,
    /// The table is all that is used.
    Never,
}

/// The command that asks a driver in a process of its own.
pub(crate) const ASK_DRIVER: &str = "ask-driver";

pub(super) fn run(paths: &PathArgs, args: &HardwareArgs) -> Result<(), Error> {
    let roots = paths.roots();
    if args.save.is_some() {
        paths.writable("record a machine")?;
    }
    let tree = if args.save.is_some() { Tree::recorder(roots.clone()) } else { paths.tree()? };
    let mut gpus = graphics(&tree, args, paths.is_this_machine())?;
    if args.encoders {
        gpus.retain(|gpu| gpu.encoder.state != Encoder::None);
    }
    let (machine, inventory, usb) = machine::read(&tree)?;
    if let Some(file) = &args.save {
        select::medium_disks(&tree, &paths.state)?;
        return machine::save(&tree, &roots, &args.pci_ids, file);
    }
    if args.json {
        let mut all = json!({ "gpus": gpus });
        if !args.encoders {
            all["machine"] = json!(machine);
            all["usb"] = json!(usb);
            all["storage"] = json!(inventory);
        }
        lines::out(&format!("{all:#}\n"));
        return Ok(());
    }
    let mut page = Page::default();
    if !args.encoders {
        machine::describe(&mut page, &machine, &inventory, &usb);
        page.gap();
    }
    if gpus.is_empty() {
        page.line(if args.encoders { "no video encoders" } else { "no graphics devices" });
    }
    for text in gpus.iter().map(describe) {
        for line in text.lines() {
            // What follows the address, or the indentation, goes on below itself.
            let words = line.split_once("  ").map_or(line, |(_, words)| words.trim_start());
            page.wrapped(&line[..line.len() - words.len()], words);
        }
    }
    lines::out(&page.into_text());
    Ok(())
}

/// The graphics devices, and what their drivers say.
fn graphics(tree: &Tree, args: &HardwareArgs, this_machine: bool) -> Result<Vec<Gpu>, Error> {
    let names = Names::read(tree, &args.pci_ids)?;
    let mut gpus = gpu::gpus(tree, &names)?;
    let asks = match args.drivers {
        Drivers::Auto => this_machine || tree.is_recorded(),
        Drivers::Always => true,
        Drivers::Never => false,
    };
    if asks {
        let limit = Duration::from_secs(args.limit);
        ask::ask_drivers(&mut gpus, tree, &Asker { limit, ..Asker::this_program(ASK_DRIVER) });
    }
    Ok(gpus)
}

/// The arguments that [`Question::to_arguments`] makes.
#[derive(Debug, clap::Args)]
pub(super) struct QuestionArgs {
    /// Who is asked.
    #[arg(value_parser = parse_source)]
    source: Source,
    /// Address of the device on the PCI bus.
    address: String,
    /// The kernel's driver that is bound to it.
    driver: String,
    /// Its render node.
    node: Option<PathBuf>,
}

fn parse_source(text: &str) -> Result<Source, String> {
    Source::parse(text).ok_or_else(|| "no such source".into())
}

/// The other end of a question: what this prints is the answer.
pub(super) fn answer(question: &QuestionArgs) {
    let QuestionArgs { source, address, driver, node } = question;
    let (address, driver, node) = (address.clone(), driver.clone(), node.clone());
    lines::out(&ask::answer(&Question { source: *source, address, driver, node }));
}

/// What is known of a device, and from where.
fn describe(gpu: &Gpu) -> String {
    let Gpu { address, vendor, device, name, chip, encoder, .. } = gpu;
    let ids = format!("{vendor:04x}:{device:04x}");
    let name = name.as_ref().map_or_else(|| ids.clone(), |name| format!("{} [{ids}]", Shown(name)));
    let mut text = format!("{}  {name}\n    driver {}\n", Shown(address), driver(gpu));
    if let Some(chip) = chip {
        let (name, generation, best) = (&chip.chip, &chip.generation, &chip.driver);
        text.push_str(&format!("    chip {name}, {generation}; best driver: {best}\n"));
    }
    text.push_str(&format!("    {}, {}", encoder.state, encoder.evidence));
    if !encoder.codecs.is_empty() {
        let codecs: Vec<String> = encoder.codecs.iter().map(|codec| Shown(&codec.name).to_string()).collect();
        let engines = encoder.engines.as_deref().unwrap_or("?");
        text.push_str(&format!("; {} encode {}", Shown(engines), codecs.join(", ")));
    }
    text.push('\n');
    if let Some(sessions) = &gpu.sessions {
        text.push_str(&format!("    {sessions}\n"));
    }
    for disagreement in &encoder.disagreements {
        text.push_str(&format!("    {disagreement}\n"));
    }
    for asked in &gpu.asked {
        if let Some(failure) = &asked.failure {
            text.push_str(&format!("    {} was asked: {failure}\n", asked.source));
        }
    }
    text
}

/// The driver that is bound, its version, and the memory that it tells of.
fn driver(gpu: &Gpu) -> String {
    let Some(name) = &gpu.driver else { return "none".into() };
    let mut text = Shown(name).to_string();
    if let Some(version) = &gpu.driver_version {
        text.push_str(&format!(" {}", Shown(version)));
    }
    let memory = gpu.asked.iter().find_map(|asked| asked.answer.as_ref()?.memory);
    if let Some(memory) = memory {
        text.push_str(&format!(", memory {memory}"));
    }
    text
}
