//! The disks of a machine and what is on and above them, read through a [`Tree`].
//!
//! Invariant: this module only reads. A disk that cannot be used is listed too, with the reasons, and a disk that fails does not hide
//! the others.
//!
//! # JSON
//! [`Inventory`] as `aegis-installer devices --json` prints it; more may be added, nothing is renamed:
//! - `disks`: an array of objects with `disk`, a [`Disk`], `confirm`, the word that consents to erasing it, and `refused`, the
//!   [`Refusal`]s against using it. Sizes and starts are bytes; `device` is the number of the node.
//! - `volumes`: an array of [`Volume`]: RAID, encryption, LVM, multipath, loop devices, optical drives. `below` and `above`
//!   are the kernel's names of the devices next to it, `disks` those that it is on in the end.
//! - `systems`: operating systems that were recognised, as [`System`].
//! - `warnings`: what a person should know before choosing, as [`Warning`]; each with its text in `text`.

mod block;
mod content;
mod disk;
mod machine;
#[cfg(not(target_os = "linux"))]
mod native;
pub(crate) mod sysfs;
mod system;
mod usage;
mod usb;
mod volume;
mod warning;

use std::{collections::BTreeSet, path::Path};

pub use block::Kind;
pub use content::{Content, Source};
pub use disk::{DeviceNumber, Disk, Fault, Partition, Refusal, Transport};
pub use machine::{Firmware, Machine};
use serde::Serialize;
pub use system::{System, SystemKind};
pub use usage::Use;
pub use usb::{SUPER_SPEED, Slow, UsbDevice, UsbPlace};
pub use volume::Volume;
pub use warning::Warning;

use self::{
    block::{Block, Blocks},
    usage::Usage,
};
#[cfg(feature = "watch")]
use crate::tree::is_absence;
use crate::{error::Error, tree::Tree};

/// Everything about the storage of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Every disk that a system could be installed to, in the order of their names.
    pub disks: Vec<Disk>,
    /// What is made from disks and files, and optical drives.
    pub volumes: Vec<Volume>,
    /// Operating systems that were recognised.
    pub systems: Vec<System>,
    /// What a person should know before choosing.
    pub warnings: Vec<Warning>,
}

impl Inventory {
    /// Reads the machine.
    ///
    /// # Errors
    /// When the list of block devices cannot be read.
    pub fn read(tree: &Tree) -> Result<Self, Error> {
        #[cfg(not(target_os = "linux"))]
        if !tree.is_recorded() {
            return native::read();
        }
        let blocks = Blocks::read(tree)?;
        let usage = Usage::read(tree, &blocks);
        let content = content::Reader::new(tree);
        let real = blocks.all.iter().filter(|block| block.kind == Kind::Disk);
        let mut disks: Vec<Disk> =
            real.map(|block| read_disk(tree, block, &blocks, usage.as_ref().ok(), &content)).collect();
        let warnings = warning::find(&mut disks);
        let usage = usage.unwrap_or_default();
        let volumes = volume::read(tree, &blocks, &usage, &content);
        let systems = system::find(tree, &disks, &volumes, &usage);
        Ok(Self { disks, volumes, systems, warnings })
    }
}

fn read_disk(
    tree: &Tree,
    block: &Block,
    blocks: &Blocks,
    usage: Option<&Usage>,
    content: &content::Reader<'_>,
) -> Disk {
    let mut disk = sysfs::read_disk(tree, block, content);
    // Without the mounts, holders are known at least.
    let none = Usage::default();
    let known = usage.unwrap_or(&none);
    disk.uses_known = usage.is_some();
    disk.uses = known.of(blocks, &disk.name);
    for partition in &disk.partitions {
        disk.uses.extend(known.of(blocks, &partition.name));
    }
    disk
}

/// Every disk that a system could be installed to, in the order of their names.
///
/// Left out is what is no disk of its own: loop, RAM, device-mapper and RAID devices, optical drives,
/// and the boot areas of eMMC.
///
/// # Errors
/// As [`Inventory::read`].
pub fn disks(tree: &Tree) -> Result<Vec<Disk>, Error> {
    Inventory::read(tree).map(|inventory| inventory.disks)
}

/// Names of all block devices that are no partitions, in order.
///
/// # Errors
/// As [`Inventory::read`].
pub fn names(tree: &Tree) -> Result<Vec<String>, Error> {
    tree.list("/sys/block")
}

