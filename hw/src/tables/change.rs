//! From the table that a disk has to another one, in an order in which the power may go at any moment.
//!
//! Invariant: each step is on the disk before the next one begins, and a sector is written whole or not at all. Whatever
//! part of the steps, and whatever sectors of the one at work were written, a reader that follows the UEFI specification
//! finds the old table or the new one, never a mixture: while a copy is being written, the other one is whole and rules.
//!
//! Linux reads the backup only with the parameter `gpt`. Where there is room before the first partition, the new
//! entries are therefore put there first and the header is switched over to them in one sector, so that the primary copy
//! is whole at every moment too; that room gets its former content back.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    Copy, Encoded, Finding, Reading, Refusal, Region, Scheme, TablePlan,
    encode::{ENTRIES, region},
    half::{Half, Header, Places},
};
use crate::{
    error::Error,
    target::{Source, Target},
    units::{Bytes, Lba, SectorSize, Sectors},
};

/// Writes that change a table, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What is written where.
    pub steps: Vec<Region>,
}

impl Serialize for Region {
    /// Name, place and length: the bytes follow from the plan.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Region", 3)?;
        fields.serialize_field("name", self.name)?;
        fields.serialize_field("offset", &self.offset)?;
        fields.serialize_field("length", &self.bytes.len())?;
        fields.end()
    }
}

impl Region {
    /// Writes the bytes, waits until they are on the disk, and reads them back from there.
    ///
    /// # Errors
    /// [`Error::ReadBack`], and those of the target.
    pub fn write_to(&self, target: &dyn Target) -> Result<(), Error> {
        target.write_at(self.offset, &self.bytes)?;
        target.sync()?;
        target.forget_cache()?;
        let mut found = vec![0; self.bytes.len()];
        target.read_at(self.offset, &mut found)?;
        if found == self.bytes {
            return Ok(());
        }
        Err(Error::ReadBack { path: target.path().into(), what: self.name })
    }
}

impl Change {
    /// Replaces whatever table is there. The content of partitions is not touched, unless the table itself has to be where
    /// one of the old ones was.
    ///
    /// # Errors
    /// [`Error::Refused`] for a disk whose present table cannot be replaced without a moment in which neither rules, and
    /// where the plan is for another disk; and when the disk cannot be read.
    pub fn replace<S: Source + ?Sized>(
        source: &S,
        now: &Reading,
        plan: &TablePlan,
        new: Encoded,
    ) -> Result<Self, Error> {
        let refuse = |reason| Error::Refused { path: now.path.clone(), reason };
        if (plan.disk.size, plan.disk.sector_size) != (now.size, now.sector_size) {
            return Err(refuse(Refusal::OtherDisk));
        }
        if now.has(|finding| *finding == Finding::Hybrid) {
            return Err(refuse(Refusal::Hybrid));
        }
        let steps = match (plan.id.scheme(), now.ruling()) {
            (Scheme::Mbr, _) => to_mbr(now, new),
            (Scheme::Gpt, None) => new.regions,
            (Scheme::Gpt, Some(old)) => {
                let new = Regions::of(new).ok_or(refuse(Refusal::OtherDisk))?;
                if now.table.as_ref().is_some_and(|table| table.copy == Copy::Backup) {
                    from_backup(now, new)
                } else {
                    from_primary(source, now, old, plan, new)?
                }
            }
        };
        Ok(Self { steps })
    }

    /// Writes every step, and has the kernel read the table.
    ///
    /// # Errors
    /// The first step that fails ends the change. What is on the disk then is the old table or the new one.
    pub fn apply(&self, target: &dyn Target) -> Result<(), Error> {
        self.steps.iter().try_for_each(|step| step.write_to(target))?;
        target.reread_table()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, number) in self.steps.iter().zip(1..) {
            let Region { name, offset, bytes } = step;
            let end = if number == self.steps.len() { "" } else { "\n" };
            write!(f, "{number}. {name}: {} at byte {offset}{end}", Bytes(bytes.len() as u64))?;
        }
        Ok(())
    }
}

