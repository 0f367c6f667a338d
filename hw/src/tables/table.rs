//! A partition table as it was read, and what is wrong with it.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use super::{Attributes, PartitionType};
use crate::{
    text::Shown,
    units::{Bytes, Lba, SectorSize, Sectors},
};

/// The kind of a partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// GUID partition table: UEFI specification 2.10, chapter 5.
    Gpt,
    /// Master boot record, with a chain of extended boot records for more than four partitions.
    Mbr,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gpt => "GPT",
            Self::Mbr => "MBR",
        })
    }
}

/// Which of the two copies of a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Copy {
    /// At the start of the disk.
    Primary,
    /// At its end.
    Backup,
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        })
    }
}

/// What names a disk in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskId {
    /// GUID of a GPT.
    Guid(Uuid),
    /// Signature of an MBR.
    Signature(u32),
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guid(guid) => guid.fmt(f),
            Self::Signature(number) => write!(f, "{number:08x}"),
        }
    }
}

/// A partition of a table. Its numbers are those of the disk, which may be wrong; see [`Finding`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Number in the table, from 1; logical partitions of an MBR from 5.
    pub number: u32,
    /// First sector.
    pub first: Lba,
    /// Last sector, inclusive as in a GPT.
    pub last: Lba,
    /// What it is for.
    pub kind: PartitionType,
    /// Its own GUID; an MBR has none.
    pub guid: Option<Uuid>,
    /// Attribute bits.
    pub attributes: Attributes,
    /// Name, raw as on the disk: show it through [`Shown`]. An MBR has none.
    pub name: String,
}

impl Partition {
    /// Number of sectors; none where the last comes before the first.
    pub fn sectors(&self) -> Sectors {
        self.first.through(self.last).unwrap_or_default()
    }
}

/// A partition table that rules its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Its kind.
    pub scheme: Scheme,
    /// What names the disk.
    pub id: DiskId,
    /// The copy that was read; of an MBR there is one.
    pub copy: Copy,
    /// First and last sector that partitions may take.
    pub usable: (Lba, Lba),
    /// In the order of their numbers.
    pub partitions: Vec<Partition>,
}

/// Why one copy of a GPT is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum CopyProblem {
    /// No header is at its place.
    Missing,
    /// The disk cannot read it.
    Unreadable,
    /// The place is outside of the disk.
    OutsideDisk,
    /// The header's size is impossible.
    HeaderSize {
        /// Bytes.
        found: u32,
    },
    /// The header's checksum is wrong.
    HeaderChecksum,
    /// The header says that it belongs elsewhere.
    Place {
        /// Where it says.
        says: Lba,
    },
    /// The header's range for partitions is impossible.
    Range,
    /// Entries of a size that nobody uses.
    EntrySize {
        /// Bytes.
        found: u32,
    },
    /// No entries, or more than any system reads.
    EntryCount {
        /// Entries.
        found: u32,
    },
    /// The array of entries is outside of the disk.
    EntriesOutside,
    /// The checksum of the array of entries is wrong.
    EntriesChecksum,
}

impl fmt::Display for CopyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::Unreadable => f.write_str("the disk cannot read it"),
            Self::OutsideDisk => f.write_str("it would be beyond the end of the disk"),
            Self::HeaderSize { found } => write!(f, "its header claims {found} bytes"),
            Self::HeaderChecksum => f.write_str("the checksum of its header is wrong"),
            Self::Place { says } => write!(f, "its header says that it belongs into sector {says}"),
            Self::Range => f.write_str("its range for partitions is impossible"),
            Self::EntrySize { found } => write!(f, "its entries have {found} bytes, not 128"),
            Self::EntryCount { found } => write!(f, "it claims {found} entries"),
            Self::EntriesOutside => f.write_str("its entries are outside of the disk"),
            Self::EntriesChecksum => f.write_str("the checksum of its entries is wrong"),
        }
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// The table works; a repair is advisable.
    Warning,
    /// Systems disagree about the table, or do not see it.
    Damage,
}

