//! Reading: which table rules a disk, and what is wrong with it.
//!
//! Foreign numbers are checked before they are used, and at most 13 MiB are held: both copies of a GPT and one that
//! is looked for in a third place.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Copy, CopyProblem, DiskId, Finding, Partition, Scheme, Table,
    half::{Half, Unusable},
    record::{self, Boot, RECORD},
};
use crate::{
    error::Error,
    target::Source,
    units::{Bytes, Lba, MIB, SectorSize},
};

/// As many findings of single partitions as are listed.
const LISTED: usize = 64;

/// What was read from a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The device or file.
    pub path: PathBuf,
    /// Its size.
    pub size: Bytes,
    /// Bytes of a logical sector.
    pub sector_size: SectorSize,
    /// The table that rules; `None` where there is none that a system would use.
    pub table: Option<Table>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    #[serde(skip)]
    pub(super) parts: Parts,
}

/// The pieces of a table as bytes, for repairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) record: Vec<u8>,
    pub(super) boot: Boot,
    pub(super) primary: Result<Half, Unusable>,
    pub(super) backup: Result<Half, Unusable>,
}

impl Reading {
    /// The last sector of the disk.
    pub fn end(&self) -> Lba {
        Lba(self.size.sectors(self.sector_size).0.saturating_sub(1))
    }

    /// Whether a finding is there.
    pub fn has(&self, wanted: impl Fn(&Finding) -> bool) -> bool {
        self.findings.iter().any(wanted)
    }

    /// The copy that rules a GPT.
    pub(super) fn ruling(&self) -> Option<&Half> {
        let table = self.table.as_ref().filter(|table| table.scheme == Scheme::Gpt)?;
        match table.copy {
            Copy::Primary => self.parts.primary.as_ref().ok(),
            Copy::Backup => self.parts.backup.as_ref().ok(),
        }
    }
}

/// Reads the table of a disk.
///
/// The rules are those of Linux and of UEFI: without a protective MBR a GPT does not rule where an MBR has partitions;
/// the primary copy goes before the backup. More lenient than Linux, this function takes the backup where the primary
/// is damaged, and takes a GPT without any MBR for one, because both can be repaired; each is a [`Finding`].
///
/// # Errors
/// Where the first sector cannot be read, or the disk has none. Damage is no error but a finding.
pub fn read<S: Source + ?Sized>(source: &S) -> Result<Reading, Error> {
    let sector = SectorSize::try_from(source.sector_size())?;
    let size = source.size();
    if size.sectors(sector).0 == 0 {
        return Err(Error::NoSectors(source.path().into()));
    }
    let mut record = vec![0; RECORD];
    source.read_at(0, &mut record)?;
    let boot = Boot::of(&record);
    let (primary, backup) = halves(source, sector);
    let parts = Parts { record, boot, primary, backup };
    let mut reader = Reader { source, sector, end: Lba(size.sectors(sector).0 - 1), findings: Vec::new() };
    let table = reader.table(&parts);
    let mut findings = reader.findings;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level()));
    let path = Path::to_path_buf(source.path());
    Ok(Reading { path, size, sector_size: sector, table, findings, parts })
}

/// Both copies. The backup is where the primary header says, else in the last sector.
fn halves<S: Source + ?Sized>(
    source: &S,
    sector: SectorSize,
) -> (Result<Half, Unusable>, Result<Half, Unusable>) {
    let end = Lba(source.size().sectors(sector).0.saturating_sub(1));
    let primary = Half::read(source, Lba(1), sector);
    let header = match &primary {
        Ok(half) => Some(&half.header),
        Err(unusable) => unusable.header.as_ref(),
    };
    let said = header.map(|header| header.other()).filter(|other| *other > Lba(1));
    let mut backup = Half::read(source, said.unwrap_or(end), sector);
    if backup.is_err() && said.is_some_and(|said| said != end) && end > Lba(1) {
        // The one at the end counts where it is of the same disk; it can be that of an older table.
        let last = Half::read(source, end, sector);
        let same = |half: &Half| header.is_none_or(|header| header.disk_guid() == half.header.disk_guid());
        if last.as_ref().is_ok_and(same) {
            backup = last;
        }
    }
    (primary, backup)
}

