//! From a wanted layout and the facts of a disk to exact sectors, or to the reason against it.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Attributes, DiskId, PartitionType, Scheme};
use crate::{
    text::Shown,
    units::{Bytes, Lba, MIB, SectorSize, Sectors},
};

/// Entries of every GPT that is written: what the specification has as its least, and what every system reads.
const GPT_ENTRIES: usize = 128;
/// Primary partitions of an MBR.
const MBR_ENTRIES: usize = 4;
/// UTF-16 units of a name.
const NAME_UNITS: usize = 36;
/// A larger optimal I/O size is taken for a mistake of the device.
const GRAIN_LIMIT: u64 = 1 << 30;

/// How large a partition shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// This much, rounded up to the alignment.
    Exactly(Bytes),
    /// What the others leave, but at least this. One partition of a layout may.
    Rest(Bytes),
}

impl Size {
    /// The least that the partition takes of a disk with this alignment; `None` where that does not fit into 64 bits.
    fn least(self, grain: Bytes) -> Option<Bytes> {
        match self {
            // A partition without sectors cannot be written.
            Self::Exactly(size) | Self::Rest(size) => size.max(Bytes(1)).align_up(grain),
        }
    }
}

/// A partition that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// What it is for; a GUID for a GPT, a byte for an MBR.
    pub kind: PartitionType,
    /// Its own GUID, for a GPT.
    pub guid: Option<Uuid>,
    /// How large.
    pub size: Size,
    /// Name, for a GPT.
    #[serde(default)]
    pub name: String,
    /// Attribute bits; of an MBR's, [`Attributes::LEGACY_BOOT`] alone.
    #[serde(default)]
    pub attributes: Attributes,
}

/// A table that is wanted, for a disk of any size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedTable {
    /// What will name the disk; it also says which kind of table.
    pub id: DiskId,
    /// In the order of the disk and of their numbers.
    pub partitions: Vec<Wanted>,
}

/// What a plan needs to know of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFacts {
    /// Size.
    pub size: Bytes,
    /// Bytes of a logical sector.
    pub sector_size: SectorSize,
    /// Bytes that the device likes to be written at once, as `queue/optimal_io_size`; zero where it does not say.
    #[serde(default)]
    pub optimal_io: Bytes,
    /// Bytes from the start to the first aligned sector, as `alignment_offset`.
    #[serde(default)]
    pub alignment_offset: Bytes,
}

impl DiskFacts {
    /// A disk that says nothing of its alignment.
    pub const fn plain(size: Bytes, sector_size: SectorSize) -> Self {
        Self { size, sector_size, optimal_io: Bytes(0), alignment_offset: Bytes(0) }
    }

    /// The alignment of partitions: the smallest multiple of the optimal I/O size that is at least 1 MiB.
    ///
    /// Sizes that no layer of storage has, such as the 65535 sectors that USB adapters report, are left out.
    pub const fn grain(&self) -> Bytes {
        let optimal = self.optimal_io.0;
        if optimal == 0 || !optimal.is_multiple_of(4096) || optimal > GRAIN_LIMIT {
            return Bytes(MIB);
        }
        Bytes(MIB.div_ceil(optimal) * optimal)
    }

    /// The first byte that is aligned; impossible offsets count as none.
    const fn origin(&self) -> u64 {
        let offset = self.alignment_offset.0;
        if offset < self.grain().0 && offset.is_multiple_of(self.sector_size.bytes().0) { offset } else { 0 }
    }

    /// The last sector of the disk.
    fn end(&self) -> Lba {
        Lba(self.size.sectors(self.sector_size).0.saturating_sub(1))
    }
}

