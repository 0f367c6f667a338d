//! Repairs of a GPT: what can be put right without guessing.

use std::fmt;

use serde::Serialize;

use super::{
    Change, Copy, CopyProblem, Finding, Reading, Region, Scheme,
    change::erased_header,
    encode::{boot_sector, region},
    half::{Half, Places},
    record::{Boot, PROTECTIVE, RECORD},
};
use crate::units::{Lba, SectorSize, Sectors};

/// One thing that a repair does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Writes one copy anew from the other one.
    Restore {
        /// The copy that is written.
        copy: Copy,
    },
    /// Puts the backup into the last sectors of a disk that grew or shrank.
    MoveBackup {
        /// Where it was said to be.
        from: Lba,
        /// Where it will be.
        to: Lba,
    },
    /// Writes the protective entry. Boot code and disk signature stay.
    Protect,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore { copy: Copy::Primary } => f.write_str("restore the primary table from the backup"),
            Self::Restore { copy: Copy::Backup } => {
                f.write_str("restore the backup table from the primary one")
            }
            Self::MoveBackup { from, to } => write!(f, "move the backup table from sector {from} to {to}"),
            Self::Protect => f.write_str("write the protective MBR"),
        }
    }
}

/// Why a table is not repaired or replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "refusal", rename_all = "kebab-case")]
pub enum Refusal {
    /// There is no table.
    NoTable,
    /// Both copies are damaged.
    NoCopy {
        /// Of the primary.
        primary: CopyProblem,
        /// Of the backup.
        backup: CopyProblem,
    },
    /// An MBR has no second copy.
    Mbr,
    /// The MBR has partitions of its own beside the GPT.
    Hybrid,
    /// The table was made for sectors of another size.
    OtherSectorSize {
        /// That size.
        made_for: SectorSize,
    },
    /// Partitions contradict each other, and no copy says which is right.
    Partitions {
        /// The first such finding, as a clause.
        finding: String,
    },
    /// A partition lies where the table has to be.
    InTheWay {
        /// Its number.
        number: u32,
    },
    /// The entries are where the new table has to be.
    EntriesElsewhere,
    /// The plan was made for a disk of another size.
    OtherDisk,
    /// The table is not the one for which the plan was made.
    Changed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTable => f.write_str("there is no partition table"),
            Self::NoCopy { primary, backup } => {
                write!(
                    f,
                    "neither copy of the table is whole: of the primary, {primary}; of the backup, {backup}"
                )
            }
            Self::Mbr => f.write_str("an MBR has no second copy from which it could be repaired"),
            Self::Hybrid => f.write_str("a hybrid MBR means different partitions to different systems"),
            Self::OtherSectorSize { made_for } => {
                write!(f, "the table was made for sectors of {made_for} bytes, and this disk has others")
            }
            Self::Partitions { finding } => f.write_str(finding),
            Self::InTheWay { number } => write!(f, "partition {number} lies where the table has to be"),
            Self::EntriesElsewhere => {
                f.write_str("the present table keeps its entries at the end of the disk")
            }
            Self::OtherDisk => f.write_str("the plan was made for another disk"),
            Self::Changed => f.write_str("its table changed since it was read"),
        }
    }
}

impl Refusal {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoTable => "look for lost partitions with a program such as testdisk",
            Self::NoCopy { .. } => {
                "keep the disk as it is and look for lost partitions with a program such as testdisk"
            }
            Self::Mbr => "fdisk changes an MBR by hand",
            Self::Hybrid => "decide which partitions are right, and remove the others with gdisk",
            Self::OtherSectorSize { .. } => "attach the disk by the adapter with which it was partitioned",
            Self::Partitions { .. } => {
                "save what is on the partitions before the table is changed by hand with gdisk"
            }
            Self::InTheWay { .. } => "copy the data of that partition first, then make it smaller",
            Self::EntriesElsewhere => "back the disk up and make the table anew",
            Self::OtherDisk | Self::Changed => "read the disk again and make a new plan",
        }
    }
}

