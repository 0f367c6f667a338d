//! The bytes of a partition table: UEFI specification 2.10, chapter 5.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
};

use aegis_core::install::Role;
use gpt::{
    GptConfig, GptError,
    disk::LogicalBlockSize,
    mbr::ProtectiveMBR,
    partition::Partition,
    partition_types::{BIOS, EFI, LINUX_FS, LINUX_ROOT_X64, Type},
};
use uuid::Uuid;

use super::PartitionPlan;
use crate::error::Error;

/// Attribute bit of the Discoverable Partitions Specification: not mounted by generators.
const NO_AUTO: u64 = 1 << 63;
/// Bytes of the array of entries: 128 entries of 128 bytes.
const ENTRIES: u64 = 128 * 128;

/// Bytes and their place on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// What it is, for messages.
    pub name: &'static str,
    /// First byte.
    pub offset: u64,
    /// Content.
    pub bytes: Vec<u8>,
}

/// A whole partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// In the order in which they are to be written: the backup first; the boot sector, without which
    /// firmware does not see the table, last.
    pub regions: Vec<Region>,
}

/// The table of a plan; `boot_code` goes into the first 440 bytes of the boot sector.
pub fn encode(plan: &PartitionPlan, boot_code: Option<[u8; 440]>) -> Result<Table, Error> {
    let table = |error: GptError| Error::Table(io::Error::other(error));
    let sector = u64::from(plan.sector_size);
    let size = plan.disk.0 - plan.disk.0 % sector;
    let block = if sector == 4096 { LogicalBlockSize::Lb4096 } else { LogicalBlockSize::Lb512 };
    let config = GptConfig::new().writable(true).logical_block_size(block);
    let mut disk = config.create_from_device(Recorder::new(size), Some(disk_guid(plan))).map_err(table)?;
    disk.update_partitions(partitions(plan)).map_err(table)?;
    let mut recorder = disk.write().map_err(table)?;

    let sectors = u32::try_from(size / sector - 1).unwrap_or(u32::MAX);
    let mut mbr = ProtectiveMBR::with_lb_size(sectors);
    if let Some(code) = boot_code {
        mbr.set_bootcode(code);
    }
    let mut boot_sector = mbr.to_bytes().to_vec();
    boot_sector.resize(usize::try_from(sector).unwrap_or(512), 0);

    let mut region =
        |name, offset, length| recorder.copy(offset, length).map(|bytes| Region { name, offset, bytes });
    let mut regions = Vec::new();
    for (name, offset, length) in [
        ("backup partition entries", size - sector - ENTRIES, ENTRIES),
        ("backup table header", size - sector, sector),
        ("partition entries", 2 * sector, ENTRIES),
        ("table header", sector, sector),
    ] {
        regions.push(region(name, offset, length).map_err(Error::Table)?);
    }
    regions.push(Region { name: "boot sector", offset: 0, bytes: boot_sector });
    Ok(Table { regions })
}

/// The disk's own GUID is the installation's with the role zero.
fn disk_guid(plan: &PartitionPlan) -> Uuid {
    let mut bytes = plan.install.partition_guid(Role::BiosBoot).0;
    bytes[15] &= 0xf0;
    Uuid::from_bytes(bytes)
}

fn partitions(plan: &PartitionPlan) -> BTreeMap<u32, Partition> {
    let one = |entry: &super::Entry| Partition {
        part_type_guid: type_guid(entry.role),
        part_guid: Uuid::from_bytes(plan.install.partition_guid(entry.role).0),
        first_lba: entry.first,
        last_lba: entry.last,
        flags: if matches!(entry.role, Role::RootA | Role::RootB) { NO_AUTO } else { 0 },
        name: entry.role.name().into(),
    };
    (1..).zip(plan.entries.iter().map(one)).collect()
}

fn type_guid(role: Role) -> Type {
    match role {
        Role::BiosBoot => BIOS,
        Role::Esp => EFI,
        Role::RootA | Role::RootB => LINUX_ROOT_X64,
        Role::Data => LINUX_FS,
    }
}

/// A disk of any size in memory that keeps only what is written; everything else reads as zeros.
#[derive(Debug)]
struct Recorder {
    size: u64,
    position: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

const PAGE: usize = 4096;

impl Recorder {
    fn new(size: u64) -> Self {
        Self { size, position: 0, pages: BTreeMap::new() }
    }