/// Why a layout is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// The disk is too small.
    TooSmall {
        /// What it has.
        size: Bytes,
        /// What is needed.
        needed: Bytes,
    },
    /// More partitions than the table can have.
    TooMany {
        /// Wanted.
        found: usize,
        /// Possible.
        limit: usize,
    },
    /// More than one partition takes the rest.
    TwoRests {
        /// The second.
        number: usize,
    },
    /// A partition without size.
    NoSize {
        /// Partition.
        number: usize,
    },
    /// A name of more than 36 UTF-16 units, or with a zero.
    Name {
        /// Partition.
        number: usize,
    },
    /// A type that this kind of table does not have, or the one for unused entries.
    Type {
        /// Partition.
        number: usize,
    },
    /// A GUID is missing, is all zeros, or is not the only one of its kind.
    Guid {
        /// Partition.
        number: usize,
    },
    /// Something that an MBR cannot say.
    NotInMbr {
        /// Partition.
        number: usize,
    },
    /// The partition reaches beyond the 2^32 sectors of an MBR.
    BeyondMbr {
        /// Partition.
        number: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { size, needed } => write!(f, "the disk has {size}, {needed} are needed"),
            Self::TooMany { found, limit } => {
                write!(f, "{found} partitions, but the table has room for {limit}")
            }
            Self::TwoRests { number } => write!(f, "partition {number} is the second that takes the rest"),
            Self::NoSize { number } => write!(f, "partition {number} has no size"),
            Self::Name { number } => {
                write!(f, "the name of partition {number} has more than 36 UTF-16 units")
            }
            Self::Type { number } => {
                write!(f, "this kind of table does not have the type of partition {number}")
            }
            Self::Guid { number } => write!(f, "partition {number} has no GUID of its own"),
            Self::NotInMbr { number } => {
                write!(f, "an MBR has no place for a property of partition {number}")
            }
            Self::BeyondMbr { number } => {
                write!(f, "partition {number} reaches beyond what an MBR can address")
            }
        }
    }
}

impl std::error::Error for Reason {}

/// A partition with its exact place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// First sector.
    pub first: Lba,
    /// Last sector, inclusive as in a GPT.
    pub last: Lba,
    /// What it is for.
    pub kind: PartitionType,
    /// Its own GUID.
    pub guid: Option<Uuid>,
    /// Name.
    pub name: String,
    /// Attribute bits.
    pub attributes: Attributes,
}

/// A table for one disk, to the sector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlan {
    /// The disk.
    pub disk: DiskFacts,
    /// What will name the disk; it also says which kind of table.
    pub id: DiskId,
    /// Bytes to whose multiples the partitions are aligned.
    pub grain: Bytes,
    /// In the order of the disk and of their numbers, which count from 1.
    pub partitions: Vec<Placed>,
}

impl DiskId {
    /// The kind of table that has such an identifier.
    pub const fn scheme(&self) -> Scheme {
        match self {
            Self::Guid(_) => Scheme::Gpt,
            Self::Signature(_) => Scheme::Mbr,
        }
    }
}

impl WantedTable {
    /// Places the partitions on a disk, each start and each size a multiple of [`DiskFacts::grain`].
    ///
    /// # Errors
    /// The first [`Reason`] against it.
    pub fn plan(&self, disk: DiskFacts) -> Result<TablePlan, Reason> {
        self.check()?;
        let (grain, scheme) = (disk.grain(), self.id.scheme());
        let too_small = |needed| Reason::TooSmall { size: disk.size, needed };
        let mut fixed = Bytes(0);
        for wanted in &self.partitions {
            // What does not fit into 64 bits does not fit on a disk either.
            let sum = wanted.size.least(grain).and_then(|size| fixed.checked_add(size));
            fixed = sum.ok_or(too_small(Bytes(u64::MAX)))?;
        }
        // Both tables of a GPT fit into a mebibyte at each end; an MBR has nothing at the end.
        let tail = if scheme == Scheme::Gpt { MIB } else { 0 };
        let first = disk.origin() + grain.0;
        let needed = fixed.0.checked_add(first).and_then(|sum| sum.checked_add(tail));
        let needed = Bytes(needed.ok_or(too_small(Bytes(u64::MAX)))?);
        let room = disk.size.0.checked_sub(needed.0).ok_or(too_small(needed))?;
        // The partition that takes the rest ends at a multiple of the grain too.
        let spare = Bytes(room).align_down(grain);

        let mut start = first;
        let mut partitions = Vec::with_capacity(self.partitions.len());
        for (wanted, number) in self.partitions.iter().zip(1..) {
            let least = wanted.size.least(grain).unwrap_or_default();
            let more = if matches!(wanted.size, Size::Rest(_)) { spare } else { Bytes(0) };
            // The sum of all of them was found to fit.
            let end = start + least.0 + more.0;
            let placed = wanted.between(Bytes(start), Bytes(end), disk.sector_size);
            if scheme == Scheme::Mbr && placed.last.0 >= u64::from(u32::MAX) {
                return Err(Reason::BeyondMbr { number });
            }
            partitions.push(placed);
            start = end;
        }
        Ok(TablePlan { disk, id: self.id, grain, partitions })
    }

