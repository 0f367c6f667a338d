//! The partitions of an installation: a [`WantedTable`] with fixed roles.

use std::fmt;

use aegis_core::{
    hex::Hex,
    install::{InstallId, Role},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Attributes, DiskFacts, DiskId, PartitionType, Placed, Reason, TablePlan,
    layout::{Size, Wanted, WantedTable},
};
use crate::{
    error::Error,
    units::{Bytes, Lba, MIB, SectorSize},
};

/// Sizes of the partitions; the data partition takes the rest of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// EFI system partition.
    pub esp: Bytes,
    /// Each of the two slots.
    pub slot: Bytes,
    /// Smallest data partition that is of use.
    pub data_minimum: Bytes,
}

impl Layout {
    const BIOS_BOOT: Bytes = Bytes(MIB);

    /// Wanted size of a partition; of the data partition, the smallest.
    pub const fn size(&self, role: Role) -> Bytes {
        match role {
            Role::BiosBoot => Self::BIOS_BOOT,
            Role::Esp => self.esp,
            Role::RootA | Role::RootB => self.slot,
            Role::Data => self.data_minimum,
        }
    }

    /// The smallest disk with usual alignment that holds the layout.
    pub fn minimum(&self) -> Bytes {
        // The sizes do not depend on who is installed.
        self.wanted(InstallId(Hex([0; 16]))).minimum(Bytes(MIB))
    }

    /// The table of an installation.
    pub fn wanted(&self, install: InstallId) -> WantedTable {
        let one = |role| {
            let least = self.size(role);
            Wanted {
                kind: kind(role),
                guid: Some(Uuid::from_bytes(install.partition_guid(role).0)),
                size: if role == Role::Data { Size::Rest(least) } else { Size::Exactly(least) },
                name: role.name().into(),
                attributes: attributes(role),
            }
        };
        WantedTable { id: disk_id(install), partitions: Role::ALL.map(one).into() }
    }
}

/// The disk's own GUID is the installation's with the role zero.
fn disk_id(install: InstallId) -> DiskId {
    let mut bytes = install.partition_guid(Role::BiosBoot).0;
    bytes[15] &= 0xf0;
    DiskId::Guid(Uuid::from_bytes(bytes))
}

const fn kind(role: Role) -> PartitionType {
    match role {
        Role::BiosBoot => PartitionType::BIOS_BOOT,
        Role::Esp => PartitionType::ESP,
        Role::RootA | Role::RootB => PartitionType::ROOT_X86_64,
        Role::Data => PartitionType::LINUX,
    }
}

/// What finds root file systems by their type must not take a slot for one.
const fn attributes(role: Role) -> Attributes {
    match role {
        Role::RootA | Role::RootB => Attributes::NO_AUTO,
        _ => Attributes(0),
    }
}

/// A partition with its exact place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is for.
    pub role: Role,
    /// First sector.
    pub first: u64,
    /// Last sector, inclusive as in the table.
    pub last: u64,
}

/// The partitions of one disk for one installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionPlan {
    /// The installation, from which the GUIDs follow.
    pub install: InstallId,
    /// Size of the disk.
    pub disk: Bytes,
    /// Bytes of a logical sector: 512 or 4096.
    pub sector_size: u32,
    /// In the order of the table.
    pub entries: Vec<Entry>,
}

impl PartitionPlan {
    /// Places the partitions of a layout on a disk that says nothing of its alignment: each start and each size is a
    /// multiple of 1 MiB.
    ///
    /// # Errors
    /// [`Error::SectorSize`] and [`Error::TooSmall`].
    pub fn new(install: InstallId, disk: Bytes, sector_size: u32, layout: &Layout) -> Result<Self, Error> {
        Self::on(install, DiskFacts::plain(disk, SectorSize::try_from(sector_size)?), layout)
    }

    /// Places the partitions of a layout on a disk, aligned as the disk likes it.
    ///
    /// # Errors
    /// [`Error::TooSmall`].
    pub fn on(install: InstallId, disk: DiskFacts, layout: &Layout) -> Result<Self, Error> {
        let plan = layout.wanted(install).plan(disk).map_err(|reason| match reason {
            Reason::TooSmall { size, needed } => Error::TooSmall { size, needed },
            other => Error::Layout(other),
        })?;
        let entries = Role::ALL.into_iter().zip(plan.partitions);
        let entries =
            entries.map(|(role, placed)| Entry { role, first: placed.first.0, last: placed.last.0 });
        let (size, sector_size) = (disk.size, disk.sector_size.into());
        Ok(Self { install, disk: size, sector_size, entries: entries.collect() })
    }

