//! `aegis-installer devices`: the disks, what is on them, and the reasons against using them; once or for as long as they
//! change.

#[cfg(target_os = "linux")]
mod watch;

use std::collections::BTreeSet;

use aegis_hw::{
    Bytes,
    inventory::{Disk, Inventory, Kind, Partition, Volume},
    text::Shown,
};
use serde_json::{Value, json};

use super::{
    PathArgs, lines,
    page::{Page, column, shown},
};
use crate::{error::Error, select};

#[derive(Debug, clap::Args)]
pub(super) struct DevicesArgs {
    /// Prints JSON: one object, or with --watch one a line.
    #[arg(long)]
    json: bool,

    /// Goes on with a line for each disk that comes, goes or changes.
    ///
    /// Ends with Ctrl-C, or when nobody reads any more.
    #[cfg(target_os = "linux")]
    #[arg(long)]
    watch: bool,

    /// Bytes of events that may wait to be read while watching.
    ///
    /// Events that do not fit are lost; every disk is then looked at again.
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "BYTES", requires = "watch", default_value_t = aegis_hw::uevents::RECEIVE_BUFFER)]
    receive_buffer: usize,
}

/// A disk with what was found out about it, for people and machines.
struct Entry<'a> {
    disk: &'a Disk,
    /// Names of the disks that the running system came from.
    medium: &'a BTreeSet<String>,
}

impl Entry<'_> {
    fn json(&self) -> Value {
        let Self { disk, medium } = self;
        json!({ "disk": disk, "confirm": disk.confirm_token(), "refused": disk.refusals(*medium, Bytes(0)) })
    }

    #[cfg(target_os = "linux")]
    fn text(&self) -> String {
        let mut page = Page::default();
        disk(&mut page, self.disk, self.medium);
        page.into_text()
    }
}

pub(super) fn run(paths: &PathArgs, args: &DevicesArgs) -> Result<(), Error> {
    let tree = paths.tree()?;
    let medium = select::medium_disks(&tree, &paths.state)?;
    #[cfg(target_os = "linux")]
    if args.watch {
        return watch::run(&tree, &medium, args);
    }
    let inventory = Inventory::read(&tree)?;
    lines::out(&if args.json { as_json(&inventory, &medium) } else { as_text(&inventory, &medium) });
    Ok(())
}

fn as_json(inventory: &Inventory, medium: &BTreeSet<String>) -> String {
    let Inventory { disks, volumes, systems, warnings } = inventory;
    let disks: Vec<Value> = disks.iter().map(|disk| Entry { disk, medium }.json()).collect();
    let all = json!({ "disks": disks, "volumes": volumes, "systems": systems, "warnings": warnings });
    format!("{all:#}\n")
}

fn as_text(inventory: &Inventory, medium: &BTreeSet<String>) -> String {
    let mut page = Page::default();
    for one in &inventory.disks {
        page.gap();
        disk(&mut page, one, medium);
        for system in inventory.systems.iter().filter(|system| system.disk == one.name) {
            page.wrapped("  system   ", &Shown(&system.to_string()).to_string());
        }
    }
    if inventory.disks.is_empty() {
        page.line("no disks");
    }
    if !inventory.volumes.is_empty() {
        page.gap();
        inventory.volumes.iter().for_each(|one| volume(&mut page, one));
    }
    if !inventory.warnings.is_empty() {
        page.gap();
        inventory.warnings.iter().for_each(|warning| page.wrapped("warning: ", &warning.to_string()));
    }
    page.into_text()
}

/// Columns of names and of sizes.
const NAME: usize = 11;
const SIZE: usize = 11;

fn disk(page: &mut Page, disk: &Disk, medium: &BTreeSet<String>) {
    let size = size(disk);
    let name = column(&Shown(&disk.name).to_string(), NAME);
    let model = shown(disk.model.as_deref(), "unknown model");
    page.row(&format!("{name}{}{:<8}", column(&size, SIZE), disk.transport), &model);
    page.wrapped("  ", &facts(disk));
    if let Some(content) = &disk.content {
        page.wrapped("  holds    ", &content.to_string());
    }
    for one in &disk.partitions {
        partition(page, one);
    }
    for reason in disk.refusals(medium, Bytes(0)) {
        page.wrapped("  not offered: ", &reason.to_string());
    }
}