struct Reader<'a, S: ?Sized> {
    source: &'a S,
    sector: SectorSize,
    end: Lba,
    findings: Vec<Finding>,
}

impl<S: Source + ?Sized> Reader<'_, S> {
    fn table(&mut self, parts: &Parts) -> Option<Table> {
        if parts.boot == Boot::Partitions {
            for (copy, half) in [(Copy::Primary, &parts.primary), (Copy::Backup, &parts.backup)] {
                if half.is_ok() {
                    self.findings.push(Finding::StaleGpt { copy });
                }
            }
            return self.mbr(&parts.record);
        }
        let (copy, half) = match (&parts.primary, &parts.backup) {
            (Ok(half), _) => (Copy::Primary, half),
            (Err(_), Ok(half)) => (Copy::Backup, half),
            (Err(primary), Err(backup)) => {
                self.no_table(parts.boot, primary.problem, backup.problem);
                return None;
            }
        };
        self.boot(parts.boot);
        self.copies(parts);
        Some(self.gpt(copy, half))
    }

    /// Without a usable copy: what there are signs of.
    fn no_table(&mut self, boot: Boot, primary: CopyProblem, backup: CopyProblem) {
        let made_for = self.sector.other();
        if Half::read(self.source, Lba(1), made_for).is_ok() {
            self.findings.push(Finding::OtherSectorSize { made_for });
        } else if boot != Boot::Nothing || [primary, backup].iter().any(|problem| !is_absent(*problem)) {
            for (copy, problem) in [(Copy::Primary, primary), (Copy::Backup, backup)] {
                self.findings.push(Finding::CopyUnusable { copy, problem });
            }
        }
    }

    /// Findings of the first sector of a disk with a GPT.
    fn boot(&mut self, boot: Boot) {
        let expected = u32::try_from(self.end.0).unwrap_or(u32::MAX);
        match boot {
            Boot::Nothing => self.findings.push(Finding::ProtectiveMissing),
            Boot::Hybrid => self.findings.push(Finding::Hybrid),
            Boot::Protective { first, .. } if first != Lba(1) => {
                self.findings.push(Finding::ProtectivePlace { first });
            }
            // The largest number is right for every disk, as Windows and others write it.
            Boot::Protective { sectors, .. } if sectors != expected && sectors != u32::MAX => {
                self.findings.push(Finding::ProtectiveLength { found: sectors, expected });
            }
            Boot::Protective { .. } | Boot::Partitions => {}
        }
    }

    fn copies(&mut self, parts: &Parts) {
        for (copy, half) in [(Copy::Primary, &parts.primary), (Copy::Backup, &parts.backup)] {
            if let Err(Unusable { problem, .. }) = half {
                self.findings.push(Finding::CopyUnusable { copy, problem: *problem });
            }
        }
        let end = self.end;
        if let (Ok(primary), Ok(backup)) = (&parts.primary, &parts.backup) {
            let (one, other) = (&primary.header, &backup.header);
            if primary.entries != backup.entries
                || one.disk_guid() != other.disk_guid()
                || one.usable() != other.usable()
            {
                self.findings.push(Finding::CopiesDiffer);
            }
        }
        if let Ok(backup) = &parts.backup
            && backup.at != end
        {
            self.findings.push(Finding::BackupNotAtEnd { at: backup.at, end });
        }
    }

    fn gpt(&mut self, copy: Copy, half: &Half) -> Table {
        let usable = half.header.usable();
        // A table's last sector is the backup's header, whichever copy says so.
        let last = if copy == Copy::Primary { half.header.other() } else { half.at };
        if last.max(usable.1) > self.end {
            self.findings.push(Finding::DiskTooSmall { table: last.max(usable.1), end: self.end });
        }
        let (partitions, damaged) = half.partitions();
        let damaged = damaged.into_iter().map(|number| Finding::NameDamaged { number });
        self.check(&partitions, (usable.0, usable.1.min(self.end)), damaged.collect());
        if let Some(partition) = partitions.iter().find(|p| p.guid == Some(half.header.disk_guid())) {
            self.findings.push(Finding::DuplicateGuid { number: partition.number, other: 0 });
        }
        Table { scheme: Scheme::Gpt, id: DiskId::Guid(half.header.disk_guid()), copy, usable, partitions }
    }

    fn mbr(&mut self, record: &[u8]) -> Option<Table> {
        let header = record::parse(record)?;
        let partitions = record::partitions(self.source, &header, self.sector, &mut self.findings);
        let usable = (Lba(1), self.end);
        self.check(&partitions, usable, Vec::new());
        let id = DiskId::Signature(record::signature(&header));
        Some(Table { scheme: Scheme::Mbr, id, copy: Copy::Primary, usable, partitions })
    }

    /// Findings of the partitions, of which the worst are kept where there are very many.
    fn check(&mut self, partitions: &[Partition], usable: (Lba, Lba), mut found: Vec<Finding>) {
        found.extend(places(partitions, usable));
        found.extend(overlaps(partitions));
        found.extend(duplicates(partitions));
        found.extend(alignment(partitions, self.sector));
        found.sort_by_key(|finding| std::cmp::Reverse(finding.level()));
        let count = found.len().saturating_sub(LISTED);
        found.truncate(LISTED);
        if count > 0 {
            found.push(Finding::More { count });
        }
        self.findings.extend(found);
    }
}

