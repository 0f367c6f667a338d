//! Undo files: what was at the places that are about to be written.
//!
//! An undo file holds the old bytes of every place that an operation writes before it copies data, and beside that both
//! ends of the disk and of each partition, where tables, boot code and headers of file systems are. It restores a disk
//! byte for byte as long as nothing else was written there: every sector must still be as it was, or as the operation
//! leaves it.
//!
//! It cannot bring back the content of partitions. Whoever begins to overwrite that removes the undo file first.

mod file;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    tables::{Change, Reading, Region},
    target::Source,
    units::{Bytes, MIB, SectorSize},
};

/// Bytes that are kept of each end of a partition: superblocks, RAID and encryption headers lie there.
const ENDS: u64 = 128 << 10;
/// Partitions of which the ends are kept.
const PARTITIONS: usize = 128;

/// What is about to be written to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// So many zeros.
    Zeros(u64),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A place and what will be written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// First byte, a multiple of the sector.
    pub offset: u64,
    /// The bytes, whole sectors.
    pub content: Content,
}

impl Written {
    /// The writes of a change.
    pub fn by(change: &Change) -> Vec<Self> {
        let one = |step: &Region| Self { offset: step.offset, content: Content::Bytes(step.bytes.clone()) };
        change.steps.iter().map(one).collect()
    }

    fn length(&self) -> u64 {
        match &self.content {
            Content::Zeros(length) => *length,
            Content::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes that it leaves at a place; `None` where it writes nothing.
    fn at(&self, offset: u64, length: usize) -> Option<Option<&[u8]>> {
        let within = offset.checked_sub(self.offset).filter(|within| *within < self.length())?;
        match &self.content {
            Content::Zeros(_) => Some(None),
            Content::Bytes(bytes) => {
                let within = usize::try_from(within).ok()?;
                bytes.get(within..within.checked_add(length)?).map(Some)
            }
        }
    }
}

/// Which disk an undo file is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskMark {
    /// The serial number, or what a person types in its place.
    pub token: String,
    /// Model and size, for people.
    pub description: String,
    /// Size.
    pub size: Bytes,
    /// Bytes of a logical sector.
    pub sector_size: SectorSize,
}

/// What is needed to restore a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// The disk.
    pub disk: DiskMark,
    /// Old bytes, each with its place; sorted, apart from each other, whole sectors.
    saved: Vec<(u64, Vec<u8>)>,
    /// What the operation writes.
    written: Vec<Written>,
}

/// Why an undo file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is something else, or was cut off.
    NotUndo,
    /// Another version of the program wrote it.
    Version(u32),
    /// Its digest is wrong.
    Damaged,
    /// There is one already.
    Exists,
    /// It was made for another disk.
    OtherDisk,
    /// Something else was written to the disk since.
    Overwritten {
        /// The first such place, in bytes.
        offset: u64,
        /// Sectors.
        sectors: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUndo => f.write_str("it is no undo file"),
            Self::Version(version) => {
                write!(f, "it has the format {version}, which this program does not know")
            }
            Self::Damaged => f.write_str("it is damaged"),
            Self::Exists => f.write_str("it exists"),
            Self::OtherDisk => f.write_str("it is for another disk"),
            Self::Overwritten { offset, sectors } => {
                write!(
                    f,
                    "something else was written to the disk since: {sectors} sectors, the first at byte {offset}"
                )
            }
        }
    }
}

impl Problem {
    /// What a person can do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::NotUndo => "name the file that was announced before the disk was written",
            Self::Version(_) => "use the version of the program that made the file",
            Self::Damaged => "look for another copy of the file",
            Self::Exists => "undo what it is for, or name another one with --undo-file",
            Self::OtherDisk => "compare the serial numbers of the disks",
            Self::Overwritten { .. } => "`aegis-installer table show` says what is on the disk now",
        }
    }
}

