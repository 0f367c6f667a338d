//! Paths inside a root that is not ours yet, file system types and device nodes.

use std::{
    fs::File,
    io, mem,
    os::fd::{AsRawFd, FromRawFd},
    path::Path,
};

use super::{c_path, check, check_long};

/// Opens a file below `root` for reading; symbolic links, absolute ones too, resolve as if `root` were `/`.
pub(crate) fn open_in_root(root: &File, path: &Path) -> io::Result<File> {
    let path = c_path(path)?;
    // SAFETY: `open_how` is a structure of numbers, for which zero is a valid value.
    let mut how: libc::open_how = unsafe { mem::zeroed() };
    how.flags = u64::try_from(libc::O_RDONLY | libc::O_CLOEXEC).unwrap_or_default();
    how.resolve = libc::RESOLVE_IN_ROOT;
    // SAFETY: the descriptor is open, the path is NUL-terminated, and `how` is passed with its own size.
    let fd = check_long(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            mem::size_of::<libc::open_how>(),
        )
    })?;
    let fd = libc::c_int::try_from(fd).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    // SAFETY: `fd` was just returned by the kernel and has no other owner.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Whether the file system keeps its files in memory only (ramfs or tmpfs).
pub(crate) fn is_memory_file_system(file: &File) -> io::Result<bool> {
    const RAMFS: i128 = 0x8584_58f6;
    const TMPFS: i128 = 0x0102_1994;
    // SAFETY: `statfs` is a structure of numbers, for which zero is a valid value.
    let mut stat: libc::statfs = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open and `stat` is valid for writing.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stat) })?;
    // The field's type is not the same in all C libraries.
    Ok([RAMFS, TMPFS].contains(&i128::from(stat.f_type)))
}

/// Makes a character device node that only root may use.
pub(crate) fn make_character_device(path: &Path, major: u32, minor: u32) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(major, minor)) })?;
    Ok(())
}

/// Major and minor number of a device number.
pub(crate) fn split_device(device: u64) -> (u32, u32) {
    (libc::major(device), libc::minor(device))
}