    /// What does not depend on the disk.
    fn check(&self) -> Result<(), Reason> {
        let scheme = self.id.scheme();
        let limit = if scheme == Scheme::Gpt { GPT_ENTRIES } else { MBR_ENTRIES };
        let found = self.partitions.len();
        if found > limit {
            return Err(Reason::TooMany { found, limit });
        }
        let mut guids: BTreeSet<Uuid> = match self.id {
            DiskId::Guid(guid) => [guid].into(),
            DiskId::Signature(_) => BTreeSet::new(),
        };
        let mut rests = 0;
        for (wanted, number) in self.partitions.iter().zip(1..) {
            rests += usize::from(matches!(wanted.size, Size::Rest(_)));
            if rests > 1 {
                return Err(Reason::TwoRests { number });
            }
            if wanted.size == Size::Exactly(Bytes(0)) {
                return Err(Reason::NoSize { number });
            }
            match scheme {
                Scheme::Gpt => wanted.check_gpt(number, &mut guids)?,
                Scheme::Mbr => wanted.check_mbr(number)?,
            }
        }
        Ok(())
    }

    /// The smallest disk with this alignment that holds the layout.
    pub fn minimum(&self, grain: Bytes) -> Bytes {
        let tail = if self.id.scheme() == Scheme::Gpt { MIB } else { 0 };
        let sizes = self.partitions.iter().map(|p| p.size.least(grain).map_or(u64::MAX, |size| size.0));
        Bytes(sizes.fold(grain.0.saturating_add(tail), u64::saturating_add))
    }
}

impl Wanted {
    fn check_gpt(&self, number: usize, guids: &mut BTreeSet<Uuid>) -> Result<(), Reason> {
        if !matches!(self.kind, PartitionType::Gpt(guid) if !guid.is_nil()) {
            return Err(Reason::Type { number });
        }
        let own = self.guid.filter(|guid| !guid.is_nil()).ok_or(Reason::Guid { number })?;
        if !guids.insert(own) {
            return Err(Reason::Guid { number });
        }
        if self.name.encode_utf16().count() > NAME_UNITS || self.name.contains('\0') {
            return Err(Reason::Name { number });
        }
        Ok(())
    }

    fn check_mbr(&self, number: usize) -> Result<(), Reason> {
        match self.kind {
            PartitionType::Mbr(0 | super::record::PROTECTIVE) | PartitionType::Gpt(_) => {
                return Err(Reason::Type { number });
            }
            // A container would need a chain in it.
            PartitionType::Mbr(byte) if PartitionType::is_extended(byte) => {
                return Err(Reason::Type { number });
            }
            PartitionType::Mbr(_) => {}
        }
        let plain = self.attributes.0 & !Attributes::LEGACY_BOOT.0 == 0;
        if self.guid.is_some() || !self.name.is_empty() || !plain {
            return Err(Reason::NotInMbr { number });
        }
        Ok(())
    }

