//! The disks of a machine, read through a [`Tree`].
//!
//! Invariant: this module only reads. A disk that cannot be used is listed too, with the reasons.

mod disk;
pub(crate) mod sysfs;
mod usage;

use std::{collections::BTreeSet, path::Path};

pub use disk::{Disk, Partition, Refusal, Transport, Use};

use crate::{
    error::Error,
    tree::{Tree, is_absence},
};

/// Every disk that a system could be installed to, in the order of their names.
///
/// Left out is what is no disk of its own: loop, RAM, device-mapper and RAID devices, optical drives,
/// and the boot areas of eMMC.
pub fn disks(tree: &Tree) -> Result<Vec<Disk>, Error> {
    disks_named(tree, &names(tree)?)
}

/// Names of all block devices that are no partitions, in order.
pub fn names(tree: &Tree) -> Result<Vec<String>, Error> {
    sysfs::block_devices(tree)
}

/// As [`disks`], only those with these names. What is not there, or vanishes while it is read, is left out.
pub fn disks_named(
    tree: &Tree,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<Vec<Disk>, Error> {
    let usage = usage::Usage::read(tree)?;
    let names = names.into_iter().filter(|name| sysfs::is_disk(tree, name.as_ref()));
    names.filter_map(|name| if_there(sysfs::read_disk(tree, name.as_ref(), &usage)).transpose()).collect()
}

/// `None` for a device that vanished while it was read.
pub(crate) fn if_there<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Error::NoSuchDisk(_)) => Ok(None),
        Err(Error::Io { source, .. }) if is_absence(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The disk with this name, of any kind.
pub fn disk(tree: &Tree, name: &str) -> Result<Disk, Error> {
    let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
    if !plain || !tree.exists(&format!("/sys/block/{name}")) {
        return Err(Error::NoSuchDisk(name.into()));
    }
    sysfs::read_disk(tree, name, &usage::Usage::read(tree)?)
}

/// Names of the disks that a device such as `/dev/sdb1` or `/dev/dm-0` is on, through partitions, device-mapper
/// and RAID. Empty when the kernel does not know the device.
pub fn backing_disks(tree: &Tree, device: &Path) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    let Some(name) = device.file_name().and_then(|name| name.to_str()) else { return Ok(found) };
    let mut pending = vec![name.to_string()];
    let mut seen = BTreeSet::new();
    while let Some(name) = pending.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(whole) = sysfs::whole_disk(tree, &name)? else { continue };
        let below = tree.list(&format!("/sys/block/{whole}/slaves"))?;
        if below.is_empty() {
            found.insert(whole);
        } else {
            pending.extend(below);
        }
    }
    Ok(found)
}
