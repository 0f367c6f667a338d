//! The one way to write a disk.
//!
//! Invariant: a [`BlockDevice`] holds its disk exclusively from [`BlockDevice::open`] on, and the identity
//! was compared on that very descriptor, so that a disk which appears under the same name later is never written.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    sys::{self, Held, LoopDevice, OpenFile},
    units::Bytes,
};

mod writes;

pub use writes::{Buffer, Writes, Written};

/// What is read from, addressed by bytes from its start.
pub trait Source {
    /// Path, for messages.
    fn path(&self) -> &Path;
    /// Size.
    fn size(&self) -> Bytes;
    /// Bytes of a logical sector.
    fn sector_size(&self) -> u32;
    /// Fills the buffer.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error>;
}

/// What a path can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole disk, or a part of one that the system shows as a disk.
    Disk,
    /// A regular file.
    File,
    /// Anything else.
    Other,
}

/// What a path that a person typed names in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The path without links, or the system's own way to write it.
    pub path: PathBuf,
    /// The size of a regular file; `None` for anything else.
    pub file: Option<Bytes>,
}

impl Named {
    /// Looks it up.
    ///
    /// # Errors
    /// When there is nothing of this name.
    pub fn resolve(path: &Path) -> io::Result<Self> {
        let path = sys::real_path(path)?;
        let file = match sys::kind_of_path(&path)? {
            Kind::File => Some(Bytes(path.metadata()?.len())),
            Kind::Disk | Kind::Other => None,
        };
        Ok(Self { path, file })
    }
}

/// The name by which [`crate::inventory`] knows the device behind a path. On Linux the number of the node decides, so that
/// another name of a disk is known as that disk, and what only has the name of a disk is none.
///
/// # Errors
/// When there is nothing of this name, or it is no disk.
#[cfg(feature = "inventory")]
pub fn disk_name(tree: &crate::Tree, path: &Path) -> Result<String, Error> {
    if sys::kind_of_path(path).map_err(Error::io("look at", path))? != Kind::Disk {
        return Err(Error::NotADisk(path.into()));
    }
    sys::disk_name(tree, path).map_err(Error::io("look at", path))
}

/// Bytes of a regular file.
fn length(file: &File, path: &Path) -> Result<Bytes, Error> {
    Ok(Bytes(file.metadata().map_err(Error::io("look at", path))?.len()))
}

/// A block device or a regular file that is only read, and by others at the same time.
#[derive(Debug)]
pub struct Readable {
    file: File,
    path: PathBuf,
    size: Bytes,
    sector_size: u32,
}

impl Readable {
    /// Opens it. A regular file says nothing of its sectors, so the caller does.
    pub fn open(path: &Path, file_sector_size: u32) -> Result<Self, Error> {
        let file = sys::open_quietly(path).map_err(Error::io("open", path))?;
        let (size, sector_size) = match sys::kind_of(&file, path).map_err(Error::io("look at", path))? {
            Kind::Disk => {
                let found = Identity::of(&file).map_err(Error::io("identify", path))?;
                (found.size, found.sector_size)
            }
            Kind::File => (length(&file, path)?, file_sector_size),
            Kind::Other => return Err(Error::NotADisk(path.into())),
        };
        Ok(Self { file, path: path.into(), size, sector_size })
    }
}

impl Source for Readable {
    fn path(&self) -> &Path {
        &self.path
    }

    fn size(&self) -> Bytes {
        self.size
    }

    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        sys::read_exact_at(&self.file, buffer, offset).map_err(Error::io("read", &self.path))
    }
}

/// What is written to as well.
pub trait Target: Source {
    /// Writes the whole buffer.
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), Error>;
    /// Returns when everything that was written is on the disk.
    fn sync(&self) -> Result<(), Error>;
    /// Forgets cached data, so that the next read comes from the disk. Call [`Target::sync`] before.
    fn forget_cache(&self) -> Result<(), Error>;
    /// Has the kernel read the partition table.
    fn reread_table(&self) -> Result<(), Error>;
    /// A part of the disk for a program that makes a file system.
    fn window(&self, offset: u64, size: Bytes) -> Result<Window, Error>;
    /// A ring of up to `depth` writes, which one thread has under way; `None` where the system has none for this target.
    fn writes(&self, _depth: usize) -> Option<Box<dyn Writes + '_>> {
        None
    }
}

