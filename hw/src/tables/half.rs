//! One copy of a GPT: a header, and the array of entries to which it points.
//!
//! Invariant: a [`Half`] has passed every check that Linux makes of a header, apart from those against the size of
//! the disk. Its bytes are kept, so that a repair copies what it does not need to understand.

use uuid::Uuid;

use super::{Attributes, CopyProblem, Partition, PartitionType};
use crate::{
    target::Source,
    units::{Lba, SectorSize, Sectors},
};

/// Bytes of an entry. The specification allows multiples; no system reads them.
pub(super) const ENTRY: usize = 128;
/// As many entries as Linux can read: 4 MiB.
const MAX_ENTRIES: u32 = 1 << 15;

const SIGNATURE: &[u8; 8] = b"EFI PART";
/// Bytes of the header that are defined, and the least that it has.
const DEFINED: usize = 92;

/// Places of the header's fields: UEFI 2.10, table 5.5.
mod at {
    pub(super) const SIZE: usize = 12;
    pub(super) const CHECKSUM: usize = 16;
    pub(super) const OWN_LBA: usize = 24;
    pub(super) const OTHER_LBA: usize = 32;
    pub(super) const FIRST_USABLE: usize = 40;
    pub(super) const LAST_USABLE: usize = 48;
    pub(super) const DISK_GUID: usize = 56;
    pub(super) const ENTRIES_LBA: usize = 72;
    pub(super) const ENTRY_COUNT: usize = 80;
    pub(super) const ENTRY_SIZE: usize = 84;
    pub(super) const ENTRIES_CHECKSUM: usize = 88;
}

fn number32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn number64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|field| field.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn guid(bytes: &[u8], at: usize) -> Uuid {
    bytes.get(at..at + 16).and_then(|field| field.try_into().ok()).map_or(Uuid::nil(), Uuid::from_bytes_le)
}

/// A header's sector whose own checksum is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header(Vec<u8>);

impl Header {
    /// Reads and checks the header in a sector; of what comes after the defined fields nothing is demanded.
    fn read<S: Source + ?Sized>(source: &S, at: Lba, sector: SectorSize) -> Result<Self, CopyProblem> {
        let bytes = read(source, at, sector.length(), sector).ok_or(CopyProblem::Unreadable)?;
        if !bytes.starts_with(SIGNATURE) {
            return Err(CopyProblem::Missing);
        }
        let size = number32(&bytes, at::SIZE);
        let covered = usize::try_from(size).ok().filter(|size| (DEFINED..=bytes.len()).contains(size));
        let covered = covered.ok_or(CopyProblem::HeaderSize { found: size })?;
        if checksum(&bytes[..covered]) != number32(&bytes, at::CHECKSUM) {
            return Err(CopyProblem::HeaderChecksum);
        }
        let header = Self(bytes);
        let says = Lba(number64(&header.0, at::OWN_LBA));
        if says != at {
            return Err(CopyProblem::Place { says });
        }
        let (first, last) = header.usable();
        if first > last || last == Lba(u64::MAX) {
            return Err(CopyProblem::Range);
        }
        Ok(header)
    }

    /// A header that was just made here.
    pub(super) fn of_ours(sector: &[u8]) -> Self {
        Self(sector.to_vec())
    }

    /// Whether these are its bytes.
    pub(super) fn is(&self, sector: &[u8]) -> bool {
        self.0 == sector
    }

    /// Where the other copy's header is.
    pub(super) fn other(&self) -> Lba {
        Lba(number64(&self.0, at::OTHER_LBA))
    }

    /// First and last sector for partitions.
    pub(super) fn usable(&self) -> (Lba, Lba) {
        (Lba(number64(&self.0, at::FIRST_USABLE)), Lba(number64(&self.0, at::LAST_USABLE)))
    }

    pub(super) fn disk_guid(&self) -> Uuid {
        guid(&self.0, at::DISK_GUID)
    }

    pub(super) fn entries_at(&self) -> Lba {
        Lba(number64(&self.0, at::ENTRIES_LBA))
    }

