//! The system calls that the standard library does not offer.
//!
//! Invariant: no decision is made here. Every function is one system call, or one protocol of a device node, behind
//! types that cannot be misused; every byte buffer for the kernel is built by safe code.
#![expect(unsafe_code, reason = "system calls and ioctls have no safe interface in std")]

use std::{ffi::CString, io, os::unix::ffi::OsStrExt, path::Path};

pub(crate) mod device_mapper;
pub(crate) mod loop_device;
pub(crate) mod mount;
pub(crate) mod path;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod terminal;

/// The result of a system call that returns -1 and sets `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// As [`check`], for calls that return a `long`.
fn check_long(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
}

fn c_text(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
}