/// As [`disks`], only those with these names, and without a comparison of their serial numbers with those of others. What is
/// not there, or vanishes while it is read, is left out.
///
/// # Errors
/// As [`Inventory::read`].
pub fn disks_named(
    tree: &Tree,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Vec<Disk>, Error> {
    let blocks = Blocks::read(tree)?;
    let usage = Usage::read(tree, &blocks);
    let content = content::Reader::new(tree);
    let mut found = Vec::new();
    for name in names {
        let block = blocks.find(name.as_ref()).filter(|block| block.name == name.as_ref());
        let disk = block.filter(|block| block.kind == Kind::Disk);
        found.extend(disk.map(|block| read_disk(tree, block, &blocks, usage.as_ref().ok(), &content)));
    }
    found.retain(|disk| tree.exists(&format!("/sys/block/{}", disk.name)));
    Ok(found)
}

/// Compares the serial numbers of disks that were read by [`disks_named`], or before.
#[cfg(feature = "watch")]
pub(crate) fn tell_apart(disks: &mut [Disk]) {
    disks.sort_by(|one, other| one.name.cmp(&other.name));
    disks.iter_mut().for_each(|disk| disk.told_apart_by = None);
    warning::find(disks);
}

/// `None` for a device that vanished while it was read.
#[cfg(feature = "watch")]
pub(crate) fn if_there<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Error::NoSuchDisk(_)) => Ok(None),
        Err(Error::Io { source, .. }) if is_absence(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The disk with this name, of any kind.
///
/// # Errors
/// When there is none, or as [`Inventory::read`].
pub fn disk(tree: &Tree, name: &str) -> Result<Disk, Error> {
    if cfg!(not(target_os = "linux")) && !tree.is_recorded() {
        let found = disks(tree)?.into_iter().find(|disk| disk.name == name);
        return found.ok_or_else(|| Error::NoSuchDisk(name.into()));
    }
    let blocks = Blocks::read(tree)?;
    let found = blocks.find(name).filter(|block| block.name == name);
    let block = found.ok_or_else(|| Error::NoSuchDisk(name.into()))?;
    // Whether another disk has the same serial number is a property of all of them.
    if block.kind == Kind::Disk {
        let found = disks(tree)?.into_iter().find(|disk| disk.name == name);
        return found.ok_or_else(|| Error::NoSuchDisk(name.into()));
    }
    let usage = Usage::read(tree, &blocks);
    Ok(read_disk(tree, block, &blocks, usage.as_ref().ok(), &content::Reader::new(tree)))
}

/// The disk that has this name, or a partition of this name.
///
/// # Errors
/// As [`disk`].
pub fn disk_of(tree: &Tree, name: &str) -> Result<Disk, Error> {
    let blocks = Blocks::read(tree)?;
    let block = blocks.find(name).ok_or_else(|| Error::NoSuchDisk(name.into()))?;
    disk(tree, &block.name)
}

/// Whether nothing changes what is mounted at a place: the file system itself is read-only, not just this mount of it.
///
/// # Errors
/// When the mounts cannot be read.
pub fn is_read_only_at(tree: &Tree, at: &str) -> Result<bool, Error> {
    Ok(Usage::read(tree, &Blocks::read(tree)?)?.is_read_only(at))
}

/// Names of the disks that a device such as `/dev/sdb1` or `/dev/dm-0` is on, through partitions, device-mapper,
/// RAID and files behind loop devices. Empty when the kernel does not know the device.
///
/// # Errors
/// As [`Inventory::read`].
pub fn backing_disks(tree: &Tree, device: &Path) -> Result<BTreeSet<String>, Error> {
    let blocks = Blocks::read(tree)?;
    let Some(name) = device.to_str().and_then(|path| blocks.by_any_name(tree, path)) else {
        return Ok(BTreeSet::new());
    };
    // Without the mounts only loop devices lead nowhere.
    let usage = Usage::read(tree, &blocks).unwrap_or_default();
    Ok(blocks.disks_of(&name, &usage))
}

/// Names of the disks that a system other than Linux runs from, or was started from; on Linux their uses tell.
pub fn system_disks() -> BTreeSet<String> {
    #[cfg(not(target_os = "linux"))]
    return native::system_disks();
    #[cfg(target_os = "linux")]
    BTreeSet::new()
}

/// Every device on the USB, hubs before what is on them.
pub fn usb_devices(tree: &Tree) -> Vec<UsbDevice> {
    usb::devices(tree)
}