impl Undo {
    /// Reads what has to be kept from a disk that `written` will change.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn collect<S: Source + ?Sized>(
        source: &S,
        reading: &Reading,
        disk: DiskMark,
        written: Vec<Written>,
    ) -> Result<Self, Error> {
        let mut saved = Vec::new();
        for (start, end) in ranges(reading, &written) {
            let length = usize::try_from(end - start).unwrap_or(usize::MAX);
            let mut bytes = vec![0; length];
            source.read_at(start, &mut bytes)?;
            saved.push((start, bytes));
        }
        Ok(Self { disk, saved, written })
    }

    /// Whether it is for the same writes to the same disk.
    pub fn is_for(&self, disk: &DiskMark, written: &[Written]) -> bool {
        self.disk == *disk && self.written == written
    }

    /// The writes that restore the disk; none, where it is as it was.
    ///
    /// # Errors
    /// [`Problem::OtherDisk`] and [`Problem::Overwritten`], as reason of [`Error::Undo`]; and where the disk cannot be read.
    pub fn restore<S: Source + ?Sized>(&self, source: &S) -> Result<Change, Error> {
        let refuse = |reason| Error::Undo { path: source.path().into(), reason };
        if source.size() != self.disk.size || source.sector_size() != u32::from(self.disk.sector_size) {
            return Err(refuse(Problem::OtherDisk));
        }
        let sector = self.disk.sector_size.length();
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        let (mut foreign, mut sectors) = (None, 0);
        for (start, old) in &self.saved {
            let mut now = vec![0; old.len()];
            source.read_at(*start, &mut now)?;
            let places = (*start..).step_by(sector);
            for (offset, (old, now)) in places.zip(old.chunks(sector).zip(now.chunks(sector))) {
                if old == now {
                    continue;
                }
                if !self.is_ours(offset, now) {
                    foreign = foreign.or(Some(offset));
                    sectors += 1;
                }
                match runs.last_mut() {
                    // The first two sectors decide which table there is, so each is a write of its own.
                    Some((at, bytes)) if *at + bytes.len() as u64 == offset && offset > 2 * sector as u64 => {
                        bytes.extend(old);
                    }
                    _ => runs.push((offset, old.to_vec())),
                }
            }
        }
        if let Some(offset) = foreign {
            return Err(refuse(Problem::Overwritten { offset, sectors }));
        }
        // From the end to the start: the first sector is the last that is written.
        let step = |(offset, bytes)| Region { name: "what was there before", offset, bytes };
        Ok(Change { steps: runs.into_iter().rev().map(step).collect() })
    }

    /// Whether a sector is as one of the writes leaves it.
    fn is_ours(&self, offset: u64, now: &[u8]) -> bool {
        self.written.iter().filter_map(|written| written.at(offset, now.len())).any(|content| match content {
            Some(bytes) => bytes == now,
            None => now.iter().all(|byte| *byte == 0),
        })
    }
}

/// The places to keep, as first byte and end: sorted, joined where they touch, whole sectors, within the disk.
fn ranges(reading: &Reading, written: &[Written]) -> Vec<(u64, u64)> {
    let sector = reading.sector_size.bytes();
    let size = reading.size.align_down(sector).0;
    let mut all = vec![(0, MIB), (size.saturating_sub(MIB), size)];
    let partitions = reading.table.iter().flat_map(|table| &table.partitions).take(PARTITIONS);
    for partition in partitions {
        let start = partition.first.offset(reading.sector_size).unwrap_or(size);
        let length = partition.sectors().bytes(reading.sector_size).unwrap_or_default().0;
        let end = start.saturating_add(length).min(size);
        all.push((start, start.saturating_add(ENDS).min(end)));
        all.push((end.saturating_sub(ENDS).max(start), end));
    }
    all.extend(
        written.iter().map(|written| (written.offset, written.offset.saturating_add(written.length()))),
    );
    let whole = |(start, end): (u64, u64)| {
        let end = Bytes(end.min(size)).align_up(sector).unwrap_or_default();
        (Bytes(start).align_down(sector).0, end.0.min(size))
    };
    let mut all: Vec<_> = all.into_iter().map(whole).filter(|(start, end)| start < end).collect();
    all.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, end) in all {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}