/// Its size, or why it has none.
pub(super) fn size(disk: &Disk) -> String {
    match disk.size {
        Bytes(0) if disk.faults.iter().any(|fault| fault.file == "size") => "unknown".into(),
        Bytes(0) => "empty".into(),
        size => size.to_string(),
    }
}

/// What tells this disk from others, and what matters when it is used.
fn facts(disk: &Disk) -> String {
    let mut facts = vec![match &disk.serial {
        Some(serial) => format!("serial {}", Shown(serial)),
        None => "no serial".into(),
    }];
    if let Some(usb) = &disk.usb {
        let speed = usb.speed.map(|speed| format!(" at {speed} Mb/s")).unwrap_or_default();
        let driver = usb.driver.as_deref().map(|driver| format!(" by {}", Shown(driver))).unwrap_or_default();
        facts.push(format!("port {}{speed}{driver}", Shown(&usb.port)));
    }
    facts.extend(disk.revision.as_deref().map(|revision| format!("firmware {}", Shown(revision))));
    if disk.logical_sector != 512 || disk.physical_sector > 4096 {
        facts.push(format!("sectors of {} bytes", disk.logical_sector));
    }
    facts.extend(disk.rotational.then(|| "rotating".into()));
    facts.extend(disk.removable_medium.then(|| "removable".into()));
    facts.extend(disk.table.as_deref().map(|table| format!("table {}", Shown(table))));
    facts.extend((!disk.paths.is_empty()).then(|| format!("{} paths", disk.paths.len())));
    facts.join(", ")
}

fn partition(page: &mut Page, partition: &Partition) {
    let content = partition.content.as_ref().map(ToString::to_string).unwrap_or_default();
    let label = partition.label.as_deref().map(|label| format!("({})", Shown(label))).unwrap_or_default();
    let rest = [content, label].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    let name = column(&format!("  {}", Shown(&partition.name)), NAME + 2);
    page.wrapped(&format!("{name}{}", column(&partition.size.to_string(), SIZE)), &rest);
}

fn volume(page: &mut Page, volume: &Volume) {
    let kind = match &volume.kind {
        Kind::Raid { level, state, members, degraded } => {
            let state = state.as_deref().map(|state| format!(", {}", Shown(state))).unwrap_or_default();
            let members = members.map(|members| format!(" of {members}")).unwrap_or_default();
            let missing = degraded.filter(|n| *n > 0).map(|n| format!(", {n} missing")).unwrap_or_default();
            format!("{}{members}{state}{missing}", shown(level.as_deref(), "RAID"))
        }
        Kind::Crypt => "encrypted".into(),
        Kind::Lvm => "LVM".into(),
        Kind::Multipath => "multipath".into(),
        Kind::Loop { file } => format!("file {}", shown(file.as_deref(), "unknown")),
        Kind::Memory => "memory".into(),
        Kind::Optical => "optical drive".into(),
        Kind::Mapper | Kind::Disk | Kind::Other | Kind::Hidden => "mapped".into(),
    };
    let mut facts = vec![kind];
    facts.extend(volume.content.as_ref().map(ToString::to_string));
    facts.extend((!volume.below.is_empty()).then(|| format!("on {}", Shown(&volume.below.join(", ")))));
    facts.extend(volume.mounts.iter().map(|at| format!("mounted at {}", Shown(at))));
    facts.extend(volume.swap.then(|| "swap space".into()));
    let size = if volume.size == Bytes(0) { "empty".into() } else { volume.size.to_string() };
    let label = Shown(&volume.label).to_string();
    // A long name has a line of its own.
    let head = if label.chars().count() < NAME {
        column(&label, NAME)
    } else {
        page.line(&label);
        column("", NAME)
    };
    page.wrapped(&format!("{head}{}", column(&size, SIZE)), &facts.join(", "));
}