    /// The header for another place, with its checksum. Everything else stays.
    pub(super) fn moved(&self, places: Places) -> Vec<u8> {
        let mut bytes = self.0.clone();
        for (field, value) in [
            (at::OWN_LBA, places.own.0),
            (at::OTHER_LBA, places.other.0),
            (at::FIRST_USABLE, places.usable.0.0),
            (at::LAST_USABLE, places.usable.1.0),
            (at::ENTRIES_LBA, places.entries.0),
        ] {
            bytes[field..field + 8].copy_from_slice(&value.to_le_bytes());
        }
        let covered = usize::try_from(number32(&bytes, at::SIZE)).unwrap_or(DEFINED).min(bytes.len());
        let sum = checksum(&bytes[..covered]);
        bytes[at::CHECKSUM..at::CHECKSUM + 4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// The fields of a header that differ between the copies, or when the disk's size changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) own: Lba,
    pub(super) other: Lba,
    pub(super) entries: Lba,
    pub(super) usable: (Lba, Lba),
}

/// The CRC-32 of a header, for which its own field counts as zero.
fn checksum(header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..at::CHECKSUM]);
    hasher.update(&[0; 4]);
    hasher.update(&header[at::CHECKSUM + 4..]);
    hasher.finalize()
}

/// One whole copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Half {
    /// Where its header is.
    pub(super) at: Lba,
    pub(super) header: Header,
    /// The array of entries, byte for byte.
    pub(super) entries: Vec<u8>,
}

/// Why there is no whole copy, and the header where that at least is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) problem: CopyProblem,
    pub(super) header: Option<Header>,
}

impl From<CopyProblem> for Unusable {
    fn from(problem: CopyProblem) -> Self {
        Self { problem, header: None }
    }
}

impl Half {
    /// Reads the copy whose header is in the sector `at`. At most 4 MiB are read.
    pub(super) fn read<S: Source + ?Sized>(
        source: &S,
        at: Lba,
        sector: SectorSize,
    ) -> Result<Self, Unusable> {
        let disk = source.size().sectors(sector);
        if at.0 >= disk.0 {
            return Err(CopyProblem::OutsideDisk.into());
        }
        let header = Header::read(source, at, sector)?;
        match read_entries(source, &header, sector, disk) {
            Ok(entries) => Ok(Self { at, header, entries }),
            Err(problem) => Err(Unusable { problem, header: Some(header) }),
        }
    }

    /// Sectors that the array of entries takes.
    pub(super) fn entry_sectors(&self, sector: SectorSize) -> Sectors {
        Sectors(self.entries.len().div_ceil(sector.length()) as u64)
    }

    /// The entries in use, and the numbers of those whose names are damaged.
    pub(super) fn partitions(&self) -> (Vec<Partition>, Vec<u32>) {
        let mut damaged = Vec::new();
        let used = (1..).zip(self.entries.chunks_exact(ENTRY)).filter(|(_, entry)| !guid(entry, 0).is_nil());
        let partitions = used.map(|(number, entry)| {
            let units: Vec<u16> =
                entry[56..].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            let units = units.split(|unit| *unit == 0).next().unwrap_or_default();
            if char::decode_utf16(units.iter().copied()).any(|unit| unit.is_err()) {
                damaged.push(number);
            }
            Partition {
                number,
                first: Lba(number64(entry, 32)),
                last: Lba(number64(entry, 40)),
                kind: PartitionType::Gpt(guid(entry, 0)),
                guid: Some(guid(entry, 16)),
                attributes: Attributes(number64(entry, 48)),
                name: String::from_utf16_lossy(units),
            }
        });
        (partitions.collect(), damaged)
    }
}

fn read_entries<S: Source + ?Sized>(
    source: &S,
    header: &Header,
    sector: SectorSize,
    disk: Sectors,
) -> Result<Vec<u8>, CopyProblem> {
    let (count, size) = (number32(&header.0, at::ENTRY_COUNT), number32(&header.0, at::ENTRY_SIZE));
    if usize::try_from(size) != Ok(ENTRY) {
        return Err(CopyProblem::EntrySize { found: size });
    }
    let length = usize::try_from(count).ok().filter(|_| (1..=MAX_ENTRIES).contains(&count));
    let length = length.ok_or(CopyProblem::EntryCount { found: count })? * ENTRY;
    let at = header.entries_at();
    let end = at.checked_add(Sectors(length.div_ceil(sector.length()) as u64));
    if at < Lba(2) || end.is_none_or(|end| end.0 > disk.0) {
        return Err(CopyProblem::EntriesOutside);
    }
    let entries = read(source, at, length, sector).ok_or(CopyProblem::Unreadable)?;
    match crc32fast::hash(&entries) == number32(&header.0, at::ENTRIES_CHECKSUM) {
        true => Ok(entries),
        false => Err(CopyProblem::EntriesChecksum),
    }
}

/// Reads whole sectors from `at` and returns the first `length` bytes; `None` where the disk fails.
fn read<S: Source + ?Sized>(source: &S, at: Lba, length: usize, sector: SectorSize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length.next_multiple_of(sector.length())];
    source.read_at(at.offset(sector)?, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}
