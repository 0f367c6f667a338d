//! Kernel identity, kernel modules and the end of the machine.

use std::{ffi::CStr, fs::File, io, os::fd::AsRawFd};

use super::{check, check_long};

/// The file is compressed and the kernel shall decompress it (`MODULE_INIT_COMPRESSED_FILE`).
const COMPRESSED: libc::c_int = 4;

/// The running kernel's release, as `uname -r` prints it.
pub(crate) fn kernel_release() -> io::Result<String> {
    // SAFETY: `utsname` is a plain structure of byte arrays, for which zero is a valid value.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is valid for writing for the whole call.
    check(unsafe { libc::uname(&raw mut name) })?;
    // SAFETY: uname(2) NUL-terminates each field, and `name` outlives the borrow.
    let release = unsafe { CStr::from_ptr(name.release.as_ptr()) };
    Ok(release.to_string_lossy().into_owned())
}

/// Loads a kernel module from an open file. Drivers probe in the background: otherwise each load would wait for every
/// probe in the kernel, and a disk that spins up in one controller would hold up the stick in another.
pub(crate) fn load_module(file: &File, compressed: bool) -> io::Result<()> {
    let flags = if compressed { COMPRESSED } else { 0 };
    let parameters = c"async_probe";
    // SAFETY: the descriptor is open and the parameters are a NUL-terminated string.
    check_long(unsafe {
        libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), parameters.as_ptr(), flags)
    })?;
    Ok(())
}

/// How the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Start again.
    Reboot,
    /// Switch off.
    PowerOff,
}

/// Writes back what is buffered and ends the machine. Returns only when the kernel refuses.
pub(crate) fn end_machine(end: End) -> io::Error {
    let command = match end {
        End::Reboot => libc::RB_AUTOBOOT,
        End::PowerOff => libc::RB_POWER_OFF,
    };
    // SAFETY: sync(2) has no arguments and cannot fail.
    unsafe { libc::sync() };
    // SAFETY: reboot(2) takes a number.
    unsafe { libc::reboot(command) };
    io::Error::last_os_error()
}
