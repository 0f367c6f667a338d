//! What a stick shall become, as data.

use std::{collections::BTreeSet, fmt, path::Path};

use aegis_hw::{
    Bytes, Tree, inventory,
    tables::{Attributes, DiskFacts, DiskId, PartitionType, Size, TablePlan, Wanted, WantedTable},
    text::Shown,
    units::{MIB, SectorSize},
};
use serde::Serialize;

use super::{exfat, fat, volume::Volume};
use crate::{error::Error, plan::TargetDisk, select};

/// Up to this size sticks are sold with FAT32, and beyond it with exFAT: the standard of SD cards.
const FAT32_UP_TO: u64 = 32 << 30;

/// What a stick can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// FAT with 32 bits: every machine reads it; a file has less than 4 GiB.
    Fat32,
    /// exFAT: files of any size.
    Exfat,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fat32 => "FAT32",
            Self::Exfat => "exFAT",
        })
    }
}

/// Why a label cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelProblem {
    /// It has more than 11 characters.
    Long,
    /// It has a character that the file system does not take.
    Character(char),
}

impl fmt::Display for LabelProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long => f.write_str("has more than 11 characters"),
            Self::Character(c) => write!(f, "has the character `{}`", c.escape_debug()),
        }
    }
}

/// How a stick is made.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// `None` decides by the size.
    pub file_system: Option<FileSystem>,
    /// Name of the volume; empty for none.
    pub label: String,
    /// A disk that cannot be taken out is erased too.
    pub fixed_disk: bool,
    /// What a desktop mounted is unmounted.
    pub unmount: bool,
    /// Names disk and volume.
    pub random: [u8; 16],
}

/// One stick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StickPlan {
    /// What is erased.
    pub target: TargetDisk,
    /// Where file systems of the device are mounted that have to be unmounted first.
    pub unmount: Vec<String>,
    /// What it gets.
    pub file_system: FileSystem,
    /// Name of the volume as it is written.
    pub label: String,
    /// Serial number of the volume.
    pub volume_id: u32,
    /// The table, with one partition.
    pub table: TablePlan,
}

impl StickPlan {
    /// Looks at the device. `medium` names the disks that the running system came from.
    ///
    /// # Errors
    /// When the device does not exist, must not be used, or is too small, and when the label is not possible.
    pub fn new(
        tree: &Tree,
        device: &Path,
        medium: &BTreeSet<String>,
        wishes: &Wishes,
    ) -> Result<Self, Error> {
        let (target, unmount) = select::by_path(tree, device, medium, Bytes(0), wishes.unmount)?;
        if let Some(name) = built_in(tree, &target)?
            && !wishes.fixed_disk
        {
            let reason =
                format!("{} cannot be taken out; --fixed-disk says that this is meant", Shown(&name));
            let next = "choose a stick; `aegis-installer devices` lists the disks";
            return Err(Error::Refused { disk: target.description, reasons: vec![reason], next });
        }
        let (size, sector) = (target.identity.size.0, target.identity.sector_size);
        let file_system = wishes.file_system.unwrap_or(match size {
            size if size > FAT32_UP_TO || size < fat::least(sector) + MIB => FileSystem::Exfat,
            _ => FileSystem::Fat32,
        });
        let label = check_label(&wishes.label, file_system)
            .map_err(|problem| Error::Label { label: wishes.label.clone(), problem })?;
        let [a, b, c, d, ..] = wishes.random;
        let table = table(target.identity.size, sector, file_system, wishes.random)?;
        let plan =
            Self { target, unmount, file_system, label, volume_id: u32::from_le_bytes([a, b, c, d]), table };
        plan.check_size()?;
        Ok(plan)
    }

    /// First byte of the partition, and its bytes.
    pub fn partition(&self) -> (u64, u64) {
        let sector = self.table.disk.sector_size;
        self.table.partitions.first().map_or((0, 0), |placed| {
            (
                placed.first.offset(sector).unwrap_or_default(),
                placed.sectors().bytes(sector).unwrap_or_default().0,
            )
        })
    }

    fn check_size(&self) -> Result<(), Error> {
        let sector = self.target.identity.sector_size;
        let (start, size) = self.partition();
        let least = match self.file_system {
            FileSystem::Fat32 => fat::least(sector),
            FileSystem::Exfat => exfat::LEAST,
        };
        if size < least {
            let needed = Bytes(start + least + MIB);
            return Err(aegis_hw::Error::TooSmall { size: self.target.identity.size, needed }.into());
        }
        if self.file_system == FileSystem::Fat32 && size > fat::most(sector) {
            let reasons = vec!["it is too large for FAT32; use exFAT".into()];
            let next = "leave --format out, or give it exfat";
            return Err(Error::Refused { disk: self.target.description.clone(), reasons, next });
        }
        Ok(())
    }

    /// The content of the partition.
    pub(super) fn volume(&self) -> Result<Volume, Error> {
        let (partition, size) = self.partition();
        let wanted = exfat::Wanted {
            size,
            partition,
            sector: self.target.identity.sector_size,
            serial: self.volume_id,
            label: &self.label,
        };
        let volume = match self.file_system {
            FileSystem::Fat32 => fat::format(&wanted),
            FileSystem::Exfat => exfat::format(&wanted),
        };
        volume.map_err(Error::io("make a file system for", &self.target.path))
    }
}

