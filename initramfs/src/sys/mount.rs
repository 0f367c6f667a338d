//! mount(2) and umount2(2).

use std::{io, path::Path, ptr};

use super::{c_path, c_text, check};

/// Mount flags; combined with `|`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags(libc::c_ulong);

impl Flags {
    /// Read and write, nothing forbidden.
    pub(crate) const NONE: Self = Self(0);
    /// Read only.
    pub(crate) const READ_ONLY: Self = Self(libc::MS_RDONLY);
    /// No device nodes, no set-user-id, no programs.
    pub(crate) const DATA_ONLY: Self = Self(libc::MS_NODEV | libc::MS_NOSUID | libc::MS_NOEXEC);
    /// No set-user-id.
    pub(crate) const NO_SUID: Self = Self(libc::MS_NOSUID);
    /// No device nodes and no set-user-id.
    pub(crate) const NO_DEV: Self = Self(libc::MS_NODEV | libc::MS_NOSUID);
}

impl core::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Mounts a new file system.
pub(crate) fn mount(source: &str, target: &Path, kind: &str, flags: Flags, data: &str) -> io::Result<()> {
    let (source, target) = (c_text(source)?, c_path(target)?);
    let (kind, data) = (c_text(kind)?, c_text(data)?);
    // SAFETY: the four strings are NUL-terminated and outlive the call; `data` is text, as these types expect.
    check(unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags.0, data.as_ptr().cast())
    })?;
    Ok(())
}

/// Makes a directory tree visible at a second place.
pub(crate) fn bind(source: &Path, target: &Path) -> io::Result<()> {
    attach(source, target, libc::MS_BIND)
}

/// Moves a mount to another directory.
pub(crate) fn relocate(source: &Path, target: &Path) -> io::Result<()> {
    attach(source, target, libc::MS_MOVE)
}

fn attach(source: &Path, target: &Path, flags: libc::c_ulong) -> io::Result<()> {
    let (source, target) = (c_path(source)?, c_path(target)?);
    // SAFETY: both paths are NUL-terminated and outlive the call; type and data are ignored for these flags.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), ptr::null(), flags, ptr::null()) })?;
    Ok(())
}

/// Takes a mount away; one that is in use goes when its last user does.
pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    let target = c_path(target)?;
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) })?;
    Ok(())
}
