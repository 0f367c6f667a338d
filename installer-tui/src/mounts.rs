//! What is mounted of a device before it is written.

use crate::error::Error;

/// Unmounts; what was mounted last comes off first.
///
/// # Errors
/// With the first that stays.
#[cfg(target_os = "linux")]
pub(crate) fn unmount(mounts: &[String]) -> Result<(), Error> {
    use nix::mount::{MntFlags, umount2};
    mounts.iter().rev().try_for_each(|at| {
        umount2(at.as_str(), MntFlags::UMOUNT_NOFOLLOW).map_err(|code| Error::io("unmount", at)(code.into()))
    })
}

/// Elsewhere the volumes of a disk are dismounted when it is opened.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unmount(_mounts: &[String]) -> Result<(), Error> {
    Ok(())
}
