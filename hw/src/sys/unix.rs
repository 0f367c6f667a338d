//! What Linux and macOS have in common.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Takes the exclusive lock of a file without waiting.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(io::Error::from)
}

/// Releases the lock, for everyone who shares the open file.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    file.unlock()
}

/// Fills the buffer; several threads may do so at once.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Reads up to a bufferful.
#[cfg(feature = "inventory")]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Writes the whole buffer; several threads may do so at once.
pub(crate) fn write_all_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(buffer, offset)
}

/// Opens a file or device for reading, and waits for nothing: an optical drive without a disc would close its tray, and
/// a FIFO would wait.
pub(crate) fn open_quietly(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY).open(path)
}

/// The path without links.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// Permissions of a file that is created.
pub(crate) fn with_mode(options: &mut OpenOptions, mode: u32) -> &mut OpenOptions {
    options.mode(mode)
}

/// Returns when the names in a directory are on the disk.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Whether an error of a device may be gone at the next attempt.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EBUSY | libc::EAGAIN | libc::ETIMEDOUT))
}

/// What to do where rights are missing.
pub(crate) const MORE_RIGHTS: &str = "run it as root, such as by sudo";

/// Whether an error may come from a device that was pulled out.
pub(crate) fn may_be_gone(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    let no_medium = libc::ENOMEDIUM;
    #[cfg(not(target_os = "linux"))]
    let no_medium = libc::ENODEV;
    let codes = [libc::ENODEV, libc::ENXIO, libc::EIO, no_medium, libc::ESHUTDOWN, libc::ETIMEDOUT];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// What a disk says that is written beyond its end.
pub(crate) fn beyond_the_end() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

/// What is said of a disk that was pulled out.
pub(crate) fn no_device() -> io::Error {
    io::Error::from_raw_os_error(libc::ENODEV)
}

/// Whether an error says that there is no such file: none of this name, or its device is gone.
#[cfg(feature = "inventory")]
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENXIO))
}

/// Whether an error tells of a device that is failing.
#[cfg(feature = "inventory")]
pub(crate) fn is_failure(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    let remote = libc::EREMOTEIO;
    #[cfg(not(target_os = "linux"))]
    let remote = libc::EIO;
    let failing = [libc::EIO, remote, libc::ETIMEDOUT, libc::EILSEQ];
    error.raw_os_error().is_some_and(|number| failing.contains(&number))
}

/// Whether an error says only that a file needs rights, or that a driver does not offer it.
#[cfg(feature = "inventory")]
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    let harmless = [libc::EACCES, libc::EPERM, libc::EOPNOTSUPP, libc::EINVAL, libc::EISDIR, libc::ENODATA];
    error.raw_os_error().is_some_and(|number| harmless.contains(&number))
}
