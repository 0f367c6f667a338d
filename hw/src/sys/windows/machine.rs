//! What Windows is asked about its machine.

use std::{io, path::Path};

#[cfg(feature = "inventory")]
use windows_sys::Win32::{
    Foundation::{ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND},
    System::{
        Ioctl::{
            IOCTL_DISK_GET_DISK_ATTRIBUTES, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, IOCTL_DISK_GET_DRIVE_LAYOUT_EX,
            IOCTL_DISK_IS_WRITABLE, IOCTL_STORAGE_QUERY_PROPERTY,
        },
        Registry::{HKEY_LOCAL_MACHINE, RRF_RT_REG_MULTI_SZ, RRF_RT_REG_SZ, RegGetValueW},
        SystemInformation::GetSystemWindowsDirectoryW,
    },
};
use windows_sys::Win32::{
    Foundation::{
        ERROR_INVALID_FUNCTION, ERROR_NO_MEDIA_IN_DRIVE, ERROR_NO_MORE_FILES, ERROR_NOT_READY,
        ERROR_NOT_SUPPORTED, INVALID_HANDLE_VALUE,
    },
    Storage::FileSystem::{
        FindFirstVolumeW, FindNextVolumeW, FindVolumeClose, GetDriveTypeW, GetVolumeInformationW,
        GetVolumePathNamesForVolumeNameW, IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS, QueryDosDeviceW,
    },
    System::Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SetThreadErrorMode},
};

use super::{ask, is, open_to_ask};
#[cfg(feature = "inventory")]
use super::{disk_path, open_quietly, property};
use crate::windows::Volume;
#[cfg(feature = "inventory")]
use crate::windows::{Api, Question};

/// `DRIVE_CDROM` of winbase.h.
const DRIVE_CDROM: u32 = 5;
/// Characters of the longest list of paths.
const LIST: usize = 32 << 10;

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn text(units: &[u16]) -> String {
    String::from_utf16_lossy(units.split(|unit| *unit == 0).next().unwrap_or_default())
}

/// Texts that end with one zero each.
fn texts(units: &[u16]) -> Vec<String> {
    units.split(|unit| *unit == 0).filter(|units| !units.is_empty()).map(String::from_utf16_lossy).collect()
}

fn room(buffer: &[u16]) -> u32 {
    u32::try_from(buffer.len()).unwrap_or(u32::MAX)
}

/// Every volume that is on a disk or may be.
pub(super) fn volumes() -> io::Result<Vec<Volume>> {
    // Without it, an empty card reader is answered by a window that asks for a card.
    // SAFETY: the second argument may be null.
    unsafe { SetThreadErrorMode(SEM_FAILCRITICALERRORS, std::ptr::null_mut()) };
    let mut found = Vec::new();
    for name in names()? {
        // SAFETY: the text ends with a zero and lives through the call.
        let kind = unsafe { GetDriveTypeW(wide(&name).as_ptr()) };
        if kind == DRIVE_CDROM {
            continue;
        }
        let extents = open_to_ask(Path::new(name.trim_end_matches('\\')))
            .and_then(|volume| ask(&volume, IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS, &[]));
        let extents = match extents {
            Ok(extents) => extents,
            // A drive without a medium, and a volume that is on no disk.
            Err(error) if not_on_a_disk(&error) => continue,
            Err(_unknown) => Vec::new(),
        };
        let (device, paths, content) = (device(&name), paths(&name), content(&name));
        found.push(Volume { name, device, extents, paths, content });
    }
    Ok(found)
}

fn not_on_a_disk(error: &io::Error) -> bool {
    let codes = [ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED, ERROR_NOT_READY, ERROR_NO_MEDIA_IN_DRIVE];
    codes.iter().any(|code| is(error, *code))
}

fn names() -> io::Result<Vec<String>> {
    let mut buffer = vec![0u16; 1024];
    // SAFETY: the buffer is as long as is said.
    let search = unsafe { FindFirstVolumeW(buffer.as_mut_ptr(), room(&buffer)) };
    if search == INVALID_HANDLE_VALUE {
        let error = io::Error::last_os_error();
        return if is(&error, ERROR_NO_MORE_FILES) { Ok(Vec::new()) } else { Err(error) };
    }
    let mut names = vec![text(&buffer)];
    let end = loop {
        // SAFETY: the search is open, and the buffer is as long as is said.
        if unsafe { FindNextVolumeW(search, buffer.as_mut_ptr(), room(&buffer)) } == 0 {
            break io::Error::last_os_error();
        }
        names.push(text(&buffer));
    };
    // SAFETY: the search is open, and not used again.
    unsafe { FindVolumeClose(search) };
    if is(&end, ERROR_NO_MORE_FILES) { Ok(names) } else { Err(end) }
}

