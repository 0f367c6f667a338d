//! Windows: disks as `\\.\PhysicalDriveN`, their volumes, overlapped reading and writing.

use std::{
    fs::{File, OpenOptions},
    io,
    os::windows::{
        fs::OpenOptionsExt,
        io::{AsRawHandle, FromRawHandle, OwnedHandle},
    },
    path::{Path, PathBuf},
    ptr, thread,
    time::Duration,
};

use windows_sys::Win32::{
    Foundation::{ERROR_HANDLE_EOF, ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION, HANDLE},
    Storage::FileSystem::{
        FILE_FLAG_NO_BUFFERING, FILE_FLAG_OVERLAPPED, FILE_FLAG_WRITE_THROUGH, FILE_SHARE_READ,
        FILE_SHARE_WRITE, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, ReadFile,
        WriteFile,
    },
    System::{
        IO::{DeviceIoControl, GetOverlappedResult, OVERLAPPED},
        Ioctl::{
            FSCTL_DISMOUNT_VOLUME, FSCTL_LOCK_VOLUME, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX,
            IOCTL_DISK_GET_LENGTH_INFO, IOCTL_DISK_IS_WRITABLE, IOCTL_DISK_UPDATE_PROPERTIES,
            IOCTL_STORAGE_QUERY_PROPERTY,
        },
        Threading::CreateEventW,
    },
};

use super::OpenFile;
use crate::{error::Error, target::Kind, windows::answers};

mod errors;
mod machine;
mod session;

use errors::is;
pub(crate) use errors::*;
#[cfg(feature = "inventory")]
pub(crate) use machine::System;
pub use session::{Awake, Interrupts};

/// Bytes of the longest answer that is read: a table of 128 partitions has 18 KiB.
const ANSWER: usize = 64 << 10;
/// Indexers and virus scanners let go of a volume after a moment.
const LOCK_ATTEMPTS: u32 = 30;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Starts an operation at a place and waits for its end: the bytes that it moved.
///
/// # Safety
/// What `start` gives to the system besides the state must live until this returns.
unsafe fn wait_for(
    file: &File,
    offset: u64,
    start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32,
) -> io::Result<usize> {
    // SAFETY: no pointers but null; the handle that comes back is checked.
    let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
    if event.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is a handle that nobody else owns.
    let event = unsafe { OwnedHandle::from_raw_handle(event) };
    let mut state = OVERLAPPED::default();
    let [low, high] =
        [offset & 0xffff_ffff, offset >> 32].map(|half| u32::try_from(half).unwrap_or_default());
    state.Anonymous.Anonymous.Offset = low;
    state.Anonymous.Anonymous.OffsetHigh = high;
    state.hEvent = event.as_raw_handle();
    if start(file.as_raw_handle(), &raw mut state) == 0 {
        let error = io::Error::last_os_error();
        if !is(&error, ERROR_IO_PENDING) {
            return Err(error);
        }
    }
    let mut moved = 0;
    // SAFETY: the file is open; state and event live until the operation ended, for which this waits.
    match unsafe { GetOverlappedResult(file.as_raw_handle(), &raw const state, &raw mut moved, 1) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(moved as usize),
    }
}

/// Length of a buffer for the system; what is longer is done in parts.
fn length(buffer: &[u8]) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(1 << 30)
}

/// Asks a device; the bytes of the answer.
pub(super) fn ask(file: &File, code: u32, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut answer = vec![0u8; ANSWER];
    let (given, room) = (length(question), length(&answer));
    let (from, to) = (question.as_ptr(), answer.as_mut_ptr());
    // SAFETY: both buffers are as long as is said, and live until the operation ended.
    let moved = unsafe {
        wait_for(file, 0, |handle, state| {
            DeviceIoControl(handle, code, from.cast(), given, to.cast(), room, ptr::null_mut(), state)
        })
    }?;
    answer.truncate(moved);
    Ok(answer)
}