/// What is done and how, as data. Every step leaves the disk with the table that it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// What is done; nothing, when nothing has to be.
    pub actions: Vec<Action>,
    /// The writes.
    pub change: Change,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.actions.is_empty() {
            return f.write_str("nothing to repair");
        }
        self.actions.iter().try_for_each(|action| writeln!(f, "{action}"))?;
        self.change.fmt(f)
    }
}

/// The repair of what was read.
///
/// The copy that rules is taken as it is; nothing of the partitions is changed. The entries of a primary copy that is
/// whole stay where they are.
///
/// # Errors
/// A [`Refusal`] where there is no copy to take, or where a person has to decide.
pub fn repair(reading: &Reading) -> Result<Repair, Refusal> {
    let table = check(reading)?;
    let ruling = reading.ruling().ok_or(Refusal::NoTable)?;
    let goal = Goal::of(reading, ruling)?;
    if let Some(partition) =
        table.partitions.iter().find(|p| p.first < goal.usable.0 || p.last > goal.usable.1)
    {
        return Err(Refusal::InTheWay { number: partition.number });
    }
    let mut actions = Vec::new();
    let mut steps = Vec::new();
    let (primary, backup) = (goal.primary(ruling, reading), goal.backup(ruling, reading));
    let (stale, wrong_primary) =
        (backup_is_wrong(reading, &goal, &backup), primary_is_wrong(reading, &primary));
    if table.copy == Copy::Backup {
        actions.push(Action::Restore { copy: Copy::Primary });
        steps.extend(primary.clone());
    }
    if stale {
        let from = reading.parts.primary.as_ref().map_or(ruling.at, |half| half.header.other());
        let action = Action::MoveBackup { from, to: reading.end() };
        actions.push(if from == reading.end() { Action::Restore { copy: Copy::Backup } } else { action });
        steps.extend(backup);
    }
    if table.copy == Copy::Primary && wrong_primary {
        // The entries are whole already, and the header is one sector.
        steps.extend(primary.into_iter().filter(|region| region.name == region::HEADER));
    }
    if let Ok(old) = &reading.parts.backup
        && old.at != reading.end()
        && !table.partitions.iter().any(|p| (p.first..=p.last).contains(&old.at))
    {
        steps.push(Region {
            name: "former backup table header",
            ..erased_header(old.at, reading.sector_size)
        });
    }
    if is_unprotected(reading) {
        actions.push(Action::Protect);
        steps.push(protective(reading));
    }
    Ok(Repair { actions, change: Change { steps } })
}

/// Whether there is a GPT that makes sense.
fn check(reading: &Reading) -> Result<&super::Table, Refusal> {
    let broken = reading.findings.iter().find(|finding| {
        matches!(
            finding,
            Finding::Overlap { .. } | Finding::Reversed { .. } | Finding::DuplicateGuid { other: 1.., .. }
        )
    });
    match &reading.table {
        _ if reading.has(|finding| *finding == Finding::Hybrid) => Err(Refusal::Hybrid),
        Some(table) if table.scheme == Scheme::Mbr => Err(Refusal::Mbr),
        Some(table) => match broken {
            Some(finding) => Err(Refusal::Partitions { finding: finding.to_string() }),
            None => Ok(table),
        },
        None => {
            let mut refusal = Refusal::NoTable;
            for finding in &reading.findings {
                if let Finding::OtherSectorSize { made_for } = finding {
                    refusal = Refusal::OtherSectorSize { made_for: *made_for };
                }
            }
            match (&reading.parts.primary, &reading.parts.backup) {
                (Err(primary), Err(backup)) if reading.has(|f| matches!(f, Finding::CopyUnusable { .. })) => {
                    Err(Refusal::NoCopy { primary: primary.problem, backup: backup.problem })
                }
                _ => Err(refusal),
            }
        }
    }
}

/// Where everything will be.
struct Goal {
    usable: (Lba, Lba),
    /// Of the primary.
    entries: Lba,
    /// Of the backup.
    backup_entries: Lba,
    end: Lba,
}

