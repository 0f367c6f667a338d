//! What `aegis-installer hardware` says beside graphics devices, and the recording of machines.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use aegis_core::crypto::Ring;
use aegis_hw::{
    Bytes, Tree,
    inventory::{self, Inventory, Machine, UsbDevice},
    text::Shown,
    tree::{Mask, Recording, Roots},
};

use super::{
    devices::size,
    page::{Page, column, shown},
};
use crate::{error::Error, password};

/// Machine, processor, memory, firmware, disks and USB.
pub(super) fn describe(page: &mut Page, machine: &Machine, inventory: &Inventory, usb: &[UsbDevice]) {
    let words = [&machine.vendor, &machine.product, &machine.version];
    let mut name =
        words.into_iter().flatten().map(|word| Shown(word).to_string()).collect::<Vec<_>>().join(" ");
    if let Some(chassis) = machine.chassis {
        name.push_str(&format!(", {chassis}"));
    }
    let board = machine.board.as_deref();
    page.wrapped("machine    ", if name.is_empty() { "unknown" } else { &name });
    board.into_iter().for_each(|board| page.wrapped("board      ", &Shown(board).to_string()));
    let threads = machine.threads.map(|threads| format!(", {threads} threads")).unwrap_or_default();
    page.wrapped("processor  ", &format!("{}{threads}", shown(machine.processor.as_deref(), "unknown")));
    let memory = machine.memory.map_or_else(|| "unknown".into(), |bytes| Bytes(bytes).to_string());
    page.wrapped("memory     ", &memory);
    page.wrapped("firmware   ", &firmware(machine));
    for disk in &inventory.disks {
        let size = size(disk);
        let model = shown(disk.model.as_deref(), "unknown model");
        let name = column(&Shown(&disk.name).to_string(), 11);
        page.row(&format!("disk       {name}{}{:<8}", column(&size, 11), disk.transport), &model);
    }
    for warning in &inventory.warnings {
        page.wrapped("warning    ", &warning.to_string());
    }
    for device in usb {
        usb_row(page, device);
    }
}

fn firmware(machine: &Machine) -> String {
    let firmware = &machine.firmware;
    let mode = match (firmware.uefi, firmware.bits) {
        (true, Some(32)) => "UEFI, 32 bits",
        (true, _) => "UEFI",
        (false, _) => "BIOS",
    };
    let secure = match (firmware.secure_boot, firmware.setup_mode) {
        (Some(true), _) => ", Secure Boot on",
        (Some(false), Some(true)) => ", Secure Boot off, in setup mode",
        (Some(false), _) => ", Secure Boot off",
        (None, _) => "",
    };
    let version = firmware.version.as_deref().map(|text| format!("; {}", Shown(text))).unwrap_or_default();
    format!("{mode}{secure}{version}")
}

fn usb_row(page: &mut Page, device: &UsbDevice) {
    let port = format!("{}{}", " ".repeat(device.depth), Shown(&device.port));
    let speed = device.speed.map(|speed| format!("{speed} Mb/s")).unwrap_or_default();
    let ids = [&device.vendor, &device.product].map(|id| shown(id.as_deref(), "?")).join(":");
    let ports = device.ports.map(|ports| format!(", {ports} ports")).unwrap_or_default();
    let name = format!("{}{ports}", shown(device.name.as_deref(), &ids));
    page.row(&format!("usb        {}{speed:>10}  ", column(&port, 16)), &name);
}

/// A machine from a file.
pub(super) fn load(path: &Path) -> Result<Recording, Error> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    Recording::parse(&bytes).map_err(|line| aegis_hw::Error::Recording { path: path.into(), line }.into())
}

/// Writes what a machine answered to a new file, with everything masked that names it or a person.
pub(super) fn save(tree: &Tree, roots: &Roots, pci_ids: &str, path: &Path) -> Result<(), Error> {
    let mut recording = tree.recording();
    shorten(&mut recording, pci_ids);
    let masked = Mask::new::<Ring>(password::random()?).apply(&recording);
    let mut about = format!("recorded by aegis-installer {}\n", env!("CARGO_PKG_VERSION"));
    about.push_str(
        "Serial numbers, identifiers, addresses and names of people are replaced by others of the same form.",
    );
    if *roots != Roots::default() {
        about.push_str("\nThe files were below other roots than those of the running system.");
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).open(path).map_err(Error::io("create", path))?;
    file.write_all(masked.to_text(&about).as_bytes()).map_err(Error::io("write", path))
}

/// Leaves out what nobody reads again: other names of PCI devices, other processors, other lines of memory.
fn shorten(recording: &mut Recording, pci_ids: &str) {
    let model = |line: &&str| ["model name", "Model", "cpu model"].iter().any(|key| line.starts_with(key));
    let processors = |text: &str| text.lines().find(model).map(|line| format!("{line}\n"));
    let memory =
        |text: &str| text.lines().find(|line| line.starts_with("MemTotal:")).map(|line| format!("{line}\n"));
    let ids = device_ids(recording);
    let names = |text: &str| Some(pci_names(text, &ids));
    replace(recording, "/proc/cpuinfo", &processors);
    replace(recording, "/proc/meminfo", &memory);
    replace(recording, pci_ids, &names);
}

fn replace(recording: &mut Recording, path: &str, shorten: &dyn Fn(&str) -> Option<String>) {
    let text = recording.content(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    if let Some(text) = text.and_then(|text| shorten(&text)) {
        // It is there, so it can be replaced.
        let _ = recording.put(path, text.as_bytes());
    }
}

/// Vendors and devices of the PCI functions whose devices were asked for.
fn device_ids(recording: &Recording) -> Vec<(String, String)> {
    let id = |path: &str| {
        let text = String::from_utf8_lossy(recording.content(path)?).trim().to_owned();
        text.strip_prefix("0x").map(str::to_owned)
    };
    let devices =
        recording.paths().into_iter().filter_map(|path| path.strip_suffix("/device").map(str::to_owned));
    devices.filter_map(|at| Some((id(&format!("{at}/vendor"))?, id(&format!("{at}/device"))?))).collect()
}

/// The lines of pci.ids with these devices and their vendors.
fn pci_names(text: &str, ids: &[(String, String)]) -> String {
    let mut out = String::new();
    let mut vendor = "";
    for line in text.lines() {
        let wanted = match line.strip_prefix('\t') {
            Some(rest) => rest.get(..4).is_some_and(|id| ids.iter().any(|(v, d)| v == vendor && d == id)),
            None => {
                vendor = line.get(..4).unwrap_or_default();
                line.get(4..).is_some_and(|rest| rest.starts_with("  "))
                    && ids.iter().any(|(v, _)| v == vendor)
            }
        };
        if wanted {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Everything that `hardware` reads, read once.
pub(super) fn read(tree: &Tree) -> Result<(Machine, Inventory, Vec<UsbDevice>), Error> {
    Ok((Machine::read(tree), Inventory::read(tree)?, inventory::usb_devices(tree)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_devices_that_are_there() {
        let text = "# list\n10de  NVIDIA\n\t2684  AD102\n\t\t10de 16f3  sub\n\t2685  other\n8086  Intel\n\t2684  not ours\nC 03  Display\n";
        let ids = [("10de".to_owned(), "2684".to_owned())];
        assert_eq!(pci_names(text, &ids), "10de  NVIDIA\n\t2684  AD102\n");
    }
}