/// A disk does not grow; a file would.
fn within(size: Bytes, offset: u64, length: usize) -> io::Result<()> {
    let end = offset.checked_add(length as u64);
    if end.is_some_and(|end| end <= size.0) { Ok(()) } else { Err(sys::beyond_the_end()) }
}

/// Where a program finds a part of a [`Target`]: `size` bytes from `offset` of `path`.
#[derive(Debug)]
pub struct Window {
    /// File or device to open.
    pub path: PathBuf,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub size: Bytes,
    _device: Option<LoopDevice>,
}

/// What must still be true of a disk when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The kernel's sequence number of the disk; `None` on old kernels, and on other systems.
    pub diskseq: Option<u64>,
    /// What the disk says of itself (maker, model, serial number), hashed; `None` where the system has `diskseq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<u64>,
    /// Size.
    pub size: Bytes,
    /// Bytes of a logical sector.
    pub sector_size: u32,
}

impl Identity {
    fn of(file: &File) -> io::Result<Self> {
        let size = Bytes(sys::device_size(file)?);
        let (diskseq, fingerprint) = (sys::disk_sequence(file)?, sys::fingerprint(file)?);
        Ok(Self { diskseq, fingerprint, size, sector_size: sys::sector_size(file)? })
    }

    /// Of a regular file, which has nothing else.
    pub fn of_file(size: Bytes, sector_size: u32) -> Self {
        Self { diskseq: None, fingerprint: None, size, sector_size }
    }

    /// Compares; a sequence number or fingerprint that only one side knows does not count.
    fn check(&self, path: &Path, found: &Self) -> Result<(), Error> {
        let differ =
            |property, expected, found| Err(Error::Identity { path: path.into(), property, expected, found });
        if self.size != found.size {
            return differ("size in bytes", self.size.0, found.size.0);
        }
        if self.sector_size != found.sector_size {
            return differ("sector size", self.sector_size.into(), found.sector_size.into());
        }
        let numbers = [
            ("sequence number", self.diskseq, found.diskseq),
            ("digest of model and serial number", self.fingerprint, found.fingerprint),
        ];
        for (property, expected, found) in numbers {
            if let (Some(expected), Some(found)) = (expected, found)
                && expected != found
            {
                return differ(property, expected, found);
            }
        }
        Ok(())
    }
}

/// Opens a block device or a regular file, whichever the path names.
///
/// A regular file has sectors of 512 bytes; `identity` is compared for both.
pub fn open(path: &Path, identity: &Identity) -> Result<Box<dyn Target>, Error> {
    Ok(open_with(path, identity, false)?)
}

/// As [`open`], past the kernel's cache where the system can: what is read then comes from the device. Buffers must
/// begin at multiples of 4096, offsets and lengths be multiples of the sector size.
pub fn open_direct(path: &Path, identity: &Identity) -> Result<Box<dyn Target + Send + Sync>, Error> {
    open_with(path, identity, true)
}

fn open_with(path: &Path, identity: &Identity, direct: bool) -> Result<Box<dyn Target + Send + Sync>, Error> {
    if sys::kind_of_path(path).map_err(Error::io("look at", path))? == Kind::Disk {
        return Ok(Box::new(BlockDevice::open_with(path, identity, direct)?));
    }
    let file = ImageFile::open_with(path, identity.sector_size, direct)?;
    identity.check(path, &Identity::of_file(file.size(), identity.sector_size))?;
    Ok(Box::new(file))
}

