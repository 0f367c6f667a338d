//! Boot records: the master boot record in the first sector, and the extended ones that form a chain.

use std::{collections::BTreeSet, io::Cursor};

use mbrman::{BOOT_ACTIVE, MBRHeader, MBRPartitionEntry};

use super::{Attributes, Finding, Partition, PartitionType};
use crate::{
    target::Source,
    units::{Lba, SectorSize, Sectors},
};

/// Bytes of a boot record, whatever the size of a sector.
pub(super) const RECORD: usize = 512;
/// Type of the entry that protects a GPT.
pub(super) const PROTECTIVE: u8 = 0xee;
/// More logical partitions than any system shows.
const CHAIN: usize = 256;

/// What the first sector says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boot {
    /// No boot record, or one without partitions.
    Nothing,
    /// A protective entry alone: its first sector and its length.
    Protective { first: Lba, sectors: u32 },
    /// A protective entry beside others.
    Hybrid,
    /// Partitions.
    Partitions,
}

impl Boot {
    pub(super) fn of(record: &[u8]) -> Self {
        let Some(header) = parse(record) else { return Self::Nothing };
        let used: Vec<_> = entries(&header).into_iter().filter(|entry| is_used(entry)).collect();
        match used.as_slice() {
            [] => Self::Nothing,
            [one] if one.sys == PROTECTIVE => {
                Self::Protective { first: Lba(one.starting_lba.into()), sectors: one.sectors }
            }
            _ if used.iter().any(|entry| entry.sys == PROTECTIVE) => Self::Hybrid,
            _ => Self::Partitions,
        }
    }
}

/// A boot record; `None` where there is no signature, or where a boot flag shows that the bytes are no entries, as in
/// the boot sector of a file system.
pub(super) fn parse(record: &[u8]) -> Option<MBRHeader> {
    MBRHeader::read_from(&mut Cursor::new(record.get(..RECORD)?)).ok()
}

fn entries(header: &MBRHeader) -> [&MBRPartitionEntry; 4] {
    [&header.partition_1, &header.partition_2, &header.partition_3, &header.partition_4]
}

/// Linux and fdisk go by the size: there are partitions of type zero. Of a protective entry Linux ignores the size.
fn is_used(entry: &MBRPartitionEntry) -> bool {
    entry.sectors != 0 || entry.sys == PROTECTIVE
}

/// The disk's signature.
pub(super) fn signature(header: &MBRHeader) -> u32 {
    u32::from_le_bytes(header.disk_signature)
}

/// The partition of an entry, whose place counts from `base`. Sums of a sector number and two 32-bit numbers fit.
fn partition(number: u32, base: Lba, entry: &MBRPartitionEntry) -> Partition {
    let first = Lba(base.0.saturating_add(entry.starting_lba.into()));
    let last = Lba((first.0 + u64::from(entry.sectors)).saturating_sub(1));
    let active = entry.boot == BOOT_ACTIVE;
    Partition {
        number,
        first,
        last,
        kind: PartitionType::Mbr(entry.sys),
        guid: None,
        attributes: if active { Attributes::LEGACY_BOOT } else { Attributes::default() },
        name: String::new(),
    }
}

/// The partitions of a master boot record and of the chain that begins in its extended partition.
pub(super) fn partitions<S: Source + ?Sized>(
    source: &S,
    header: &MBRHeader,
    sector: SectorSize,
    findings: &mut Vec<Finding>,
) -> Vec<Partition> {
    let numbered = (1..).zip(entries(header)).filter(|(_, entry)| is_used(entry));
    let mut found: Vec<Partition> =
        numbered.map(|(number, entry)| partition(number, Lba(0), entry)).collect();
    let extended: Vec<Partition> =
        found.iter().filter(|partition| is_container(partition)).cloned().collect();
    if let [container, more @ ..] = extended.as_slice() {
        if !more.is_empty() {
            findings.push(Finding::TwoExtended);
        }
        found.extend(chain(source, container, sector, findings));
    }
    found
}

/// Whether a partition of an MBR holds others.
pub(super) fn is_container(partition: &Partition) -> bool {
    matches!(partition.kind, PartitionType::Mbr(byte) if PartitionType::is_extended(byte))
}

/// Follows the extended boot records: each holds one partition, placed from itself, and a link, placed from the start
/// of the container.
fn chain<S: Source + ?Sized>(
    source: &S,
    container: &Partition,
    sector: SectorSize,
    findings: &mut Vec<Finding>,
) -> Vec<Partition> {
    let disk = source.size().sectors(sector);
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = container.first;
    loop {
        if !seen.insert(at) || seen.len() > CHAIN {
            findings.push(Finding::ChainEndless);
            return found;
        }
        let Some(header) = record_at(source, at, sector, disk) else {
            // An extended partition that was never filled has no record.
            if at != container.first {
                findings.push(Finding::ChainBroken { at });
            }
            return found;
        };
        let [first, second, ..] = entries(&header);
        let is_link = |entry: &&MBRPartitionEntry| PartitionType::is_extended(entry.sys) && entry.sectors > 0;
        for entry in [first, second].into_iter().filter(|entry| is_used(entry) && !is_link(entry)) {
            let number = 5 + u32::try_from(found.len()).unwrap_or(u32::MAX - 5);
            found.push(partition(number, at, entry));
        }
        let Some(link) = [first, second].into_iter().find(is_link) else { return found };
        match container.first.checked_add(Sectors(link.starting_lba.into())) {
            Some(next) => at = next,
            None => return found,
        }
    }
}

fn record_at<S: Source + ?Sized>(
    source: &S,
    at: Lba,
    sector: SectorSize,
    disk: Sectors,
) -> Option<MBRHeader> {
    if at.0 >= disk.0 {
        return None;
    }
    let mut record = [0; RECORD];
    source.read_at(at.offset(sector)?, &mut record).ok()?;
    parse(&record)
}