impl Goal {
    fn of(reading: &Reading, ruling: &Half) -> Result<Self, Refusal> {
        let length = ruling.entry_sectors(reading.sector_size);
        let end = reading.end();
        let in_the_way = || Refusal::InTheWay { number: 1 };
        let backup_entries = end.checked_sub(length).ok_or_else(in_the_way)?;
        let (first, last) = ruling.header.usable();
        let entries = if ruling.at == Lba(1) { ruling.header.entries_at() } else { Lba(2) };
        // A table that already has its backup at the end keeps its range, which others may have chosen smaller.
        let made_for = if ruling.at == Lba(1) { ruling.header.other() } else { ruling.at };
        let room = backup_entries.checked_sub(Sectors(1)).ok_or_else(in_the_way)?;
        let last = if made_for == end { last.min(room) } else { room };
        let first = if ruling.at == Lba(1) { first } else { first.max(Lba(2 + length.0)) };
        if first > last {
            return Err(in_the_way());
        }
        Ok(Self { usable: (first, last), entries, backup_entries, end })
    }

    fn primary(&self, ruling: &Half, reading: &Reading) -> [Region; 2] {
        let places = Places { own: Lba(1), other: self.end, entries: self.entries, usable: self.usable };
        let names = [region::ENTRIES, region::HEADER];
        regions(names, ruling, places, reading.sector_size)
    }

    fn backup(&self, ruling: &Half, reading: &Reading) -> [Region; 2] {
        let places =
            Places { own: self.end, other: Lba(1), entries: self.backup_entries, usable: self.usable };
        let names = [region::BACKUP_ENTRIES, region::BACKUP_HEADER];
        regions(names, ruling, places, reading.sector_size)
    }
}

/// Entries and header of a copy. The entries fill whole sectors.
fn regions(names: [&'static str; 2], ruling: &Half, places: Places, sector: SectorSize) -> [Region; 2] {
    let offset = |lba: Lba| lba.offset(sector).unwrap_or_default();
    let mut entries = ruling.entries.clone();
    entries.resize(entries.len().next_multiple_of(sector.length()), 0);
    [
        Region { name: names[0], offset: offset(places.entries), bytes: entries },
        Region { name: names[1], offset: offset(places.own), bytes: ruling.header.moved(places) },
    ]
}

fn backup_is_wrong(reading: &Reading, goal: &Goal, wanted: &[Region; 2]) -> bool {
    match &reading.parts.backup {
        Ok(half) => {
            half.at != goal.end
                || half.header.other() != Lba(1)
                || half.header.usable() != goal.usable
                || !wanted[0].bytes.starts_with(&half.entries)
                || half.header.disk_guid()
                    != reading.ruling().map_or(half.header.disk_guid(), |r| r.header.disk_guid())
        }
        Err(_) => true,
    }
}

fn primary_is_wrong(reading: &Reading, wanted: &[Region; 2]) -> bool {
    match &reading.parts.primary {
        Ok(half) => !half.header.is(&wanted[1].bytes),
        Err(_) => true,
    }
}

fn is_unprotected(reading: &Reading) -> bool {
    reading.has(|finding| {
        matches!(
            finding,
            Finding::ProtectiveMissing | Finding::ProtectivePlace { .. } | Finding::ProtectiveLength { .. }
        )
    })
}

/// The first sector with one protective entry; its boot code, disk signature and boot flag stay.
fn protective(reading: &Reading) -> Region {
    const ENTRY: usize = 446;
    let mut record = reading.parts.record.clone();
    let flag = if matches!(reading.parts.boot, Boot::Protective { .. }) { record[ENTRY] } else { 0 };
    let length = u32::try_from(reading.end().0).unwrap_or(u32::MAX);
    record[ENTRY..RECORD].fill(0);
    // From head 0, sector 2 to the last place that can be said.
    record[ENTRY..ENTRY + 8].copy_from_slice(&[flag, 0, 2, 0, PROTECTIVE, 0xff, 0xff, 0xff]);
    record[ENTRY + 8..ENTRY + 12].copy_from_slice(&1u32.to_le_bytes());
    record[ENTRY + 12..ENTRY + 16].copy_from_slice(&length.to_le_bytes());
    record[RECORD - 2..].copy_from_slice(&[0x55, 0xaa]);
    boot_sector(record, reading.sector_size)
}