/// `STORAGE_PROPERTY_QUERY` for a property, as it is.
pub(super) fn property(id: i32) -> [u8; 12] {
    let mut query = [0; 12];
    query[..4].copy_from_slice(&id.to_le_bytes());
    query
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer of the disk is too short")
}

/// Size of a disk in bytes.
pub(crate) fn device_size(file: &File) -> io::Result<u64> {
    answers::length(&ask(file, IOCTL_DISK_GET_LENGTH_INFO, &[])?).ok_or_else(no_answer)
}

/// Bytes of a logical sector.
pub(crate) fn sector_size(file: &File) -> io::Result<u32> {
    let found = answers::geometry(&ask(file, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, &[])?);
    found.map(|(_, sector)| sector).ok_or_else(no_answer)
}

/// Windows does not number the appearances of disks; see [`fingerprint`].
pub(crate) fn disk_sequence(_file: &File) -> io::Result<Option<u64>> {
    Ok(None)
}

/// What an open disk says of itself, hashed.
pub(crate) fn fingerprint(file: &File) -> io::Result<Option<u64>> {
    let answer = ask(file, IOCTL_STORAGE_QUERY_PROPERTY, &property(0))?;
    Ok(answers::Descriptor::read(&answer).map(|found| found.fingerprint()))
}

/// Nothing is held: disks are opened past the cache, and files are flushed by their own.
pub(crate) fn flush_buffers(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Windows has no such call; see [`flush_buffers`].
pub(crate) fn forget_pages(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Has Windows read the partition table again.
pub(crate) fn reread_table(file: &File) -> io::Result<()> {
    ask(file, IOCTL_DISK_UPDATE_PROPERTIES, &[]).map(drop)
}

/// Releases the lock.
pub(crate) fn unlock(_file: &File) -> io::Result<()> {
    // Windows does so when the file is closed, which follows; handles are not inherited.
    Ok(())
}

/// Takes the exclusive lock of a file without waiting: one byte where no file ends, as locked bytes cannot be read.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: nothing is given to the system besides the state.
    let locked = unsafe {
        wait_for(file, i64::MAX as u64 - 1, |handle, state| LockFileEx(handle, flags, 0, 1, 0, state))
    };
    locked.map(drop).map_err(|error| match is(&error, ERROR_LOCK_VIOLATION) {
        true => io::Error::new(io::ErrorKind::WouldBlock, error),
        false => error,
    })
}

/// Fills the buffer; several threads may do so at once.
pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "failed to fill whole buffer")),
            count => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
        }
    }
    Ok(())
}

/// Reads up to a bufferful.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let (to, room) = (buffer.as_mut_ptr(), length(buffer));
    // SAFETY: the buffer is as long as is said, and lives until the operation ended.
    let read =
        unsafe { wait_for(file, offset, |handle, state| ReadFile(handle, to, room, ptr::null_mut(), state)) };
    read.or_else(|error| if is(&error, ERROR_HANDLE_EOF) { Ok(0) } else { Err(error) })
}

/// Writes the whole buffer; several threads may do so at once.
pub(crate) fn write_all_at(file: &File, mut buffer: &[u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let (from, given) = (buffer.as_ptr(), length(buffer));
        // SAFETY: the buffer is as long as is said, and lives until the operation ended.
        let count = unsafe {
            wait_for(file, offset, |handle, state| WriteFile(handle, from, given, ptr::null_mut(), state))
        }?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        buffer = &buffer[count..];
        offset += count as u64;
    }
    Ok(())
}

