//! What the standard library does not have, for each system: the one place where they differ.
//!
//! Every system has the same functions: opening disks so that nobody else writes to them, what an open disk says of itself,
//! reading and writing at a place from several threads, and what an error means.
#![expect(
    unsafe_code,
    reason = "ioctl, posix_fadvise, io_uring, DeviceIoControl and libraries loaded at run time have no safe form in the standard library"
)]

#[cfg(all(feature = "dynamic", feature = "inventory"))]
pub(crate) mod blkid;
#[cfg(all(feature = "dynamic", feature = "gpu"))]
pub(crate) mod drm;
#[cfg(feature = "dynamic")]
pub(crate) mod library;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(all(feature = "dynamic", feature = "gpu"))]
pub(crate) mod nvenc;
#[cfg(all(feature = "dynamic", feature = "gpu"))]
pub(crate) mod nvml;
#[cfg(all(target_os = "linux", feature = "uring"))]
mod ring;
#[cfg(unix)]
mod unix;
#[cfg(all(feature = "dynamic", feature = "gpu"))]
pub(crate) mod vaapi;
#[cfg(windows)]
mod windows;

use std::{
    fs::{File, OpenOptions},
    io,
    ops::Deref,
    path::Path,
};

#[cfg(target_os = "linux")]
pub(crate) use self::linux::*;
#[cfg(target_os = "macos")]
pub(crate) use self::macos::*;
#[cfg(target_os = "macos")]
pub use self::macos::{Awake, Interrupts};
#[cfg(all(target_os = "linux", feature = "uring"))]
pub(crate) use self::ring::Ring;
#[cfg(unix)]
pub(crate) use self::unix::*;
#[cfg(windows)]
pub(crate) use self::windows::*;
#[cfg(windows)]
pub use self::windows::{Awake, Interrupts};
use crate::error::Error;

/// An open file whose lock, if it has one, ends when it is dropped.
#[derive(Debug)]
pub(crate) struct OpenFile(File);

impl OpenFile {
    /// With the exclusive lock, without waiting for it; `WouldBlock` when another has it.
    pub(crate) fn locked(file: File) -> io::Result<Self> {
        lock(&file)?;
        Ok(Self(file))
    }

    /// Without a lock.
    pub(crate) const fn shared(file: File) -> Self {
        Self(file)
    }
}

impl Deref for OpenFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // A child that another thread forked shares the open file until it starts its program: closing alone would
        // leave the lock with it. A failure leaves just that.
        unlock(&self.0).unwrap_or_default();
    }
}

/// A lock file that is held until it is dropped: one writer at a time.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "dropping it releases the lock")] OpenFile);

impl Lock {
    /// Takes the lock; [`Error::Busy`] when another program holds it.
    pub fn take(path: &Path) -> Result<Self, Error> {
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = open.map_err(Error::io("open", path))?;
        let locked = OpenFile::locked(file).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => Error::Busy { path: path.into(), source },
            _ => Error::Io { operation: "lock", path: path.into(), source },
        })?;
        Ok(Self(locked))
    }
}