    fn copy(&mut self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        self.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Page, place in it, and number of bytes of the next piece.
    fn piece(&self, wanted: usize) -> (u64, usize, usize) {
        let within = usize::try_from(self.position % PAGE as u64).unwrap_or(0);
        let left = usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        (self.position / PAGE as u64, within, wanted.min(PAGE - within).min(left))
    }
}

impl Read for Recorder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (page, within, length) = self.piece(buffer.len());
        match self.pages.get(&page) {
            Some(data) => buffer[..length].copy_from_slice(&data[within..within + length]),
            None => buffer[..length].fill(0),
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Write for Recorder {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (page, within, length) = self.piece(buffer.len());
        let data = self.pages.entry(page).or_insert_with(|| Box::new([0; PAGE]));
        data[within..within + length].copy_from_slice(&buffer[..length]);
        self.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Recorder {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(offset) => (self.size, offset),
            SeekFrom::Current(offset) => (self.position, offset),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "seek before the first byte");
        self.position = base.checked_add_signed(offset).ok_or_else(outside)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use aegis_core::install::InstallId;

    use super::*;
    use crate::{tables::Layout, units::Bytes};

    fn plan(disk: u64, sector: u32) -> PartitionPlan {
        let id = InstallId::parse("00112233445566778899aabbccddeeff").unwrap();
        let layout = Layout { esp: Bytes(64 << 20), slot: Bytes(64 << 20), data_minimum: Bytes(64 << 20) };
        PartitionPlan::new(id, Bytes(disk), sector, &layout).unwrap()
    }

    #[test]
    fn type_guids_are_those_of_the_specifications() {
        for (role, text) in [
            (Role::BiosBoot, "21686148-6449-6e6f-744e-656564454649"),
            (Role::Esp, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
            (Role::RootA, "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
            (Role::RootB, "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
            (Role::Data, "0fc63daf-8483-4772-8e79-3d69d8477de4"),
        ] {
            assert_eq!(type_guid(role).guid.to_string(), text);
        }
    }

    #[test]
    fn the_boot_sector_comes_last_and_carries_the_code() {
        let table = encode(&plan(1 << 40, 512), Some([0xaa; 440])).unwrap();
        let last = table.regions.last().unwrap();
        assert_eq!((last.offset, last.bytes.len()), (0, 512));
        assert!(last.bytes[..440].iter().all(|b| *b == 0xaa));
        // The one entry of a protective MBR: type 0xee from sector 1 over the whole disk.
        assert_eq!(last.bytes[450], 0xee);
        assert_eq!(last.bytes[454..462], [1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(last.bytes[510..], [0x55, 0xaa]);
        let names: Vec<_> = table.regions.iter().map(|r| r.name).collect();
        assert_eq!(names[0], "backup partition entries");
    }

    /// A reader that shares no code with the writer: the header's fields by their offsets.
    #[test]
    fn headers_point_to_each_other() {
        for (disk, sector) in [(1u64 << 40, 512u32), (1 << 40, 4096), ((1 << 33) + 512 * 7, 512)] {
            let table = encode(&plan(disk, sector), None).unwrap();
            let sector = u64::from(sector);
            let find = |name| table.regions.iter().find(|r| r.name == name).unwrap();
            let number = |r: &Region, at: usize| u64::from_le_bytes(r.bytes[at..at + 8].try_into().unwrap());
            let (first, backup) = (find("table header"), find("backup table header"));
            for (header, other) in [(first, backup), (backup, first)] {
                assert_eq!(&header.bytes[..8], b"EFI PART");
                assert_eq!(number(header, 24), header.offset / sector);
                assert_eq!(number(header, 32), other.offset / sector);
                assert_eq!(header.bytes[80..88], [128, 0, 0, 0, 128, 0, 0, 0]);
            }
            assert_eq!(number(first, 72) * sector, find("partition entries").offset);
            assert_eq!(number(backup, 72) * sector, find("backup partition entries").offset);
            let entries = &find("partition entries").bytes;
            assert_eq!(*entries, find("backup partition entries").bytes);
            // GUIDs are stored with their first three fields in little-endian order.
            assert_eq!(entries[128..132], [0x28, 0x73, 0x2a, 0xc1]);
            assert_eq!(entries[128 + 16..128 + 20], [0x33, 0x22, 0x11, 0x00]);
            assert_eq!(entries[2 * 128 + 55], 0x80, "root-a is not mounted by generators");
            assert_eq!(entries[128 + 55], 0);
            assert!(entries[5 * 128..].iter().all(|b| *b == 0));
        }
    }
}