/// The number of the disk that a path names: `\\.\PhysicalDrive1`, or the last word alone.
fn disk_number(path: &Path) -> Option<u32> {
    let text = path.to_str()?;
    let text = [r"\\.\", r"\\?\", "//./"].iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text);
    let (word, digits) = text.split_at_checked("PhysicalDrive".len())?;
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    (plain && word.eq_ignore_ascii_case("PhysicalDrive")).then(|| digits.parse().ok())?
}

/// Whether a path names a device of another kind, such as a volume.
fn is_device(path: &Path) -> bool {
    let text = path.to_string_lossy().replace('/', r"\");
    let text = text.to_ascii_lowercase();
    text.starts_with(r"\\.\") || text.starts_with(r"\\?\volume{") || text.starts_with(r"\\?\globalroot")
}

fn disk_path(number: u32) -> PathBuf {
    PathBuf::from(format!(r"\\.\PhysicalDrive{number}"))
}

/// A handle that may ask, and neither read nor write; this needs no rights.
pub(super) fn open_to_ask(path: &Path) -> io::Result<File> {
    OpenOptions::new().access_mode(0).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE).open(path)
}

/// The path without links; of a disk, as Windows writes it.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    if let Some(number) = disk_number(path) {
        return open_to_ask(&disk_path(number)).map(|_there| disk_path(number));
    }
    if is_device(path) {
        return Ok(path.into());
    }
    let real = path.canonicalize()?;
    // Programs and people expect `C:\image`, not `\\?\C:\image`.
    let plain = real.to_str().and_then(|text| text.strip_prefix(r"\\?\"));
    let plain = plain.filter(|text| text.len() < 250 && text.as_bytes().get(1) == Some(&b':'));
    Ok(plain.map_or_else(|| real.clone(), PathBuf::from))
}

/// The name of the disk.
#[cfg(feature = "inventory")]
pub(crate) fn disk_name(_tree: &crate::Tree, path: &Path) -> io::Result<String> {
    let number = disk_number(path).ok_or(io::ErrorKind::NotFound)?;
    Ok(crate::windows::disks::name(number))
}

/// What a path names.
pub(crate) fn kind_of_path(path: &Path) -> io::Result<Kind> {
    match disk_number(path) {
        Some(_) => Ok(Kind::Disk),
        None if is_device(path) => Ok(Kind::Other),
        None => Ok(if path.metadata()?.is_file() { Kind::File } else { Kind::Other }),
    }
}

/// What was opened.
pub(crate) fn kind_of(_file: &File, path: &Path) -> io::Result<Kind> {
    kind_of_path(path)
}

/// Opens a file or device for reading.
pub(crate) fn open_quietly(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(device_or(path))
}

fn device_or(path: &Path) -> PathBuf {
    disk_number(path).map_or_else(|| path.into(), disk_path)
}

/// Volumes that are locked, and stay so as long as their handles are open.
#[derive(Debug, Default)]
pub(crate) struct Held(#[expect(dead_code, reason = "closing a handle unlocks the volume")] Vec<File>);

/// Locks and dismounts every volume of a disk, and opens it so that nobody else writes to it.
pub(crate) fn open_disk(path: &Path, direct: bool) -> Result<(OpenFile, Held), Error> {
    let number = disk_number(path).ok_or_else(|| Error::NotADisk(path.into()))?;
    let held = Held(lock_volumes(path, number)?);
    let flags =
        FILE_FLAG_OVERLAPPED | if direct { FILE_FLAG_NO_BUFFERING | FILE_FLAG_WRITE_THROUGH } else { 0 };
    let open = |share| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .share_mode(share)
            .custom_flags(flags)
            .open(disk_path(number))
    };
    // A program that only reads, such as one that shows the health of disks, does no harm.
    let file =
        open(0).or_else(
            |error| if is(&error, ERROR_SHARING_VIOLATION) { open(FILE_SHARE_READ) } else { Err(error) },
        );
    let file = file.map_err(|source| match is(&source, ERROR_SHARING_VIOLATION) {
        true => Error::Busy { path: path.into(), source },
        false => Error::io("open", path)(source),
    })?;
    ask(&file, IOCTL_DISK_IS_WRITABLE, &[]).map_err(Error::io("write", path))?;
    // How it was opened keeps others away.
    Ok((OpenFile::shared(file), held))
}

fn lock_volumes(path: &Path, number: u32) -> Result<Vec<File>, Error> {
    let mut locked = Vec::new();
    for volume in machine::volumes().map_err(Error::io("list the volumes of", path))? {
        let on = answers::extents(&volume.extents).unwrap_or_default();
        if !on.iter().any(|(disk, ..)| *disk == number) {
            continue;
        }
        let name = volume.paths.first().unwrap_or(&volume.name);
        if on.iter().any(|(disk, ..)| *disk != number) {
            let source = io::Error::new(io::ErrorKind::ResourceBusy, "the volume is on other disks too");
            return Err(Error::Busy { path: name.into(), source });
        }
        let handle = OpenOptions::new()
            .read(true)
            .write(true)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .open(volume.name.trim_end_matches('\\'));
        let handle = handle.map_err(Error::io("open", name))?;
        lock_volume(&handle).map_err(|source| Error::Busy { path: name.into(), source })?;
        ask(&handle, FSCTL_DISMOUNT_VOLUME, &[]).map_err(Error::io("dismount", name))?;
        locked.push(handle);
    }
    Ok(locked)
}

fn lock_volume(volume: &File) -> io::Result<()> {
    let mut attempt = 1;
    loop {
        match ask(volume, FSCTL_LOCK_VOLUME, &[]) {
            Ok(_) => return Ok(()),
            Err(error) if attempt == LOCK_ATTEMPTS => return Err(error),
            Err(_in_use) => thread::sleep(LOCK_PAUSE),
        }
        attempt += 1;
    }
}

/// Opens a disk or regular file that others use too. Disks are read past the cache where that is asked for; files are not,
/// as they may lie on a disk with larger sectors than they stand for.
pub(crate) fn open_shared(path: &Path, write: bool, direct: bool) -> io::Result<File> {
    let past = if direct && disk_number(path).is_some() { FILE_FLAG_NO_BUFFERING } else { 0 };
    OpenOptions::new().read(true).write(write).custom_flags(FILE_FLAG_OVERLAPPED | past).open(device_or(path))
}

/// A file that is created has the rights that its directory hands on.
pub(crate) fn with_mode(options: &mut OpenOptions, _mode: u32) -> &mut OpenOptions {
    options
}

/// NTFS keeps names in its journal, and a directory cannot be flushed.
pub(crate) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// What to do where rights are missing.
pub(crate) const MORE_RIGHTS: &str = "start it from a terminal that runs as administrator";

/// Windows has no loop devices; none is ever made.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_disks() {
        let number = |text: &str| disk_number(Path::new(text));
        for text in [r"\\.\PhysicalDrive12", r"\\?\physicaldrive12", "PHYSICALDRIVE12", "//./PhysicalDrive12"]
        {
            assert_eq!(number(text), Some(12), "{text}");
        }
        for text in [
            "PhysicalDrive",
            "PhysicalDrive+1",
            "PhysicalDrive01",
            r"\\.\PhysicalDrive1\x",
            "C:",
            "PhysicalDrive1 ",
            "\u{e9}",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
        assert!(is_device(Path::new(r"\\.\E:")) && is_device(Path::new("//./E:")));
        assert!(is_device(Path::new(r"\\?\Volume{1}\")) && !is_device(Path::new(r"\\?\C:\image")));
    }

    #[test]
    fn a_file_is_read_and_written_at_places_by_several_threads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let file = open_shared(&path, true, true).unwrap();
        thread::scope(|scope| {
            for part in 0..8u8 {
                let file = &file;
                scope.spawn(move || {
                    let mut read = vec![0; 4096];
                    for at in 0..32 {
                        let offset = u64::from(part) * (128 << 10) + at * 4096;
                        write_all_at(file, &[part + 1; 4096], offset).unwrap();
                        read_exact_at(file, &mut read, offset).unwrap();
                        assert_eq!(read, [part + 1; 4096]);
                    }
                });
            }
        });
        let mut buffer = [0; 10];
        assert_eq!(read_at(&file, &mut buffer, 1 << 20).unwrap(), 0);
        let error = read_exact_at(&file, &mut buffer, (1 << 20) - 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let other = open_shared(&path, true, false).unwrap();
        lock(&file).unwrap();
        assert_eq!(lock(&other).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // A locked file can be read.
        read_exact_at(&other, &mut buffer, 0).unwrap();
        assert_eq!(buffer, [1; 10]);
    }
}