/// A device or file that is only read, past the kernel's cache where the system can; buffers as for [`open_direct`].
/// Others may use it meanwhile; writing to it fails.
pub fn open_read(path: &Path, sector_size: u32) -> Result<Box<dyn Target + Send + Sync>, Error> {
    let file = OpenFile::shared(sys::open_shared(path, false, true).map_err(Error::io("open", path))?);
    if sys::kind_of(&file, path).map_err(Error::io("look at", path))? == Kind::Disk {
        let identity = Identity::of(&file).map_err(Error::io("identify", path))?;
        return Ok(Box::new(BlockDevice { file, path: path.into(), identity, _held: Held::default() }));
    }
    let size = length(&file, path)?;
    Ok(Box::new(ImageFile { file, path: path.into(), size, sector_size }))
}

/// As [`open_read`], for the disk or partition that was chosen. `alone` fails while something uses it, and keeps it from
/// being mounted meanwhile; it says nothing of regular files.
#[cfg(target_os = "linux")]
pub fn open_source(
    path: &Path,
    identity: &Identity,
    alone: bool,
) -> Result<Box<dyn Source + Send + Sync>, Error> {
    if sys::kind_of_path(path).map_err(Error::io("look at", path))? != Kind::Disk {
        let file = Readable::open(path, identity.sector_size)?;
        identity.check(path, &Identity::of_file(file.size(), identity.sector_size))?;
        return Ok(Box::new(file));
    }
    let file = OpenFile::shared(sys::open_source(path, alone)?);
    let found = Identity::of(&file).map_err(Error::io("identify", path))?;
    identity.check(path, &found)?;
    Ok(Box::new(BlockDevice { file, path: path.into(), identity: found, _held: Held::default() }))
}

/// A disk that is held exclusively.
#[derive(Debug)]
pub struct BlockDevice {
    file: OpenFile,
    path: PathBuf,
    identity: Identity,
    // Dropped after the file.
    _held: Held,
}

impl BlockDevice {
    /// Opens a disk so that nobody else writes to it, and compares its identity on the open descriptor.
    pub fn open(path: &Path, identity: &Identity) -> Result<Self, Error> {
        Self::open_with(path, identity, false)
    }

    fn open_with(path: &Path, identity: &Identity, direct: bool) -> Result<Self, Error> {
        let (file, held) = sys::open_disk(path, direct)?;
        let found = Identity::of(&file).map_err(Error::io("identify", path))?;
        identity.check(path, &found)?;
        Ok(Self { file, path: path.into(), identity: found, _held: held })
    }

    /// A disk that was pulled out has no bytes for the kernel, which then speaks of an end or of no space left.
    fn explained(&self, operation: &'static str, error: io::Error) -> Error {
        let source = match sys::device_size(&self.file) {
            Ok(size) if size < self.identity.size.0 => sys::no_device(),
            _ => error,
        };
        Error::Io { operation, path: self.path.clone(), source }
    }
}

impl Source for BlockDevice {
    fn path(&self) -> &Path {
        &self.path
    }

    fn size(&self) -> Bytes {
        self.identity.size
    }

    fn sector_size(&self) -> u32 {
        self.identity.sector_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let read = sys::read_exact_at(&self.file, buffer, offset);
        read.map_err(|error| self.explained("read", error))
    }
}

impl Target for BlockDevice {
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), Error> {
        let written = sys::write_all_at(&self.file, buffer, offset);
        written.map_err(|error| self.explained("write", error))
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io("flush", &self.path))
    }

    fn forget_cache(&self) -> Result<(), Error> {
        sys::flush_buffers(&self.file).map_err(Error::io("flush the buffers of", &self.path))?;
        sys::forget_pages(&self.file).map_err(Error::io("forget the cache of", &self.path))
    }

    fn reread_table(&self) -> Result<(), Error> {
        sys::reread_table(&self.file).map_err(Error::io("read the partition table of", &self.path))
    }

    fn window(&self, offset: u64, size: Bytes) -> Result<Window, Error> {
        let device = LoopDevice::attach(&self.file, offset, size.0)?;
        Ok(Window { path: device.node().into(), offset: 0, size, _device: Some(device) })
    }

    fn writes(&self, depth: usize) -> Option<Box<dyn Writes + '_>> {
        writes::of(&self.file, self.identity.size, depth, |error| self.explained("write", error))
    }
}

