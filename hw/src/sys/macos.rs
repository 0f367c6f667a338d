//! macOS: disks as `/dev/diskN`, and past the cache as `/dev/rdiskN`; `<sys/disk.h>`.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use super::OpenFile;
use crate::{error::Error, target::Kind};

const DKIOCSYNCHRONIZECACHE: libc::c_ulong = 0x2000_6416;
const DKIOCGETBLOCKSIZE: libc::c_ulong = 0x4004_6418;
const DKIOCGETBLOCKCOUNT: libc::c_ulong = 0x4008_6419;
const DKIOCISWRITABLE: libc::c_ulong = 0x4004_641d;

fn ioctl_u32(file: &File, request: libc::c_ulong) -> io::Result<u32> {
    let mut value = 0u32;
    // SAFETY: the requests passed here write one 32-bit number to the pointer.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request, &raw mut value) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Size of a disk in bytes.
pub(crate) fn device_size(file: &File) -> io::Result<u64> {
    let mut blocks = 0u64;
    // SAFETY: DKIOCGETBLOCKCOUNT writes one 64-bit number to the pointer.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), DKIOCGETBLOCKCOUNT, &raw mut blocks) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let size = blocks.checked_mul(sector_size(file)?.into());
    size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the size of the disk is not possible"))
}

/// Bytes of a logical sector.
pub(crate) fn sector_size(file: &File) -> io::Result<u32> {
    ioctl_u32(file, DKIOCGETBLOCKSIZE)
}

/// macOS does not number the appearances of disks.
pub(crate) fn disk_sequence(_file: &File) -> io::Result<Option<u64>> {
    Ok(None)
}

/// An open disk says nothing of itself but its size.
pub(crate) fn fingerprint(_file: &File) -> io::Result<Option<u64>> {
    Ok(None)
}

/// Has the disk write out its own cache.
pub(crate) fn flush_buffers(file: &File) -> io::Result<()> {
    // SAFETY: the request takes no pointer.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), DKIOCSYNCHRONIZECACHE, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// From here on, what is read comes from the disk.
pub(crate) fn forget_pages(file: &File) -> io::Result<()> {
    // SAFETY: no pointers.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_NOCACHE, 1) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The kernel reads the table by itself when the disk is closed.
pub(crate) fn reread_table(_file: &File) -> io::Result<()> {
    Ok(())
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
        // `/dev/rdiskN` has characters.
        found if found.is_block_device() || found.is_char_device() => Kind::Disk,
        found if found.is_file() => Kind::File,
        _ => Kind::Other,
    }
}

/// Unmounts every volume of a disk and opens it alone: O_EXLOCK fails while one of them is mounted.
pub(crate) fn open_disk(path: &Path, direct: bool) -> Result<(OpenFile, Held), Error> {
    let mut program = Command::new("/usr/sbin/diskutil");
    program.arg("unmountDisk").arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = program.status().map_err(Error::io("unmount", path))?;
    let busy = |source| Error::Busy { path: path.into(), source };
    if !status.success() {
        return Err(busy(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("diskutil ended with {status}"),
        )));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_EXLOCK | libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = options.open(path).map_err(|source| match source.raw_os_error() {
        Some(libc::EBUSY | libc::EWOULDBLOCK) => busy(source),
        _ => Error::Io { operation: "open", path: path.into(), source },
    })?;
    let file = OpenFile::locked(file).map_err(busy)?;
    if ioctl_u32(&file, DKIOCISWRITABLE).map_err(Error::io("identify", path))? == 0 {
        return Err(Error::io("write", path)(io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    if direct {
        forget_pages(&file).map_err(Error::io("go past the cache of", path))?;
    }
    Ok((file, Held(())))
}

/// Opens a device or regular file that others use too, past the kernel's cache where that is asked for.
pub(crate) fn open_shared(path: &Path, write: bool, direct: bool) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(write).open(path)?;
    if direct {
        forget_pages(&file)?;
    }
    Ok(file)
}

/// Keeps the machine from going to sleep: `caffeinate` does, until it or this program ends.
#[derive(Debug)]
pub struct Awake(Child);

impl Awake {
    /// Begins.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn keep() -> io::Result<Self> {
        let mut program = Command::new("/usr/bin/caffeinate");
        program.args(["-i", "-w", &std::process::id().to_string()]);
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        program.spawn().map(Self)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // A program that ended already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ctrl-C, which does not end the program while this is there.
#[derive(Debug)]
pub struct Interrupts(());

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

impl Interrupts {
    /// Begins.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn take() -> io::Result<Self> {
        let handler: extern "C" fn(libc::c_int) = note_interrupt;
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            // SAFETY: the function only stores a value, as a handler may.
            if unsafe { libc::signal(signal, handler as libc::sighandler_t) } == libc::SIG_ERR {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Self(()))
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            // SAFETY: the default is always possible.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// The name of the disk whose node this is.
#[cfg(feature = "inventory")]
pub(crate) fn disk_name(_tree: &crate::Tree, path: &Path) -> io::Result<String> {
    let name = path.canonicalize()?.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(name.unwrap_or_default().trim_start_matches('r').into())
}

/// macOS has no loop devices; none is ever made.
#[derive(Debug)]
pub(crate) enum LoopDevice {}

impl LoopDevice {
    /// Always fails.
    pub(crate) fn attach(_disk: &File, _offset: u64, _size: u64) -> Result<Self, Error> {
        Err(Error::io("attach", "a part of a disk")(io::ErrorKind::Unsupported.into()))
    }

    /// Of none.
    pub(crate) fn node(&self) -> &Path {
        match *self {}
    }
}