/// The regions of an encoded GPT.
struct Regions {
    backup: [Region; 2],
    entries: Region,
    header: Region,
    boot: Region,
}

impl Regions {
    fn of(new: Encoded) -> Option<Self> {
        let [entries_backup, header_backup, entries, header, boot] =
            <[Region; 5]>::try_from(new.regions).ok()?;
        Some(Self { backup: [entries_backup, header_backup], entries, header, boot })
    }
}

/// The old backup rules until the new primary is whole, and then gives way.
fn from_backup(now: &Reading, new: Regions) -> Vec<Region> {
    let mut steps = Vec::new();
    if now.parts.primary.as_ref().is_err_and(|unusable| unusable.header.is_some()) {
        // With entries that happen to be its own, a header that is good for itself would rule.
        steps.push(erased_header(Lba(1), now.sector_size));
    }
    steps.extend([new.entries, new.header]);
    steps.extend(new.backup);
    steps.push(new.boot);
    steps
}

/// The old primary rules until the new backup is whole.
fn from_primary<S: Source + ?Sized>(
    source: &S,
    now: &Reading,
    old: &Half,
    plan: &TablePlan,
    new: Regions,
) -> Result<Vec<Region>, Error> {
    let sector = now.sector_size;
    let (old_entries, old_length) = (old.header.entries_at(), old.entry_sectors(sector));
    let tail = Lba(new.backup[0].offset / sector.bytes().0);
    if old_entries.checked_add(old_length).is_none_or(|end| end > tail) {
        return Err(Error::Refused { path: now.path.clone(), reason: Refusal::EntriesElsewhere });
    }
    let mut steps = Vec::from(new.backup);
    match room(now, plan, (old_entries, old_length)) {
        None => steps.extend([new.entries, new.header]),
        Some((start, end)) => {
            let offset = start.offset(sector).unwrap_or_default();
            let mut former = vec![0; new.entries.bytes.len()];
            source.read_at(offset, &mut former)?;
            steps.push(Region { name: "partition entries, for now", offset, ..new.entries.clone() });
            steps.push(Region {
                name: "table header for them",
                bytes: switched(&new.header, start, end),
                ..new.header
            });
            steps.extend([new.entries, new.header]);
            steps.push(Region { name: "what was there before", offset, bytes: former });
        }
    }
    steps.push(new.boot);
    Ok(steps)
}

/// The header for entries in another place, after which partitions may begin.
fn switched(header: &Region, start: Lba, end: Lba) -> Vec<u8> {
    let header = Header::of_ours(&header.bytes);
    let (_, last) = header.usable();
    header.moved(Places { own: Lba(1), other: header.other(), entries: start, usable: (end, last) })
}

/// Sectors between the tables and every partition, old or new: as many as the entries take, as far back as they can be.
fn room(now: &Reading, plan: &TablePlan, (old, length): (Lba, Sectors)) -> Option<(Lba, Lba)> {
    let wanted = Bytes(ENTRIES).sectors(now.sector_size);
    let old_partitions =
        now.table.iter().flat_map(|table| &table.partitions).map(|partition| partition.first);
    let end = old_partitions.chain(plan.partitions.iter().map(|placed| placed.first)).min()?;
    let start = end.checked_sub(wanted)?;
    let old_end = old.checked_add(length)?;
    let free = start.0 >= 2 + wanted.0 && (start >= old_end || end <= old);
    free.then_some((start, end))
}

/// The new MBR rules from the moment when it is there; after it, nothing shall look like a GPT.
fn to_mbr(now: &Reading, new: Encoded) -> Vec<Region> {
    let mut steps = new.regions;
    let stale = [&now.parts.primary, &now.parts.backup].into_iter().flatten();
    steps.extend(stale.map(|half| erased_header(half.at, now.sector_size)));
    steps
}

/// Zeros in place of a header.
pub(super) fn erased_header(at: Lba, sector: SectorSize) -> Region {
    let offset = at.offset(sector).unwrap_or_default();
    let name = if at == Lba(1) { region::HEADER } else { region::BACKUP_HEADER };
    Region { name, offset, bytes: vec![0; sector.length()] }
}
