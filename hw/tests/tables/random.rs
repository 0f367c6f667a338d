//! Layouts and disks by chance, the same ones at every run.

use aegis_hw::{
    Bytes,
    tables::{Attributes, DiskFacts, DiskId, PartitionType, Size, TablePlan, Wanted, WantedTable},
    units::SectorSize,
};
use uuid::Uuid;

/// Says with which number a test failed.
pub(crate) struct Seed(pub(crate) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the random numbers began with {}", self.0);
        }
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// Of any order of magnitude.
    fn up_to(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits) + 1;
        self.next() >> (64 - bits)
    }

    pub(crate) fn guid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next() | 1, self.next())
    }

    fn name(&mut self) -> String {
        let alphabet = ['a', 'Z', ' ', 'ä', '語', '\u{1f980}', '\u{202e}', '\u{1b}', '-', '0'];
        let length = self.below(19);
        (0..length).map(|_| alphabet[usize::try_from(self.below(10)).unwrap()]).collect()
    }

    fn facts(&mut self, bits: u64) -> DiskFacts {
        let sector_size = if self.below(2) == 0 { SectorSize::S512 } else { SectorSize::S4096 };
        let optimal = [0, 0, 4096, 65536, 1 << 20, 3 << 19, 8 << 20, 65535 * 512];
        DiskFacts {
            size: Bytes((self.up_to(bits) | 1 << 24).min(1 << 63)),
            sector_size,
            optimal_io: Bytes(optimal[usize::try_from(self.below(8)).unwrap()]),
            alignment_offset: Bytes([0, 0, 3584, 4096, 28672][usize::try_from(self.below(5)).unwrap()]),
        }
    }

    fn gpt(&mut self, disk: Bytes) -> WantedTable {
        let count = if self.below(20) == 0 { self.below(129) } else { self.below(9) };
        let rest = self.below(count * 2 + 1);
        let kinds = ["esp", "root-x86-64", "home", "swap", "windows-data", "var", "linux-luks", "usr-x86-64"];
        let one = |number| Wanted {
            kind: match self.below(10) {
                8.. => PartitionType::Gpt(self.guid()),
                kind => PartitionType::named(kinds[usize::try_from(kind).unwrap()]).unwrap(),
            },
            guid: Some(self.guid()),
            size: match number == rest {
                true => Size::Rest(Bytes(self.up_to(20))),
                false => Size::Exactly(Bytes(self.below(disk.0 / (count + 1) + 1) + 1)),
            },
            name: self.name(),
            attributes: Attributes([0, 1, 1 << 63, self.next()][usize::try_from(self.below(4)).unwrap()]),
        };
        let partitions = (0..count).map(one).collect();
        WantedTable { id: DiskId::Guid(self.guid()), partitions }
    }

    fn mbr(&mut self, disk: Bytes) -> WantedTable {
        let count = self.below(4) + 1;
        let rest = self.below(count * 2);
        let kinds = [0x83, 0x07, 0x0c, 0x82, 0xef, 0x17];
        let one = |number| Wanted {
            kind: PartitionType::Mbr(kinds[usize::try_from(self.below(6)).unwrap()]),
            guid: None,
            size: match number == rest {
                true => Size::Rest(Bytes(1)),
                false => Size::Exactly(Bytes(self.below(disk.0 / (count + 1) + 1) + 1)),
            },
            name: String::new(),
            attributes: if self.below(4) == 0 { Attributes::LEGACY_BOOT } else { Attributes(0) },
        };
        let partitions = (0..count).map(one).collect();
        WantedTable { id: DiskId::Signature(u32::try_from(self.next() >> 32).unwrap()), partitions }
    }

    /// A plan for a disk of at most 2^`bits` bytes; `None` where the layout does not fit, which is checked elsewhere.
    pub(crate) fn plan(&mut self, bits: u64) -> Option<TablePlan> {
        let facts = self.facts(bits);
        let wanted = if self.below(5) == 0 { self.mbr(facts.size) } else { self.gpt(facts.size) };
        wanted.plan(facts).ok()
    }
}