    /// The whole table, from which the bytes follow.
    ///
    /// # Errors
    /// [`Error::SectorSize`], for a plan that was not made by [`PartitionPlan::new`].
    pub fn table(&self) -> Result<TablePlan, Error> {
        let one = |entry: &Entry| Placed {
            first: Lba(entry.first),
            last: Lba(entry.last),
            kind: kind(entry.role),
            guid: Some(Uuid::from_bytes(self.install.partition_guid(entry.role).0)),
            name: entry.role.name().into(),
            attributes: attributes(entry.role),
        };
        let disk = DiskFacts::plain(self.disk, SectorSize::try_from(self.sector_size)?);
        let partitions = self.entries.iter().map(one).collect();
        Ok(TablePlan { disk, id: disk_id(self.install), grain: Bytes(MIB), partitions })
    }

    /// A partition's first byte and its size; every plan has every role.
    pub fn place(&self, role: Role) -> (u64, Bytes) {
        let sector = u64::from(self.sector_size);
        self.entries.iter().find(|entry| entry.role == role).map_or((0, Bytes(0)), |entry| {
            (entry.first * sector, Bytes((entry.last - entry.first + 1) * sector))
        })
    }

    /// Demands that content fits into a partition.
    pub fn check_fits(&self, role: Role, needed: Bytes) -> Result<(), Error> {
        let (_, size) = self.place(role);
        if needed > size {
            return Err(Error::PartitionTooSmall { role, size, needed });
        }
        Ok(())
    }
}

impl fmt::Display for PartitionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (disk, sector) = (self.disk, self.sector_size);
        writeln!(f, "GPT on {disk}, sectors of {sector} bytes")?;
        for (i, entry) in self.entries.iter().enumerate() {
            let (_, size) = self.place(entry.role);
            let Entry { role, first, last } = entry;
            let end = if i + 1 == self.entries.len() { "" } else { "\n" };
            write!(f, "{} {:<9} {first:>12} {last:>12}  {size:>10}{end}", i + 1, role.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { esp: Bytes(1 << 30), slot: Bytes(3 << 30), data_minimum: Bytes(1 << 30) };

    fn plan(disk: u64, sector: u32) -> Result<PartitionPlan, Error> {
        let id = InstallId::parse("00112233445566778899aabbccddeeff").unwrap();
        PartitionPlan::new(id, Bytes(disk), sector, &LAYOUT)
    }

    #[test]
    fn prints_exact_sectors() {
        let text = plan(500_107_862_016, 512).unwrap().to_string();
        let expected = "\
GPT on 465.7 GiB, sectors of 512 bytes
1 bios-boot         2048         4095     1.0 MiB
2 esp               4096      2101247     1.0 GiB
3 root-a         2101248      8392703     3.0 GiB
4 root-b         8392704     14684159     3.0 GiB
5 data          14684160    976771071   458.7 GiB";
        assert_eq!(text, expected);
    }

    #[test]
    fn partitions_are_aligned_and_do_not_overlap() {
        for sector in [512, 4096] {
            for disk in [LAYOUT.minimum().0, LAYOUT.minimum().0 + 512, 64 << 30, (64 << 30) + MIB - 1] {
                let plan = plan(disk, sector).unwrap();
                let mut free = MIB;
                for entry in &plan.entries {
                    let (start, size) = plan.place(entry.role);
                    assert_eq!((start, start % MIB, size.0 % MIB), (free, 0, 0));
                    free += size.0;
                }
                // The backup table takes at most 33 sectors of 512 bytes or five of 4096.
                assert!(disk - free >= 33 * 512 && disk - free < 3 * MIB);
                assert!(plan.place(Role::Data).1 >= LAYOUT.data_minimum);
            }
        }
    }

    #[test]
    fn types_are_those_of_the_specifications() {
        let names = Role::ALL.map(|role| kind(role).to_string());
        assert_eq!(names, ["bios-boot", "esp", "root-x86-64", "root-x86-64", "linux"]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert!(matches!(plan(LAYOUT.minimum().0 - 1, 512), Err(Error::TooSmall { .. })));
        assert!(matches!(plan(64 << 30, 520), Err(Error::SectorSize(520))));
        let huge = Layout { slot: Bytes(u64::MAX), ..LAYOUT };
        let id = InstallId::parse("00112233445566778899aabbccddeeff").unwrap();
        assert!(PartitionPlan::new(id, Bytes(1 << 40), 512, &huge).is_err());
        let plan = plan(64 << 30, 512).unwrap();
        assert!(plan.check_fits(Role::RootA, Bytes(3 << 30)).is_ok());
        assert!(plan.check_fits(Role::RootA, Bytes((3 << 30) + 1)).is_err());
    }
}
