//! What the error codes of Windows mean for disks.

use std::io;

use windows_sys::Win32::Foundation::{
    ERROR_BUSY, ERROR_CRC, ERROR_DEVICE_NOT_CONNECTED, ERROR_DISK_FULL, ERROR_FILE_INVALID,
    ERROR_GEN_FAILURE, ERROR_IO_DEVICE, ERROR_NO_MEDIA_IN_DRIVE, ERROR_NO_SUCH_DEVICE, ERROR_NOT_READY,
    ERROR_READ_FAULT, ERROR_SEM_TIMEOUT, ERROR_WRITE_FAULT,
};

pub(super) fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error().is_some_and(|found| found.cast_unsigned() == code)
}

/// Whether an error of a device may be gone at the next attempt.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    let passing =
        [ERROR_BUSY, ERROR_CRC, ERROR_IO_DEVICE, ERROR_READ_FAULT, ERROR_SEM_TIMEOUT, ERROR_WRITE_FAULT];
    passing.iter().any(|code| is(error, *code))
}

/// Whether an error may come from a device that was pulled out.
pub(crate) fn may_be_gone(error: &io::Error) -> bool {
    let codes = [
        ERROR_DEVICE_NOT_CONNECTED,
        ERROR_FILE_INVALID,
        ERROR_GEN_FAILURE,
        ERROR_IO_DEVICE,
        ERROR_NO_MEDIA_IN_DRIVE,
        ERROR_NO_SUCH_DEVICE,
        ERROR_NOT_READY,
        ERROR_SEM_TIMEOUT,
    ];
    codes.iter().any(|code| is(error, *code))
}

/// What a disk says that is written beyond its end.
pub(crate) fn beyond_the_end() -> io::Error {
    io::Error::from_raw_os_error(ERROR_DISK_FULL.cast_signed())
}

/// What is said of a disk that was pulled out.
pub(crate) fn no_device() -> io::Error {
    io::Error::from_raw_os_error(ERROR_DEVICE_NOT_CONNECTED.cast_signed())
}

/// Whether an error says that there is no such file.
#[cfg(feature = "inventory")]
pub(crate) fn is_absence(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Whether an error tells of a device that is failing.
#[cfg(feature = "inventory")]
pub(crate) fn is_failure(error: &io::Error) -> bool {
    is(error, ERROR_IO_DEVICE)
}

/// Whether an error says only that a file needs rights.
#[cfg(feature = "inventory")]
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}