/// Something about a table that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// One copy of a GPT is not usable.
    CopyUnusable {
        /// Which.
        copy: Copy,
        /// Why.
        #[serde(flatten)]
        problem: CopyProblem,
    },
    /// Both copies are whole and say different things; the primary rules.
    CopiesDiffer,
    /// The backup is not in the last sector: the disk grew, or an image was copied to a larger one.
    BackupNotAtEnd {
        /// Where it is.
        at: Lba,
        /// The last sector.
        end: Lba,
    },
    /// The table was made for a larger disk.
    DiskTooSmall {
        /// Last sector that the table takes the disk to have.
        table: Lba,
        /// Last sector of the disk.
        end: Lba,
    },
    /// The table was made on a disk with sectors of another size.
    OtherSectorSize {
        /// Size for which it was made.
        made_for: SectorSize,
    },
    /// There is a GPT, but no protective MBR: firmware and Linux do not see it.
    ProtectiveMissing,
    /// The protective entry does not start in sector 1: Linux does not see the GPT.
    ProtectivePlace {
        /// Where it starts.
        first: Lba,
    },
    /// The protective entry has another length than the disk.
    ProtectiveLength {
        /// Sectors that it has.
        found: u32,
        /// Sectors that it should have.
        expected: u32,
    },
    /// The MBR has partitions beside the protective entry.
    Hybrid,
    /// An MBR rules, and remains of a GPT are there too.
    StaleGpt {
        /// Which copy.
        copy: Copy,
    },
    /// An entry whose last sector comes before its first.
    Reversed {
        /// Partition.
        number: u32,
    },
    /// A partition outside of the range for partitions or of the disk.
    OutOfRange {
        /// Partition.
        number: u32,
        /// The last sector that it may have.
        limit: Lba,
    },
    /// Two partitions share sectors.
    Overlap {
        /// Partition.
        number: u32,
        /// The other one.
        other: u32,
    },
    /// Two partitions have the same GUID, or one has the disk's.
    DuplicateGuid {
        /// Partition.
        number: u32,
        /// The other one; zero is the disk.
        other: u32,
    },
    /// A partition does not start at a multiple of 1 MiB.
    Misaligned {
        /// Partition.
        number: u32,
        /// Bytes by which it starts too late.
        by: Bytes,
    },
    /// A name that is not UTF-16.
    NameDamaged {
        /// Partition.
        number: u32,
    },
    /// The chain of extended boot records breaks off.
    ChainBroken {
        /// The sector that should be one.
        at: Lba,
    },
    /// The chain of extended boot records has no end.
    ChainEndless,
    /// More than one extended partition.
    TwoExtended,
    /// There are more findings of the partitions than are worth listing.
    More {
        /// How many were left out.
        count: usize,
    },
}

impl Finding {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            Self::BackupNotAtEnd { .. }
            | Self::CopiesDiffer
            | Self::StaleGpt { .. }
            | Self::DuplicateGuid { .. } => Level::Warning,
            Self::CopyUnusable { copy: Copy::Backup, .. } => Level::Warning,
            Self::ProtectiveLength { .. }
            | Self::Misaligned { .. }
            | Self::NameDamaged { .. }
            | Self::More { .. } => Level::Note,
            _ => Level::Damage,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CopyUnusable { copy, problem } => write!(f, "the {copy} table is not usable: {problem}"),
            Self::CopiesDiffer => f.write_str("the backup table says something else than the primary one"),
            Self::BackupNotAtEnd { at, end } => {
                write!(f, "the backup table is in sector {at}, the disk ends with {end}: it grew")
            }
            Self::DiskTooSmall { table, end } => {
                write!(f, "the table was made for a disk to sector {table}, this one ends with {end}")
            }
            Self::OtherSectorSize { made_for } => {
                write!(f, "the table was made for sectors of {made_for} bytes")
            }
            Self::ProtectiveMissing => {
                f.write_str("the GPT has no protective MBR, so most systems do not see it")
            }
            Self::ProtectivePlace { first } => {
                write!(
                    f,
                    "the protective MBR starts in sector {first} instead of 1, so Linux does not see the GPT"
                )
            }
            Self::ProtectiveLength { found, expected } => {
                write!(f, "the protective MBR covers {found} sectors instead of {expected}")
            }
            Self::Hybrid => {
                f.write_str("a hybrid MBR: systems see different partitions, depending on their age")
            }
            Self::StaleGpt { copy } => write!(f, "the disk has an MBR, and a {copy} GPT of former times"),
            Self::Reversed { number } => write!(f, "partition {number} ends before it starts"),
            Self::OutOfRange { number, limit } => {
                write!(
                    f,
                    "partition {number} does not lie within the sectors for partitions, which end with {limit}"
                )
            }
            Self::Overlap { number, other } => write!(f, "partitions {other} and {number} overlap"),
            Self::DuplicateGuid { number, other: 0 } => {
                write!(f, "partition {number} has the GUID of the disk")
            }
            Self::DuplicateGuid { number, other } => {
                write!(f, "partitions {other} and {number} have the same GUID")
            }
            Self::Misaligned { number, by } => {
                write!(f, "partition {number} starts {by} after a multiple of 1 MiB, which makes it slow")
            }
            Self::NameDamaged { number } => write!(f, "the name of partition {number} is not UTF-16"),
            Self::ChainBroken { at } => {
                write!(f, "the chain of logical partitions breaks off at sector {at}")
            }
            Self::ChainEndless => f.write_str("the chain of logical partitions has no end"),
            Self::TwoExtended => f.write_str("there are two extended partitions"),
            Self::More { count } => write!(f, "{count} more findings of this kind"),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.copy == Copy::Backup { ", read from its backup" } else { "" };
        write!(f, "{} {}, sectors {} to {}{from}", self.scheme, self.id, self.usable.0, self.usable.1)?;
        for partition in &self.partitions {
            let Partition { number, first, last, kind, name, attributes, .. } = partition;
            write!(f, "\n{number:>3} {first:>12} {last:>12}  {:<20} {}", kind, Shown(name))?;
            if attributes.0 != 0 {
                write!(f, " [{attributes}]")?;
            }
        }
        Ok(())
    }
}
