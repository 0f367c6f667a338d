//! The medium of the running live system as an image for other sticks.
//!
//! Nothing of the medium is signed as a whole, because its manifest is a part of it. So every file is compared with the
//! manifest that the initramfs verified, and the bytes between them are taken as they are: they are tables and directories,
//! and whoever starts from the copy verifies the same manifest and the same files again.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use aegis_core::{
    crypto::Sha256,
    manifest::{self, Manifest, path},
    probe::iso9660::{self, Volume},
};
use aegis_hw::{
    Bytes, tables,
    target::{self, Readable, Source},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    flash::{
        buffer::{Aligned, CHUNK},
        format::Format,
        image::{Expected, ImageFile},
    },
    reports::{Observer, Reports},
};

/// What a check is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The files are compared with the manifest.
    Files,
    /// The whole image is read.
    Image,
}

/// The medium that is mounted at `medium`, whose verified manifest is in `state`, as an image of its exact length.
///
/// # Errors
/// When this is no live system, when the medium cannot be read, and when a file is not what the manifest says.
pub fn as_image<'a>(
    medium: &Path,
    state: &Path,
    observer: &'a mut Observer<'a, Phase>,
) -> Result<ImageFile, Error> {
    let device = device(state)?;
    let verified = state.join("manifest.json");
    let manifest = fs::read(&verified).map_err(Error::io("read", &verified))?;
    let files = Manifest::from_verified(&manifest).map_err(Error::Manifest)?.files;
    let mut reports = Reports::start(observer, Phase::Files, files.values().map(|file| file.size).sum());
    compare(medium, path::MANIFEST, &manifest)?;
    check_files(medium, &files, &mut reports)?;

    let source = target::open_read(&device, 512)?;
    let length = length(source.as_ref())?;
    // Through the cache: the table is read by sectors, which drives of discs do not have.
    let head = tables::first_bytes(&Readable::open(&device, 512)?, length)?;
    reports.enter(Phase::Image, length.0);
    let digest = hash(source.as_ref(), length, &head, &mut reports)?;
    let by = format!("this system's medium, whose files are those of {}", path::MANIFEST);
    let expected = Some(Expected { digest: digest.to_string(), by, of_content: false });
    Ok(ImageFile {
        path: device,
        format: Format::Raw,
        size: length.0,
        expected,
        map: None,
        head,
        stream: None,
    })
}

/// The device that the live system came from.
fn device(state: &Path) -> Result<PathBuf, Error> {
    #[derive(Deserialize)]
    struct Boot {
        medium_device: Option<PathBuf>,
    }
    let record = state.join("boot.json");
    let text = match fs::read(&record) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NotLive),
        other => other.map_err(Error::io("read", &record))?,
    };
    let boot: Boot = serde_json::from_slice(&text).map_err(|e| Error::io("parse", record)(e.into()))?;
    boot.medium_device.ok_or(Error::NotLive)
}

/// The length that the image's own file system says.
fn length(source: &dyn Source) -> Result<Bytes, Error> {
    let mut block = Aligned::new(4096);
    source.read_at(iso9660::POSITION, &mut block)?;
    let volume = Volume::parse(&block[..iso9660::SIZE]);
    let size = volume.map_or(Bytes(0), |volume| Bytes(volume.size));
    if size > Bytes(0) && size <= source.size() {
        return Ok(size);
    }
    let path = source.path().display().to_string();
    let (expected, found) = (format!("an image within {}", source.size()), size.to_string());
    Err(Error::Medium { path, expected, found })
}

fn compare(medium: &Path, name: &str, expected: &[u8]) -> Result<(), Error> {
    let path = medium.join(name);
    let found = fs::read(&path).map_err(Error::io("read", path))?;
    if found == expected {
        return Ok(());
    }
    let (expected, found) = (Sha256::of(expected).to_string(), Sha256::of(&found).to_string());
    Err(Error::Medium { path: name.into(), expected, found })
}

fn check_files(
    medium: &Path,
    files: &BTreeMap<String, manifest::File>,
    reports: &mut Reports<'_, Phase>,
) -> Result<(), Error> {
    let mut buffer = vec![0; CHUNK];
    let mut read = 0;
    for (name, listed) in files {
        let path = medium.join(name);
        let mut file = File::open(&path).map_err(Error::io("open", &path))?;
        let mut hasher = Sha256::new();
        loop {
            let length = file.read(&mut buffer).map_err(Error::io("read", &path))?;
            if length == 0 {
                break;
            }
            hasher.update(&buffer[..length]);
            read += length as u64;
            if !reports.tick(read) {
                return Err(Error::Cancelled);
            }
        }
        let found = hasher.finish();
        if found != listed.sha256 {
            let (expected, found) = (listed.sha256.to_string(), found.to_string());
            return Err(Error::Medium { path: name.clone(), expected, found });
        }
    }
    Ok(())
}

/// SHA-256 of what will be written, so that a medium that reads differently the next time is found out.
fn hash(
    source: &dyn Source,
    length: Bytes,
    head: &[u8],
    reports: &mut Reports<'_, Phase>,
) -> Result<aegis_core::hex::Digest, Error> {
    let mut buffer = Aligned::new(CHUNK);
    let sector = usize::try_from(source.sector_size()).unwrap_or(512);
    let mut hasher = Sha256::new();
    let mut offset = 0;
    while offset < length.0 {
        let part = usize::try_from(length.0 - offset).unwrap_or(CHUNK).min(CHUNK);
        let sectors = part.next_multiple_of(sector).min(CHUNK);
        source.read_at(offset, &mut buffer[..sectors])?;
        if offset == 0 {
            buffer[..head.len()].copy_from_slice(head);
        }
        hasher.update(&buffer[..part]);
        offset += part as u64;
        if !reports.tick(offset) {
            return Err(Error::Cancelled);
        }
    }
    Ok(hasher.finish())
}
