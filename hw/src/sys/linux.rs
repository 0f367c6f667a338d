//! Linux: block devices, their ioctls, loop devices.

#[cfg(feature = "inventory")]
use std::os::fd::FromRawFd as _;
use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use super::OpenFile;
#[cfg(feature = "inventory")]
use crate::{Tree, inventory::DeviceNumber};
use crate::{error::Error, target::Kind};

// linux/fs.h and linux/loop.h
const BLKRRPART: libc::c_ulong = 0x125f;
const BLKFLSBUF: libc::c_ulong = 0x1261;
const BLKSSZGET: libc::c_ulong = 0x1268;
const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;
const BLKGETDISKSEQ: libc::c_ulong = 0x8008_1280;
const LOOP_CLR_FD: libc::c_ulong = 0x4c01;
const LOOP_CONFIGURE: libc::c_ulong = 0x4c0a;
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4c82;

/// Without argument.
fn ioctl(file: &File, request: libc::c_ulong) -> io::Result<libc::c_int> {
    // The type of a request differs between C libraries.
    // SAFETY: the requests passed here take no pointer; the descriptor is open.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request as _, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn ioctl_u64(file: &File, request: libc::c_ulong) -> io::Result<u64> {
    let mut value = 0u64;
    // SAFETY: the requests passed here write one 64-bit number to the pointer.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request as _, &raw mut value) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Opens a directory for [`open_below`] alone.
#[cfg(feature = "inventory")]
pub(crate) fn open_directory(path: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// As [`super::open_quietly`], from an open directory on.
#[cfg(feature = "inventory")]
pub(crate) fn open_below(directory: &File, name: &str) -> io::Result<File> {
    let name = std::ffi::CString::new(name)?;
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    loop {
        // SAFETY: the descriptor is open, and the name ends with a zero byte and outlives the call.
        let descriptor = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags) };
        if descriptor >= 0 {
            // SAFETY: the descriptor was just opened, and nobody else has it.
            return Ok(unsafe { File::from_raw_fd(descriptor) });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// What stays open as long as a disk is held: here its own descriptor does everything.
#[derive(Debug, Default)]
pub(crate) struct Held(());

/// What a path names.
pub(crate) fn kind_of_path(path: &Path) -> io::Result<Kind> {
    Ok(kind(path.metadata()?.file_type()))
}

/// What was opened.
pub(crate) fn kind_of(file: &File, _path: &Path) -> io::Result<Kind> {
    Ok(kind(file.metadata()?.file_type()))
}

fn kind(found: std::fs::FileType) -> Kind {
    match found {
        found if found.is_block_device() => Kind::Disk,
        found if found.is_file() => Kind::File,
        _ => Kind::Other,
    }
}

/// The kernel's name of the device whose node this is.
#[cfg(feature = "inventory")]
pub(crate) fn disk_name(tree: &Tree, path: &Path) -> io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let number = DeviceNumber::of_node(path.metadata()?.rdev());
    let directory = tree.real(&format!("/sys/dev/block/{number}"));
    // Without it, as below other roots, the node's own name has to do.
    let name = directory.ok().as_deref().map(Path::new).and_then(last);
    Ok(name.or_else(|| last(path)).unwrap_or_default())
}

/// Opens a disk with O_EXCL and locks it against udev.
pub(crate) fn open_disk(path: &Path, direct: bool) -> Result<(OpenFile, Held), Error> {
    let busy = |source: io::Error| match source.raw_os_error() {
        Some(libc::EBUSY | libc::EWOULDBLOCK) => Error::Busy { path: path.into(), source },
        _ => Error::Io { operation: "open", path: path.into(), source },
    };
    let flags = if direct { libc::O_DIRECT } else { 0 };
    let mut options = OpenOptions::new();
    // On a block device O_EXCL fails while it, or a partition of it, is mounted or held by another driver.
    options.read(true).write(true).custom_flags(libc::O_EXCL | libc::O_CLOEXEC | flags);
    let file = options.open(path).map_err(busy)?;
    Ok((OpenFile::locked(file).map_err(busy)?, Held(())))
}

/// Opens a disk or partition for reading, past the kernel's cache. `alone` fails while something uses it.
pub(crate) fn open_source(path: &Path, alone: bool) -> Result<File, Error> {
    let exclusive = if alone { libc::O_EXCL } else { 0 };
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(exclusive | libc::O_DIRECT | libc::O_CLOEXEC);
    options.open(path).map_err(|source| match source.raw_os_error() {
        Some(libc::EBUSY) => Error::Busy { path: path.into(), source },
        _ => Error::Io { operation: "open", path: path.into(), source },
    })
}

/// Opens a device or regular file that others use too, past the kernel's cache where that is asked for and possible.
pub(crate) fn open_shared(path: &Path, write: bool, direct: bool) -> io::Result<File> {
    let open = |flags| OpenOptions::new().read(true).write(write).custom_flags(flags).open(path);
    match direct {
        // Some file systems, such as tmpfs on old kernels, have no direct I/O.
        true => open(libc::O_DIRECT).or_else(|_no_direct| open(0)),
        false => open(0),
    }
}

/// What an open disk says of itself beside its size; here its sequence number tells more.
pub(crate) fn fingerprint(_file: &File) -> io::Result<Option<u64>> {
    Ok(None)
}

/// Size of a block device in bytes.
pub(crate) fn device_size(file: &File) -> io::Result<u64> {
    ioctl_u64(file, BLKGETSIZE64)
}

/// The number that the kernel gives each appearance of a disk; `None` before Linux 5.15.
pub(crate) fn disk_sequence(file: &File) -> io::Result<Option<u64>> {
    match ioctl_u64(file, BLKGETDISKSEQ) {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bytes of a logical sector.
pub(crate) fn sector_size(file: &File) -> io::Result<u32> {
    let mut value: libc::c_int = 0;
    // SAFETY: BLKSSZGET writes one int to the pointer.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), BLKSSZGET as _, &raw mut value) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    u32::try_from(value).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes out and forgets what the kernel holds of a block device.
pub(crate) fn flush_buffers(file: &File) -> io::Result<()> {
    ioctl(file, BLKFLSBUF).map(drop)
}

/// Has the kernel read the partition table again.
pub(crate) fn reread_table(file: &File) -> io::Result<()> {
    ioctl(file, BLKRRPART).map(drop)
}

/// Forgets the page cache of a file; its data must be on the disk already.
pub(crate) fn forget_pages(file: &File) -> io::Result<()> {
    // SAFETY: no pointers.
    let result = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: libc_loop::LoopInfo64,
    reserved: [u64; 8],
}

mod libc_loop {
    /// `struct loop_info64` of linux/loop.h.
    #[repr(C)]
    pub(super) struct LoopInfo64 {
        pub(super) device: u64,
        pub(super) inode: u64,
        pub(super) rdevice: u64,
        pub(super) offset: u64,
        pub(super) sizelimit: u64,
        pub(super) number: u32,
        pub(super) encrypt_type: u32,
        pub(super) encrypt_key_size: u32,
        pub(super) flags: u32,
        pub(super) file_name: [u8; 64],
        pub(super) crypt_name: [u8; 64],
        pub(super) encrypt_key: [u8; 32],
        pub(super) init: [u64; 2],
    }
}

/// A loop device over a part of an open disk; detached when dropped.
///
/// It uses the descriptor that the caller holds exclusively, so a program that works on it writes to
/// that disk and to no other.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    file: File,
    node: PathBuf,
}

impl LoopDevice {
    /// Attaches a free loop device.
    pub(crate) fn attach(disk: &File, offset: u64, size: u64) -> Result<Self, Error> {
        let control = Path::new("/dev/loop-control");
        let open = |path: &Path| {
            OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("open", path))
        };
        let controller = open(control)?;
        // Another program can take the free device first; the kernel then answers EBUSY.
        for _ in 0..8 {
            let number = ioctl(&controller, LOOP_CTL_GET_FREE)
                .map_err(Error::io("find a loop device with", control))?;
            let node = PathBuf::from(format!("/dev/loop{number}"));
            let file = open(&node)?;
            match configure(&file, disk, offset, size) {
                Ok(()) => return Ok(Self { file, node }),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(source) => return Err(Error::Io { operation: "attach", path: node, source }),
            }
        }
        Err(Error::Busy { path: control.into(), source: io::Error::from_raw_os_error(libc::EBUSY) })
    }

    /// Its path.
    pub(crate) fn node(&self) -> &Path {
        &self.node
    }
}

fn configure(file: &File, disk: &File, offset: u64, size: u64) -> io::Result<()> {
    // SAFETY: an all-zero loop_config is valid: numbers and byte arrays only.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = u32::try_from(disk.as_raw_fd())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    config.info.offset = offset;
    config.info.sizelimit = size;
    // SAFETY: LOOP_CONFIGURE reads one loop_config, which outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), LOOP_CONFIGURE as _, &raw const config) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // The data is synchronised by the user of the device; a loop device that stays is only untidy.
        let _ = ioctl(&self.file, LOOP_CLR_FD);
    }
}