/// A regular file that stands for a disk.
#[derive(Debug)]
pub struct ImageFile {
    file: OpenFile,
    path: PathBuf,
    size: Bytes,
    sector_size: u32,
}

impl ImageFile {
    /// Opens and locks an existing file; its length is the size of the disk.
    pub fn open(path: &Path, sector_size: u32) -> Result<Self, Error> {
        Self::open_with(path, sector_size, false)
    }

    fn open_with(path: &Path, sector_size: u32, direct: bool) -> Result<Self, Error> {
        let file = sys::open_shared(path, true, direct).map_err(Error::io("open", path))?;
        let file = OpenFile::locked(file).map_err(|source| Error::Busy { path: path.into(), source })?;
        let size = length(&file, path)?;
        Ok(Self { file, path: path.into(), size, sector_size })
    }
}

impl Source for ImageFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn size(&self) -> Bytes {
        self.size
    }

    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        sys::read_exact_at(&self.file, buffer, offset).map_err(Error::io("read", &self.path))
    }
}

impl Target for ImageFile {
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), Error> {
        within(self.size, offset, buffer.len())
            .and_then(|()| sys::write_all_at(&self.file, buffer, offset))
            .map_err(Error::io("write", &self.path))
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io("flush", &self.path))
    }

    fn forget_cache(&self) -> Result<(), Error> {
        sys::forget_pages(&self.file).map_err(Error::io("forget the cache of", &self.path))
    }

    fn reread_table(&self) -> Result<(), Error> {
        Ok(())
    }

    fn window(&self, offset: u64, size: Bytes) -> Result<Window, Error> {
        Ok(Window { path: self.path.clone(), offset, size, _device: None })
    }

    fn writes(&self, depth: usize) -> Option<Box<dyn Writes + '_>> {
        writes::of(&self.file, self.size, depth, |error| Error::io("write", &self.path)(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_names_what_changed() {
        let before = Identity { diskseq: Some(7), ..Identity::of_file(Bytes(1 << 30), 512) };
        let check = |now: Identity| before.check(Path::new("/dev/sdx"), &now).map_err(|e| e.to_string());
        assert_eq!(check(before), Ok(()));
        assert_eq!(check(Identity { diskseq: None, ..before }), Ok(()));
        let text = "/dev/sdx is no longer the chosen disk: its sequence number was 7 and is 9";
        assert_eq!(check(Identity { diskseq: Some(9), ..before }), Err(text.into()));
        let other = Identity { fingerprint: Some(2), ..before };
        assert_eq!(check(other), Ok(()));
        assert!(Identity { fingerprint: Some(1), ..before }.check(Path::new("x"), &other).is_err());
        assert!(check(Identity { size: Bytes(1), ..before }).is_err());
        assert!(check(Identity { sector_size: 4096, ..before }).is_err());
    }

    #[test]
    fn a_file_does_not_grow_and_has_one_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        File::create(&path).unwrap().set_len(4096).unwrap();
        let disk = ImageFile::open(&path, 512).unwrap();
        assert!(matches!(ImageFile::open(&path, 512), Err(Error::Busy { .. })));
        disk.write_at(4000, &[1; 96]).unwrap();
        assert!(disk.write_at(4000, &[1; 97]).is_err());
        assert!(disk.write_at(u64::MAX, &[1]).is_err());
        assert_eq!(path.metadata().unwrap().len(), 4096);
    }

    /// Elsewhere a child has only what it is handed.
    #[test]
    #[cfg(unix)]
    fn a_lock_ends_although_a_child_has_the_file_still() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        File::create(&path).unwrap().set_len(4096).unwrap();
        let disk = ImageFile::open(&path, 512).unwrap();
        // As a child has it between its fork and the start of its program.
        let inherited = disk.file.try_clone().unwrap();
        drop(disk);
        ImageFile::open(&path, 512).unwrap();
        drop(inherited);
    }
}