/// The name of a disk that is no stick.
fn built_in(tree: &Tree, target: &TargetDisk) -> Result<Option<String>, Error> {
    if target.path.is_file() {
        return Ok(None);
    }
    let name = target.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((!inventory::disk(tree, &name)?.removable).then_some(name))
}

/// An MBR, as sticks have it, as far as it reaches.
fn table(size: Bytes, sector: u32, file_system: FileSystem, random: [u8; 16]) -> Result<TablePlan, Error> {
    let disk = DiskFacts::plain(size, SectorSize::try_from(sector)?);
    let beyond = size.0 / u64::from(sector) > u64::from(u32::MAX);
    let mut other = random;
    other[0] ^= 1;
    let id = |bytes| uuid::Builder::from_random_bytes(bytes).into_uuid();
    let [a, b, c, d, ..] = random;
    let byte = if file_system == FileSystem::Fat32 { 0x0c } else { 0x07 };
    let (id, kind, guid) = match beyond {
        true => (DiskId::Guid(id(random)), PartitionType::WINDOWS_DATA, Some(id(other))),
        false => (DiskId::Signature(u32::from_le_bytes([a, b, c, d])), PartitionType::Mbr(byte), None),
    };
    let size = Size::Rest(Bytes(MIB));
    let wanted = Wanted { kind, guid, size, name: String::new(), attributes: Attributes(0) };
    let table = WantedTable { id, partitions: vec![wanted] };
    Ok(table.plan(disk).map_err(aegis_hw::Error::Layout)?)
}

/// The label as it is written: FAT has capitals alone.
fn check_label(label: &str, file_system: FileSystem) -> Result<String, LabelProblem> {
    let (odd, limit): (&str, usize) = match file_system {
        FileSystem::Fat32 => ("\"*+,./:;<=>?[\\]|", fat::LABEL),
        FileSystem::Exfat => ("\"*/:<>?\\|", exfat::LABEL),
    };
    let foreign =
        |c: &char| c.is_control() || odd.contains(*c) || (file_system == FileSystem::Fat32 && !c.is_ascii());
    if let Some(found) = label.chars().find(foreign) {
        return Err(LabelProblem::Character(found));
    }
    let label = label.trim();
    if label.encode_utf16().count() > limit {
        return Err(LabelProblem::Long);
    }
    Ok(match file_system {
        FileSystem::Fat32 => label.to_ascii_uppercase(),
        FileSystem::Exfat => label.into(),
    })
}

impl fmt::Display for StickPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, unmount, file_system, label, table, .. } = self;
        writeln!(f, "Erased     {}: {}", target.path.display(), target.description)?;
        for lost in &target.lost {
            writeln!(f, "           with {lost}")?;
        }
        writeln!(f, "           confirmed by `{}`", target.token)?;
        for at in unmount {
            writeln!(f, "Unmounted  {}", Shown(at))?;
        }
        let named = if label.is_empty() { String::new() } else { format!(" \"{}\"", Shown(label)) };
        let (start, size) = self.partition();
        let scheme = table.id.scheme();
        writeln!(
            f,
            "Made       {file_system}{named}, {} from {} on, in an {scheme}",
            Bytes(size),
            Bytes(start)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        use FileSystem::{Exfat, Fat32};
        assert_eq!(check_label("My Stick", Fat32).unwrap(), "MY STICK");
        assert_eq!(check_label(" Ädas Stick ", Exfat).unwrap(), "Ädas Stick");
        assert_eq!(check_label("", Fat32).unwrap(), "");
        assert_eq!(check_label("twelve chars", Exfat), Err(LabelProblem::Long));
        assert_eq!(
            check_label("\u{1f980}\u{1f980}\u{1f980}\u{1f980}\u{1f980}\u{1f980}", Exfat),
            Err(LabelProblem::Long)
        );
        assert_eq!(check_label("ä", Fat32), Err(LabelProblem::Character('ä')));
        assert_eq!(check_label("a/b", Exfat), Err(LabelProblem::Character('/')));
        assert_eq!(check_label("a\n", Exfat), Err(LabelProblem::Character('\n')));
    }

    #[test]
    fn large_disks_have_a_gpt() {
        let table = |size, sector| table(Bytes(size), sector, FileSystem::Exfat, [7; 16]).unwrap();
        let scheme = |size, sector| table(size, sector).id.scheme().to_string();
        assert_eq!(scheme(2 << 40, 512), "GPT");
        assert_eq!(scheme((2 << 40) - 512, 512), "MBR");
        assert_eq!(scheme(8 << 40, 4096), "MBR");
        let one = table(64 << 30, 512);
        assert_eq!((one.partitions.len(), one.partitions[0].first.0), (1, 2048));
        assert_eq!(one.partitions[0].last.0, (64 << 30) / 512 - 1);
        assert_eq!(one.partitions[0].kind, PartitionType::Mbr(0x07));
    }
}