/// `\Device\HarddiskVolume3`.
fn device(volume: &str) -> Option<String> {
    let name = wide(volume.trim_start_matches(r"\\?\").trim_end_matches('\\'));
    let mut buffer = vec![0u16; 1024];
    // SAFETY: the name ends with a zero; the buffer is as long as is said.
    let length = unsafe { QueryDosDeviceW(name.as_ptr(), buffer.as_mut_ptr(), room(&buffer)) };
    (length > 0).then(|| text(&buffer))
}

fn paths(volume: &str) -> Vec<String> {
    let name = wide(volume);
    let mut buffer = vec![0u16; LIST];
    let mut length = 0;
    // SAFETY: the name ends with a zero; the buffer is as long as is said.
    let done = unsafe {
        GetVolumePathNamesForVolumeNameW(name.as_ptr(), buffer.as_mut_ptr(), room(&buffer), &raw mut length)
    };
    if done == 0 { Vec::new() } else { texts(&buffer) }
}

fn content(volume: &str) -> Option<(String, u32, String)> {
    let name = wide(volume);
    let (mut label, mut kind, mut serial) = ([0u16; 261], [0u16; 261], 0);
    let null = std::ptr::null_mut();
    // SAFETY: the name ends with a zero; both buffers are as long as is said; the others may be null.
    let done = unsafe {
        GetVolumeInformationW(
            name.as_ptr(),
            label.as_mut_ptr(),
            room(&label),
            &raw mut serial,
            null,
            null,
            kind.as_mut_ptr(),
            room(&kind),
        )
    };
    (done != 0).then(|| (text(&label), serial, text(&kind)))
}

/// The machine that the program runs on.
#[cfg(feature = "inventory")]
#[derive(Debug)]
pub(crate) struct System;

#[cfg(feature = "inventory")]
impl Api for System {
    fn ask(&self, disk: u32, question: Question) -> io::Result<Option<Vec<u8>>> {
        // To be writable is told only to those who may read.
        let opened = match question {
            Question::Writable => open_quietly(&disk_path(disk)),
            _ => open_to_ask(&disk_path(disk)),
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) if is(&error, ERROR_FILE_NOT_FOUND) || is(&error, ERROR_PATH_NOT_FOUND) => {
                return Ok(None);
            }
            Err(error) if is(&error, ERROR_ACCESS_DENIED) && question == Question::Writable => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // StorageDeviceProperty, StorageAccessAlignmentProperty, StorageDeviceSeekPenaltyProperty.
        let (code, input) = match question {
            Question::Descriptor => (IOCTL_STORAGE_QUERY_PROPERTY, property(0).to_vec()),
            Question::Alignment => (IOCTL_STORAGE_QUERY_PROPERTY, property(6).to_vec()),
            Question::SeekPenalty => (IOCTL_STORAGE_QUERY_PROPERTY, property(7).to_vec()),
            Question::Geometry => (IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, Vec::new()),
            Question::Layout => (IOCTL_DISK_GET_DRIVE_LAYOUT_EX, Vec::new()),
            Question::Attributes => (IOCTL_DISK_GET_DISK_ATTRIBUTES, Vec::new()),
            Question::Writable => (IOCTL_DISK_IS_WRITABLE, Vec::new()),
        };
        ask(&file, code, &input).map(Some)
    }

    fn volumes(&self) -> io::Result<Vec<Volume>> {
        volumes()
    }

    fn system_directory(&self) -> Option<String> {
        let mut buffer = vec![0u16; 1024];
        // SAFETY: the buffer is as long as is said.
        let length = unsafe { GetSystemWindowsDirectoryW(buffer.as_mut_ptr(), room(&buffer)) };
        (length > 0).then(|| text(&buffer))
    }

    fn boot_device(&self) -> Option<String> {
        registry(r"SYSTEM\Setup", "SystemPartition", RRF_RT_REG_SZ).ok()?.into_iter().next()
    }

    fn page_files(&self) -> io::Result<Vec<String>> {
        let key = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management";
        match registry(key, "ExistingPageFiles", RRF_RT_REG_MULTI_SZ) {
            Err(error) if is(&error, ERROR_FILE_NOT_FOUND) => Ok(Vec::new()),
            files => files,
        }
    }
}

/// Texts of a value of the registry.
#[cfg(feature = "inventory")]
fn registry(key: &str, value: &str, kind: u32) -> io::Result<Vec<String>> {
    let (key, value) = (wide(key), wide(value));
    let mut buffer = vec![0u16; LIST];
    let mut bytes = room(&buffer) * 2;
    // SAFETY: both names end with a zero; the buffer is as long as is said.
    let code = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            key.as_ptr(),
            value.as_ptr(),
            kind,
            std::ptr::null_mut(),
            buffer.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    match code {
        0 => Ok(texts(&buffer)),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}
