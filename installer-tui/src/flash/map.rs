//! What is known of an image's parts: which of them are needed, and what they must be.
//!
//! A map comes from a range manifest or a block map (bmap). It is applied where an image is read: what passes is compared, so
//! that a wrong image ends at its first wrong range, and whole chunks that nobody needs are not handed out. Parts of chunks are
//! not left out: smaller writes cost a stick more than they save.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use aegis_core::{
    hex::{self, Digest},
    key::KeyId,
    ranges::Release,
};
use aegis_hw::Bytes;
use ring::digest;
use serde::Serialize;

use super::buffer::CHUNK;

/// Bytes of a chunk, as offsets are counted.
const STEP: u64 = CHUNK as u64;

/// What is known of an image's parts, and what says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Map {
    /// The file that says so.
    pub path: PathBuf,
    /// Its kind, and who is behind it.
    pub origin: Origin,
    /// Bytes of the decoded image.
    pub length: u64,
    /// Bytes of chunks that are not written.
    pub skipped: u64,
    #[serde(skip)]
    parts: Arc<[Part]>,
}

/// Where a map comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Origin {
    /// A range manifest; see [`aegis_core::ranges`].
    Ranges {
        /// SHA-256 of the whole image.
        sha256: Digest,
        /// What the image is, when it is one of ours.
        release: Option<Release>,
        /// Whether its signature is good.
        signature: Signature,
    },
    /// A block map.
    Bmap {
        /// Version of the format.
        version: String,
        /// Algorithm of its checksums; `None` when it has none of ranges.
        checksums: Option<&'static str>,
    },
}

/// What is known of a signature that was not refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Signature {
    /// It is good.
    Good {
        /// The key that made it.
        key: KeyId,
        /// It is a key for development.
        development: bool,
    },
    /// There was no key ring to check it by.
    NotChecked {
        /// Where a key ring was looked for.
        looked_for: PathBuf,
    },
}

/// A range of the image that is needed, or that must be zero. What is in no part is neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Bytes of the image.
    pub(super) range: Range<u64>,
    /// What they must be.
    pub(super) rule: Rule,
    /// The range is written.
    pub(super) needed: bool,
}

/// What a range must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// It has this digest.
    Sum(&'static digest::Algorithm, Box<[u8]>),
    /// It is zero.
    Zero,
    /// Nothing says.
    Any,
}

impl Map {
    /// A map of parts that follow each other without overlapping and end within `length`.
    pub(super) fn new(path: PathBuf, origin: Origin, length: u64, parts: Vec<Part>) -> Self {
        let mut map = Self { path, origin, length, skipped: 0, parts: parts.into() };
        map.skipped = map.count_skipped();
        map
    }

    fn count_skipped(&self) -> u64 {
        let end = Part { range: self.length..self.length, rule: Rule::Any, needed: true };
        let needed = self.parts.iter().filter(|part| part.needed).chain([&end]);
        let mut skipped = 0;
        // The first chunk is always written.
        let mut from = STEP;
        for part in needed {
            let to =
                if part.range.start == self.length { self.length } else { part.range.start / STEP * STEP };
            skipped += to.saturating_sub(from);
            from = from.max(part.range.end.next_multiple_of(STEP));
        }
        skipped
    }

    /// Whether the chunk that begins at `offset` is written.
    pub fn needs(&self, offset: u64) -> bool {
        let end = offset.saturating_add(STEP);
        let first = self.parts.partition_point(|part| part.range.end <= offset);
        let mut within = self.parts[first..].iter().take_while(|part| part.range.start < end);
        offset == 0 || within.any(|part| part.needed)
    }

    /// The digest of the chunk that begins at `offset`, where one is known of just this chunk.
    pub(super) fn chunk(&self, offset: u64) -> Option<(&'static digest::Algorithm, &[u8])> {
        let part = &self.parts[self.parts.binary_search_by_key(&offset, |part| part.range.start).ok()?];
        match &part.rule {
            Rule::Sum(algorithm, sum) if part.range.end == self.length.min(offset + STEP) => {
                Some((algorithm, sum))
            }
            _ => None,
        }
    }

    /// Whether an image that passes has this SHA-256, whoever may have wished otherwise.
    pub fn proves(&self, digest: &str) -> bool {
        matches!(
            &self.origin,
            Origin::Ranges { sha256, signature: Signature::Good { .. }, .. } if sha256.to_string() == digest
        )
    }

    /// The reader with everything compared that passes.
    pub(super) fn compare<R: Read>(&self, inner: R) -> Compared<R> {
        Compared { inner, map: self.clone(), at: 0, part: 0, hasher: None }
    }

    /// A raw image file, of which only what is needed is read.
    pub(super) fn sparse(&self, file: File) -> Sparse {
        Sparse { file, map: self.clone(), at: 0, place: 0 }
    }

    fn differs(&self, range: &Range<u64>, problem: &'static str) -> io::Error {
        let differs = Differs { range: range.clone(), problem, by: self.path.clone() };
        io::Error::new(io::ErrorKind::InvalidData, differs)
    }
}

