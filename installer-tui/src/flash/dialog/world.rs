//! What there is to choose from, as data.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use aegis_hw::{
    Bytes,
    inventory::{Disk, Refusal, System},
    text::Shown,
};

use crate::{
    flash::risk::{self, Care, Danger},
    plan::TargetDisk,
    select,
    tui::world::Candidate,
};

/// An image file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// Its size.
    pub size: Bytes,
}

/// A device that could be written, or that is shown with the reasons against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What is shown and what is written.
    pub candidate: Candidate,
    /// Where it is plugged in: the port, or the name of a device that has none.
    pub place: String,
    /// Its serial number or name.
    pub tail: String,
    /// How its erasure is confirmed.
    pub care: Care,
    /// What would be lost.
    pub holds: Vec<String>,
    /// Where a desktop mounted it, and where it will be unmounted.
    pub mounts: Vec<String>,
}

impl Device {
    /// From the inventory. `mounts` are places where it will be unmounted.
    pub fn of_disk(disk: &Disk, systems: &[System], refusals: &[Refusal], mounts: Vec<String>) -> Self {
        let mut candidate = Candidate::new(disk, refusals);
        let port = disk.usb.as_ref().map(|usb| Shown(&usb.port).to_string());
        if let Some(port) = &port {
            // Shorter, so that a list of twenty sticks can be read: what has a port is on the USB and can be taken out.
            candidate.details = candidate.details.replacen(", USB, removable", &format!(", port {port}"), 1);
        }
        if risk::is_blank(disk) {
            candidate.details.push_str(", blank");
        }
        let name = Shown(&disk.name).to_string();
        Self {
            candidate,
            place: port.unwrap_or_else(|| name.clone()),
            tail: disk.serial.as_deref().map_or(name, |serial| Shown(serial).to_string()),
            care: risk::care(disk, systems),
            holds: risk::holds(disk),
            mounts,
        }
    }

    /// A regular file that stands for a device. It is confirmed by its name: nobody knows what is in it.
    pub fn of_file(target: TargetDisk, refusals: Vec<String>) -> Self {
        let (tail, details) = (target.token.clone(), target.description.clone());
        let candidate = Candidate { target, model: format!("File {tail}"), details, refusals };
        Self {
            candidate,
            place: "file".into(),
            tail,
            care: Care::Serial(vec![Danger::Unknown]),
            holds: Vec::new(),
            mounts: Vec::new(),
        }
    }

    /// What would be lost or taken from the system, a line for each.
    pub fn lost(&self) -> Vec<String> {
        let holds = self.holds.iter().map(|what| format!("has {what}"));
        let mounts = self.mounts.iter().map(|at| format!("is mounted at {}, will be unmounted", Shown(at)));
        holds.chain(mounts).collect()
    }

    /// What is written.
    pub fn target(&self) -> &TargetDisk {
        &self.candidate.target
    }

    /// Whether it may be chosen.
    pub fn usable(&self) -> bool {
        self.candidate.refusals.is_empty()
    }

    /// Whether it is still what a person saw: the same device, with the same content.
    pub(super) fn is_unchanged(&self, now: &Self) -> bool {
        let Self { candidate, care, holds, mounts, .. } = self;
        (&candidate.target, care, holds, mounts)
            == (&now.candidate.target, &now.care, &now.holds, &now.mounts)
    }

    /// A short name for messages: path and serial number.
    pub fn name(&self) -> String {
        let path = Shown(&self.target().path.to_string_lossy()).to_string();
        if path.ends_with(&self.tail) { path } else { format!("{path} ({})", self.tail) }
    }

    /// The name behind the port, where it has one.
    pub fn title(&self) -> String {
        let name = self.name();
        if name.ends_with(&self.place) { name } else { format!("{} {name}", self.place) }
    }
}

/// Everything that there is to choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Image files nearby.
    pub images: Vec<Found>,
    /// Devices, those that can be chosen first.
    pub devices: Vec<Device>,
}

/// Disks as devices, in the order of [`order`]. `medium` names the disks that the running
/// system came from, `needed` is what a device must hold. With `unmount`, what a desktop mounted is no reason against one.
pub fn devices(
    disks: Vec<Disk>,
    systems: &[System],
    medium: &BTreeSet<String>,
    needed: Bytes,
    unmount: bool,
) -> Vec<Device> {
    let device = |disk: Disk| {
        let mut unmounted = disk.clone();
        let mounts = if unmount { select::take_desktop_mounts(&mut unmounted) } else { Vec::new() };
        // It is graded as it is: what is mounted is not blank.
        Device::of_disk(&disk, systems, &unmounted.refusals(medium, needed), mounts)
    };
    let mut devices: Vec<Device> = disks.into_iter().map(device).collect();
    order(&mut devices);
    devices
}

/// What can be chosen and taken out comes first, then the machine's own disks, then what cannot be chosen; within each, the
/// order stays.
pub fn order(devices: &mut [Device]) {
    let internal = |device: &Device| match &device.care {
        Care::Serial(dangers) => dangers.contains(&Danger::Internal),
        Care::Yes | Care::Listed => false,
    };
    devices.sort_by_key(|device| (!device.usable(), internal(device)));
}

/// Ends of names of image files.
const IMAGES: [&str; 4] = [".iso", ".img", ".raw", ".bin"];
/// Ends of names of archives that are read.
const ARCHIVES: [&str; 5] = [".gz", ".xz", ".bz2", ".zst", ".lz4"];

/// Whether a file is offered as an image. Any other can be named.
pub fn looks_like_image(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = ARCHIVES.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    IMAGES.iter().any(|end| name.len() > end.len() && name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_by_their_names() {
        for name in ["a.iso", "A.IMG.XZ", "/x/b.raw.zst", "c.bin"] {
            assert!(looks_like_image(Path::new(name)), "{name}");
        }
        for name in ["a.iso.sha256", ".iso", "notes.gz", "iso", "a.iso.part"] {
            assert!(!looks_like_image(Path::new(name)), "{name}");
        }
    }
}