    /// With a place. Both bounds are multiples of the sector.
    fn between(&self, start: Bytes, end: Bytes, sector: SectorSize) -> Placed {
        Placed {
            first: Lba(start.sectors(sector).0),
            last: Lba(end.sectors(sector).0.saturating_sub(1)),
            kind: self.kind,
            guid: self.guid,
            name: self.name.clone(),
            attributes: self.attributes,
        }
    }
}

impl Placed {
    /// Number of sectors.
    pub fn sectors(&self) -> Sectors {
        self.first.through(self.last).unwrap_or_default()
    }
}

impl TablePlan {
    /// The last sector of the disk.
    pub(super) fn end(&self) -> Lba {
        self.disk.end()
    }
}

impl fmt::Display for TablePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DiskFacts { size, sector_size, .. } = self.disk;
        write!(
            f,
            "{} {} on {size}, sectors of {sector_size} bytes, aligned to {}",
            self.id.scheme(),
            self.id,
            self.grain
        )?;
        for (placed, number) in self.partitions.iter().zip(1..) {
            let Placed { first, last, kind, name, attributes, .. } = placed;
            let size = placed.sectors().bytes(sector_size).unwrap_or_default();
            write!(f, "\n{number:>3} {first:>12} {last:>12}  {size:>10}  {kind:<18} {}", Shown(name))?;
            if attributes.0 != 0 {
                write!(f, " [{attributes}]")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(sizes: &[Size]) -> WantedTable {
        let one = |(size, number): (&Size, u128)| Wanted {
            kind: PartitionType::LINUX,
            guid: Some(Uuid::from_u128(number)),
            size: *size,
            name: String::new(),
            attributes: Attributes::default(),
        };
        WantedTable {
            id: DiskId::Guid(Uuid::from_u128(99)),
            partitions: sizes.iter().zip(1..).map(one).collect(),
        }
    }

    fn facts(size: u64) -> DiskFacts {
        DiskFacts::plain(Bytes(size), SectorSize::S512)
    }

    #[test]
    fn the_grain_follows_the_device_where_that_makes_sense() {
        let grain = |optimal| DiskFacts { optimal_io: Bytes(optimal), ..facts(1 << 40) }.grain().0;
        assert_eq!([grain(0), grain(4096), grain(65536), grain(1 << 20)], [MIB; 4]);
        assert_eq!(grain(3 << 19), 3 << 19, "RAID 5 of four disks");
        assert_eq!(grain(3 << 18), 3 << 19);
        assert_eq!(grain(8 << 20), 8 << 20);
        assert_eq!(grain(65535 * 512), MIB, "USB adapters");
        assert_eq!(grain(512), MIB);
        assert_eq!(grain(1 << 32), MIB);
    }

    #[test]
    fn the_rest_may_be_anywhere_and_everything_is_aligned() {
        let table = wanted(&[Size::Exactly(Bytes(5)), Size::Rest(Bytes(0)), Size::Exactly(Bytes(MIB + 1))]);
        let disk = DiskFacts { optimal_io: Bytes(3 << 19), alignment_offset: Bytes(3584), ..facts(1 << 30) };
        let plan = table.plan(disk).unwrap();
        let grain = plan.grain.0;
        let mut free = grain + 3584;
        for placed in &plan.partitions {
            assert_eq!((placed.first.0 * 512, (free - 3584) % grain), (free, 0));
            free = (placed.last.0 + 1) * 512;
        }
        assert!(free <= (1 << 30) - MIB && free > (1 << 30) - MIB - grain - 3584);
    }

    #[test]
    fn reasons_against() {
        let plan = |sizes: &[Size], size| wanted(sizes).plan(facts(size)).map(|_| ());
        let one = Size::Exactly(Bytes(MIB));
        assert_eq!(plan(&[one], 3 * MIB), Ok(()));
        let reason = Reason::TooSmall { size: Bytes(3 * MIB - 1), needed: Bytes(3 * MIB) };
        assert_eq!(plan(&[one], 3 * MIB - 1), Err(reason));
        assert_eq!(wanted(&[one]).minimum(Bytes(MIB)), Bytes(3 * MIB));
        assert!(matches!(plan(&[one], 0), Err(Reason::TooSmall { .. })));
        assert!(matches!(plan(&[Size::Exactly(Bytes(u64::MAX))], u64::MAX), Err(Reason::TooSmall { .. })));
        assert!(matches!(plan(&[Size::Exactly(Bytes(1 << 63)); 2], u64::MAX), Err(Reason::TooSmall { .. })));
        assert_eq!(plan(&[Size::Rest(Bytes(1)); 2], 1 << 30), Err(Reason::TwoRests { number: 2 }));
        assert_eq!(plan(&[Size::Exactly(Bytes(0))], 1 << 30), Err(Reason::NoSize { number: 1 }));
        assert_eq!(plan(&[one; 129], 1 << 30), Err(Reason::TooMany { found: 129, limit: 128 }));
        let with = |change: fn(&mut Wanted)| {
            let mut table = wanted(&[one]);
            change(&mut table.partitions[0]);
            table.plan(facts(1 << 30)).map(|_| ())
        };
        assert_eq!(with(|p| p.guid = None), Err(Reason::Guid { number: 1 }));
        assert_eq!(with(|p| p.guid = Some(Uuid::from_u128(99))), Err(Reason::Guid { number: 1 }));
        assert_eq!(with(|p| p.kind = PartitionType::Mbr(0x83)), Err(Reason::Type { number: 1 }));
        assert_eq!(with(|p| p.kind = PartitionType::Gpt(Uuid::nil())), Err(Reason::Type { number: 1 }));
        assert_eq!(with(|p| p.name = "n".repeat(37)), Err(Reason::Name { number: 1 }));
        assert_eq!(with(|p| p.name = "\u{1f980}".repeat(18)), Ok(()));
    }

    #[test]
    fn an_mbr_has_less() {
        let plain = Wanted {
            kind: PartitionType::Mbr(0x83),
            guid: None,
            size: Size::Rest(Bytes(MIB)),
            name: String::new(),
            attributes: Attributes::LEGACY_BOOT,
        };
        let plan = |wanted: Wanted, size| {
            let table = WantedTable { id: DiskId::Signature(7), partitions: vec![wanted] };
            table.plan(facts(size)).map(|plan| plan.partitions[0].last.0)
        };
        assert_eq!(plan(plain.clone(), 1 << 30), Ok((1 << 21) - 1), "to the end: there is no second table");
        assert_eq!(plan(plain.clone(), 3 << 40), Err(Reason::BeyondMbr { number: 1 }));
        for byte in [0, 0xee, 5, 0x0f] {
            let wanted = Wanted { kind: PartitionType::Mbr(byte), ..plain.clone() };
            assert_eq!(plan(wanted, 1 << 30), Err(Reason::Type { number: 1 }));
        }
        assert!(plan(Wanted { name: "x".into(), ..plain.clone() }, 1 << 30).is_err());
        assert!(plan(Wanted { attributes: Attributes::NO_AUTO, ..plain }, 1 << 30).is_err());
    }

    #[test]
    fn plans_are_text_and_data() {
        let mut table = wanted(&[Size::Exactly(Bytes(64 * MIB)), Size::Rest(Bytes(1))]);
        table.partitions[0] = Wanted {
            kind: PartitionType::ESP,
            name: "a\u{202e}b".into(),
            attributes: Attributes::NO_AUTO,
            ..table.partitions[0].clone()
        };
        let plan = table.plan(facts(1 << 30)).unwrap();
        let expected = "\
GPT 00000000-0000-0000-0000-000000000063 on 1.0 GiB, sectors of 512 bytes, aligned to 1.0 MiB
  1         2048       133119    64.0 MiB  esp                a\\u{202e}b [no-auto]
  2       133120      2095103   958.0 MiB  linux              ";
        assert_eq!(plan.to_string(), expected);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<TablePlan>(&json).unwrap(), plan);
        assert!(
            serde_json::from_str::<WantedTable>(&serde_json::to_string(&table).unwrap()).unwrap() == table
        );
    }
}