/// What it is checked against and by whom that is vouched for, in lines.
impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.origin {
            Origin::Ranges { release, signature, .. } => {
                write!(f, "chunks checked against {path}\n{signature}")?;
                match (release, signature) {
                    (Some(release), Signature::Good { .. }) => write!(f, " as Aegis OS {release}")?,
                    (Some(release), _) => write!(f, "\nit says that it is Aegis OS {release}")?,
                    (None, _) => {}
                }
            }
            Origin::Bmap { version, checksums: Some(name) } => {
                write!(f, "ranges checked against {path} (bmap {version}, {name})\nnobody signed that")?;
            }
            Origin::Bmap { version, checksums: None } => {
                write!(f, "NOT CHECKED: {path} (bmap {version}) has no checksums of ranges")?;
            }
        }
        if self.skipped == 0 {
            return Ok(());
        }
        write!(f, "\n{} of it are not needed and not written", Bytes(self.skipped))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { key, development: false } => write!(f, "signed by key {key}"),
            Self::Good { key, development: true } => write!(f, "signed by DEVELOPMENT key {key}"),
            Self::NotChecked { looked_for } => {
                let place = looked_for.display();
                write!(f, "its signature is NOT CHECKED: there is no key ring {place}, and no --keys")
            }
        }
    }
}

/// A reader whose ranges are compared while they pass. A chunk is handed out when all of its ranges that end in it were
/// found right.
pub(super) struct Compared<R> {
    inner: R,
    map: Map,
    /// Bytes that passed.
    at: u64,
    /// The part that is next, or passing.
    part: usize,
    /// Of the part that is passing.
    hasher: Option<digest::Context>,
}

impl<R: Read> Read for Compared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n == 0 && !buffer.is_empty() && self.at < self.map.length {
            return Err(self.map.differs(&(self.at..self.map.length), "are missing"));
        }
        self.pass(&buffer[..n])?;
        Ok(n)
    }
}

impl<R> Compared<R> {
    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if self.at + bytes.len() as u64 > self.map.length {
            let range = self.map.length..self.at + bytes.len() as u64;
            return Err(self.map.differs(&range, "are too many"));
        }
        while let Some(part) = self.map.parts.get(self.part).filter(|_part| !bytes.is_empty()) {
            let until = if self.at < part.range.start { part.range.start } else { part.range.end };
            let length = usize::try_from(until - self.at).unwrap_or(usize::MAX).min(bytes.len());
            let (now, rest) = bytes.split_at(length);
            if self.at >= part.range.start {
                match &part.rule {
                    Rule::Sum(algorithm, _) => {
                        self.hasher.get_or_insert_with(|| digest::Context::new(algorithm)).update(now);
                    }
                    Rule::Zero if now.iter().any(|byte| *byte != 0) => {
                        return Err(self.map.differs(&part.range, "are not zero"));
                    }
                    Rule::Zero | Rule::Any => {}
                }
            }
            self.at += length as u64;
            bytes = rest;
            if self.at == part.range.end {
                if let (Rule::Sum(_, expected), Some(hasher)) = (&part.rule, self.hasher.take())
                    && hasher.finish().as_ref() != &**expected
                {
                    return Err(self.map.differs(&part.range, "differ"));
                }
                self.part += 1;
            }
        }
        // Behind the last part.
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// A raw image of which holes are not read; zeros stand for them.
pub(super) struct Sparse {
    file: File,
    map: Map,
    /// Bytes that were handed out.
    at: u64,
    /// Where the file's cursor is.
    place: u64,
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.at / STEP * STEP;
        let left = (chunk + STEP).min(self.map.length).saturating_sub(self.at);
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        // Behind the length of the map the file decides, so that one that grew is seen.
        if left > 0 && !self.map.needs(chunk) {
            buffer[..n].fill(0);
            self.at += n as u64;
            return Ok(n);
        }
        if self.place != self.at {
            self.place = self.file.seek(SeekFrom::Start(self.at))?;
        }
        let n = self.file.read(if left > 0 { &mut buffer[..n] } else { buffer })?;
        self.place += n as u64;
        self.at += n as u64;
        Ok(n)
    }
}

/// A range of an image is not what it must be.
#[derive(Debug)]
struct Differs {
    range: Range<u64>,
    problem: &'static str,
    by: PathBuf,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Range { start, end }, by) = (&self.range, self.by.display());
        write!(f, "bytes {start} to {} {}, says {by}", end.saturating_sub(1), self.problem)
    }
}

impl std::error::Error for Differs {}

/// A digest of hexadecimal text, when it has the algorithm's length.
pub(super) fn sum(algorithm: &'static digest::Algorithm, text: &str) -> Option<Rule> {
    let bytes = hex::decode(text).filter(|bytes| bytes.len() == algorithm.output_len())?;
    Some(Rule::Sum(algorithm, bytes.into()))
}