fn is_absent(problem: CopyProblem) -> bool {
    matches!(problem, CopyProblem::Missing | CopyProblem::OutsideDisk)
}

fn places(partitions: &[Partition], (start, end): (Lba, Lba)) -> impl Iterator<Item = Finding> {
    partitions.iter().filter_map(move |Partition { number, first, last, .. }| {
        let number = *number;
        if last < first {
            Some(Finding::Reversed { number })
        } else {
            (*first < start || *last > end).then_some(Finding::OutOfRange { number, limit: end })
        }
    })
}

/// Containers of logical partitions overlap them by nature.
fn overlaps(partitions: &[Partition]) -> Vec<Finding> {
    let whole = |p: &&Partition| p.first <= p.last && !record::is_container(p);
    let mut sorted: Vec<&Partition> = partitions.iter().filter(whole).collect();
    sorted.sort_by_key(|partition| (partition.first, partition.number));
    let mut found = Vec::new();
    let mut furthest: Option<&Partition> = None;
    for partition in sorted {
        if let Some(before) = furthest.filter(|before| partition.first <= before.last) {
            let (number, other) = (partition.number.max(before.number), partition.number.min(before.number));
            found.push(Finding::Overlap { number, other });
        }
        if furthest.is_none_or(|before| partition.last > before.last) {
            furthest = Some(partition);
        }
    }
    found
}

fn duplicates(partitions: &[Partition]) -> Vec<Finding> {
    let mut seen = BTreeMap::new();
    let mut found = Vec::new();
    for (guid, number) in partitions.iter().filter_map(|partition| Some((partition.guid?, partition.number)))
    {
        match seen.get(&guid) {
            Some(&other) => found.push(Finding::DuplicateGuid { number, other }),
            None => drop(seen.insert(guid, number)),
        }
    }
    found
}

fn alignment(partitions: &[Partition], sector: SectorSize) -> impl Iterator<Item = Finding> {
    let misaligned = move |partition: &Partition| {
        let by = Bytes(partition.first.offset(sector)? % MIB);
        (by.0 != 0).then_some(Finding::Misaligned { number: partition.number, by })
    };
    partitions.iter().filter(|partition| !record::is_container(partition)).filter_map(misaligned)
}
