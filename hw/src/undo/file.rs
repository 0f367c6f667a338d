//! The file: a line of JSON, the bytes to which it refers, and the digest of both.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::Path,
};

use aegis_core::crypto::Crypto;
use serde::{Deserialize, Serialize};

use super::{Content, DiskMark, Problem, Undo, Written};
use crate::{error::Error, sys, units::MIB};

const FORMAT: &str = "aegis-undo";
const VERSION: u32 = 1;
/// Bytes of the digest at the end of the file.
const DIGEST: usize = 32;
/// An undo file is never larger.
const LIMIT: u64 = 256 * MIB;

/// The line of JSON.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    disk: DiskMark,
    /// Places whose old bytes follow, in this order.
    saved: Vec<Place>,
    /// Places that are written; the bytes of those that are not zeros follow.
    written: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    offset: u64,
    length: u64,
    #[serde(default)]
    zeros: bool,
}

/// Only what every version has, so that another version is recognised.
#[derive(Deserialize)]
struct Start {
    format: String,
    version: u32,
}

impl Undo {
    /// Writes the file and waits until it is on its disk. It holds parts of file systems, so nobody else may read it.
    ///
    /// # Errors
    /// Where the file cannot be written; with `fresh` [`Problem::Exists`] as well.
    pub fn save<C: Crypto>(&self, path: &Path, fresh: bool) -> Result<(), Error> {
        let failed = || Error::io("write", path);
        let mut bytes = serde_json::to_vec(&self.head()).map_err(|error| failed()(error.into()))?;
        bytes.push(b'\n');
        self.saved.iter().for_each(|(_, saved)| bytes.extend(saved));
        for written in &self.written {
            if let Content::Bytes(content) = &written.content {
                bytes.extend(content);
            }
        }
        let digest = C::sha256(&[&bytes]);
        bytes.extend(digest.0);
        let mut options = OpenOptions::new();
        sys::with_mode(options.write(true), 0o600);
        let options = if fresh { options.create_new(true) } else { options.create(true).truncate(true) };
        let mut file: File = options.open(path).map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => Error::Undo { path: path.into(), reason: Problem::Exists },
            _ => failed()(source),
        })?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        written.map_err(|source| {
            // Half a file restores nothing. The first error is the one to tell.
            let _ = fs::remove_file(path);
            failed()(source)
        })
    }

    fn head(&self) -> Head {
        let saved = |(offset, bytes): &(u64, Vec<u8>)| Place {
            offset: *offset,
            length: bytes.len() as u64,
            zeros: false,
        };
        let written = |written: &Written| Place {
            offset: written.offset,
            length: written.length(),
            zeros: matches!(written.content, Content::Zeros(_)),
        };
        Head {
            format: FORMAT.into(),
            version: VERSION,
            disk: self.disk.clone(),
            saved: self.saved.iter().map(saved).collect(),
            written: self.written.iter().map(written).collect(),
        }
    }

    /// Reads a file and checks its digest.
    ///
    /// # Errors
    /// A [`Problem`] as reason of [`Error::Undo`], and where the file cannot be read.
    pub fn load<C: Crypto>(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        Self::parse::<C>(&bytes).map_err(|reason| Error::Undo { path: path.into(), reason })
    }

    /// From the bytes of a file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse<C: Crypto>(bytes: &[u8]) -> Result<Self, Problem> {
        let line = bytes.iter().position(|byte| *byte == b'\n').ok_or(Problem::NotUndo)?;
        let start: Start = serde_json::from_slice(&bytes[..line]).map_err(|_other| Problem::NotUndo)?;
        if start.format != FORMAT {
            return Err(Problem::NotUndo);
        }
        if start.version != VERSION {
            return Err(Problem::Version(start.version));
        }
        let (content, digest) = bytes.split_last_chunk::<DIGEST>().ok_or(Problem::Damaged)?;
        if C::sha256(&[content]).0 != *digest {
            return Err(Problem::Damaged);
        }
        let head: Head = serde_json::from_slice(&bytes[..line]).map_err(|_other| Problem::Damaged)?;
        let mut rest = content.get(line + 1..).ok_or(Problem::Damaged)?;
        let mut next = |place: &Place| {
            let length = usize::try_from(place.length).map_err(|_too_long| Problem::Damaged)?;
            let (piece, after) = rest.split_at_checked(length).ok_or(Problem::Damaged)?;
            rest = after;
            Ok::<_, Problem>(piece.to_vec())
        };
        let saved =
            head.saved.iter().map(|place| Ok((place.offset, next(place)?))).collect::<Result<_, _>>()?;
        let written = head.written.iter().map(|place| {
            let content =
                if place.zeros { Content::Zeros(place.length) } else { Content::Bytes(next(place)?) };
            Ok(Written { offset: place.offset, content })
        });
        let written = written.collect::<Result<_, _>>()?;
        let undo = Self { disk: head.disk, saved, written };
        if rest.is_empty() && undo.makes_sense() { Ok(undo) } else { Err(Problem::Damaged) }
    }

    /// Whether the places are sorted, apart, within the disk and whole sectors.
    fn makes_sense(&self) -> bool {
        let sector = self.disk.sector_size.bytes().0;
        let mut free = 0;
        self.saved.iter().all(|(offset, bytes)| {
            let length = bytes.len() as u64;
            let end = offset.checked_add(length).filter(|end| *end <= self.disk.size.0);
            let good =
                *offset >= free && offset % sector == 0 && length.is_multiple_of(sector) && end.is_some();
            free = end.unwrap_or(u64::MAX);
            good
        })
    }
}
