//! From a wanted layout to exact sectors.

use std::fmt;

use aegis_core::install::{InstallId, Role};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    units::{Bytes, MIB},
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

    /// The smallest disk that holds the layout.
    pub fn minimum(&self) -> Bytes {
        let sum = Role::ALL.iter().fold(0u64, |sum, role| sum.saturating_add(rounded_up(self.size(*role))));
        // One mebibyte at each end for the two tables.
        Bytes(sum.saturating_add(2 * MIB))
    }
}

fn rounded_up(size: Bytes) -> u64 {
    size.0.div_ceil(MIB).saturating_mul(MIB)
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
    /// Places the partitions of a layout on a disk, each start and each size a multiple of 1 MiB.
    ///
    /// # Errors
    /// [`Error::SectorSize`] and [`Error::TooSmall`].
    pub fn new(install: InstallId, disk: Bytes, sector_size: u32, layout: &Layout) -> Result<Self, Error> {
        if !matches!(sector_size, 512 | 4096) {
            return Err(Error::SectorSize(sector_size));
        }
        if disk < layout.minimum() {
            return Err(Error::TooSmall { size: disk, needed: layout.minimum() });
        }
        let sector = u64::from(sector_size);
        let end = disk.align_down().0 - MIB;
        let mut start = MIB;
        let mut entries = Vec::with_capacity(Role::ALL.len());
        for role in Role::ALL {
            let size = if role == Role::Data { end - start } else { rounded_up(layout.size(role)) };
            entries.push(Entry { role, first: start / sector, last: (start + size) / sector - 1 });
            start += size;
        }
        Ok(Self { install, disk, sector_size, entries })
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
