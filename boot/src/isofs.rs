//! Reads an ISO 9660 image with Rock Ridge names, enough to verify a medium without mounting it.
//!
//! Follows ECMA-119 (volume descriptors, directory records) and the Rock Ridge `NM` entry. Every offset and length is checked
//! against the file: the bytes may come from anywhere.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

const SECTOR: u64 = 2048;

/// Directories below the root that are followed.
const DEPTH: usize = 12;

/// An open image.
pub struct Iso {
    file: File,
    path: PathBuf,
    /// Every regular file: its extents in bytes from the start of the image.
    pub files: BTreeMap<String, Vec<Extent>>,
    /// Directories and tables of paths.
    pub structures: Vec<Extent>,
}

/// A run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte in the image.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

impl Iso {
    /// Opens an image and reads its directories.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("opening", path))?;
        let length = file.metadata().map_err(Error::io("reading", path))?.len();
        let mut iso = Self { file, path: path.into(), files: BTreeMap::new(), structures: Vec::new() };
        let descriptor = iso.read(Extent { offset: 16 * SECTOR, size: SECTOR })?;
        if descriptor.get(1..6) != Some(b"CD001") || descriptor[0] != 1 {
            return Err(iso.bad("it has no ISO 9660 volume descriptor"));
        }
        let needed = u64::from(le32(&descriptor, 80).unwrap_or(0)) * SECTOR;
        if length < needed {
            return Err(iso.bad(&format!("it has {length} bytes and needs {needed}")));
        }
        let root = record(&descriptor[156..190]).ok_or_else(|| iso.bad("its root directory is damaged"))?;
        iso.structures = path_tables(&descriptor);
        iso.directory("", root.extent, DEPTH)?;
        Ok(iso)
    }

    fn bad(&self, reason: &str) -> Error {
        Error::Iso { path: self.path.clone(), reason: reason.into() }
    }

    fn directory(&mut self, prefix: &str, extent: Extent, depth: usize) -> Result<()> {
        if depth == 0 || extent.size > 1 << 20 {
            return Err(self.bad("its directories are too deep or too large"));
        }
        let bytes = self.read(extent)?;
        self.structures.push(extent);
        let mut at = 0;
        while at < bytes.len() {
            let length = usize::from(bytes[at]);
            if length == 0 {
                // Records do not cross sectors; the rest of this one is empty.
                at = (at + 1).next_multiple_of(2048);
                continue;
            }
            let found = bytes.get(at..at + length).and_then(record);
            let found = found.ok_or_else(|| self.bad("one of its directories is damaged"))?;
            at += length;
            let path = format!("{prefix}{}", found.name);
            match (found.special, found.directory) {
                (true, _) => {}
                (false, true) => self.directory(&format!("{path}/"), found.extent, depth - 1)?,
                // A file of 4 GiB or more has several records in a row.
                (false, false) => self.files.entry(path).or_default().push(found.extent),
            }
        }
        Ok(())
    }

    fn read(&mut self, extent: Extent) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(extent.size).unwrap_or(0)];
        let cut = |source| Error::Io { doing: "reading", path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(extent.offset)).map_err(cut)?;
        match self.file.read_exact(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.bad("it ends before its content does"))
            }
            Err(error) => Err(Error::Io { doing: "reading", path: self.path.clone(), source: error }),
            Ok(()) => Ok(bytes),
        }
    }

    /// The content of a small file.
    pub fn content(&mut self, path: &str) -> Result<Vec<u8>> {
        let extents = self.files.get(path).cloned();
        let extents =
            extents.ok_or_else(|| Error::Listing { path: path.into(), problem: "is not on the medium" })?;
        if extents.iter().map(|extent| extent.size).sum::<u64>() > 16 << 20 {
            return Err(self.bad("a file that should be small is not"));
        }
        extents.into_iter().try_fold(Vec::new(), |mut all, extent| {
            all.extend(self.read(extent)?);
            Ok(all)
        })
    }

    /// Hands the content of a file to `sink` in pieces.
    pub fn stream(&mut self, path: &str, mut sink: impl FnMut(&[u8])) -> Result<()> {
        for extent in self.files.get(path).cloned().unwrap_or_default() {
            let mut done = 0;
            while done < extent.size {
                let size = (extent.size - done).min(1 << 20);
                sink(&self.read(Extent { offset: extent.offset + done, size })?);
                done += size;
            }
        }
        Ok(())
    }
}

/// The path tables that a volume descriptor names: little-endian, big-endian, and a copy of each.
fn path_tables(descriptor: &[u8]) -> Vec<Extent> {
    let size = u64::from(le32(descriptor, 132).unwrap_or(0));
    let places = [140, 144, 148, 152].map(|at| le32(descriptor, at).unwrap_or(0));
    let little = places.map(u64::from);
    let big = places.map(|place| u64::from(place.swap_bytes()));
    let all = [little[0], little[1], big[2], big[3]];
    all.into_iter().filter(|place| *place != 0).map(|place| Extent { offset: place * SECTOR, size }).collect()
}

struct Record {
    name: String,
    extent: Extent,
    directory: bool,
    special: bool,
}

/// A directory record (ECMA-119, 9.1).
fn record(bytes: &[u8]) -> Option<Record> {
    let name_length = usize::from(*bytes.get(32)?);
    let name = bytes.get(33..33 + name_length)?;
    let special = matches!(name, [0] | [1]);
    let system_use = bytes.get(33 + name_length + usize::from(name_length % 2 == 0)..).unwrap_or_default();
    let plain = String::from_utf8_lossy(name);
    let plain = plain.split(';').next().unwrap_or_default().to_owned();
    Some(Record {
        name: rock_ridge_name(system_use).unwrap_or(plain),
        extent: Extent { offset: u64::from(le32(bytes, 2)?) * SECTOR, size: u64::from(le32(bytes, 10)?) },
        directory: bytes.get(25)? & 2 != 0,
        special,
    })
}

fn rock_ridge_name(mut area: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    while let [a, b, length, _, ..] = area {
        let length = usize::from(*length);
        let entry = area.get(..length).filter(|entry| entry.len() >= 4)?;
        if [*a, *b] == *b"NM" {
            name.extend_from_slice(entry.get(5..)?);
        }
        area = &area[length..];
    }
    (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned())
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
