//! The disks of the machine that the program runs on, where that is not Linux.

use std::collections::BTreeSet;

use super::Inventory;
#[cfg(windows)]
use super::warning;
use crate::error::Error;

/// Everything that is known of the disks.
#[cfg(windows)]
pub(super) fn read() -> Result<Inventory, Error> {
    let mut disks = found().disks;
    let warnings = warning::find(&mut disks);
    Ok(Inventory { disks, volumes: Vec::new(), systems: Vec::new(), warnings })
}

/// Names of the disks that the system is on, or was started from.
#[cfg(windows)]
pub(super) fn system_disks() -> BTreeSet<String> {
    found().system
}

#[cfg(windows)]
fn found() -> crate::windows::disks::Found {
    crate::windows::disks::read(&crate::sys::System)
}

/// Fails: macOS tells of its disks by frameworks that only programs built there can use.
#[cfg(target_os = "macos")]
pub(super) fn read() -> Result<Inventory, Error> {
    Err(Error::io("list", "the disks")(std::io::ErrorKind::Unsupported.into()))
}

/// None: see [`read`].
#[cfg(target_os = "macos")]
pub(super) fn system_disks() -> BTreeSet<String> {
    BTreeSet::new()
}
