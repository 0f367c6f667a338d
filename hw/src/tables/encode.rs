//! The bytes of a partition table: UEFI specification 2.10, chapter 5.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
};

use gpt::{
    GptConfig, GptError,
    disk::LogicalBlockSize,
    mbr::ProtectiveMBR,
    partition::Partition,
    partition_types::{OperatingSystem, Type},
};
use mbrman::{BOOT_ACTIVE, BOOT_INACTIVE, CHS, MBRHeader, MBRPartitionEntry};
use uuid::Uuid;

use super::{Attributes, DiskId, PartitionType, Placed, TablePlan};
use crate::{error::Error, units::SectorSize};

/// Bytes of the array of entries: 128 entries of 128 bytes.
pub(super) const ENTRIES: u64 = 128 * 128;

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

/// The bytes of a whole partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// In the order in which they are to be written to a disk without a table: the backup first; the boot sector, without
    /// which firmware does not see the table, last.
    pub regions: Vec<Region>,
}

/// Names of the regions, in their order.
pub(super) mod region {
    pub(in super::super) const BACKUP_ENTRIES: &str = "backup partition entries";
    pub(in super::super) const BACKUP_HEADER: &str = "backup table header";
    pub(in super::super) const ENTRIES: &str = "partition entries";
    pub(in super::super) const HEADER: &str = "table header";
    pub(in super::super) const BOOT_SECTOR: &str = "boot sector";
}

/// The table of a plan; `boot_code` goes into the first 440 bytes of the boot sector.
///
/// # Errors
/// [`Error::Table`] for a plan that was not made by [`super::WantedTable::plan`] and makes no sense.
pub fn encode(plan: &TablePlan, boot_code: Option<[u8; 440]>) -> Result<Encoded, Error> {
    match plan.id {
        DiskId::Guid(guid) => encode_gpt(plan, guid, boot_code),
        DiskId::Signature(signature) => encode_mbr(plan, signature, boot_code),
    }
}

fn encode_gpt(plan: &TablePlan, guid: Uuid, boot_code: Option<[u8; 440]>) -> Result<Encoded, Error> {
    let table = |error: GptError| Error::Table(io::Error::other(error));
    let sector = plan.disk.sector_size.bytes().0;
    let size = plan.disk.size.align_down(plan.disk.sector_size.bytes()).0;
    let block = match plan.disk.sector_size {
        SectorSize::S4096 => LogicalBlockSize::Lb4096,
        _ => LogicalBlockSize::Lb512,
    };
    let config = GptConfig::new().writable(true).logical_block_size(block);
    let mut disk = config.create_from_device(Recorder::new(size), Some(guid)).map_err(table)?;
    let partitions = plan.partitions.iter().map(gpt_entry);
    disk.update_partitions((1..).zip(partitions).collect()).map_err(table)?;
    let mut recorder = disk.write().map_err(table)?;

    let mut mbr = ProtectiveMBR::with_lb_size(u32::try_from(plan.end().0).unwrap_or(u32::MAX));
    if let Some(code) = boot_code {
        mbr.set_bootcode(code);
    }
    let mut regions = Vec::new();
    for (name, offset, length) in [
        (region::BACKUP_ENTRIES, size - sector - ENTRIES, ENTRIES),
        (region::BACKUP_HEADER, size - sector, sector),
        (region::ENTRIES, 2 * sector, ENTRIES),
        (region::HEADER, sector, sector),
    ] {
        let bytes = recorder.copy(offset, length).map_err(Error::Table)?;
        regions.push(Region { name, offset, bytes });
    }
    regions.push(boot_sector(mbr.to_bytes().to_vec(), plan.disk.sector_size));
    Ok(Encoded { regions })
}

/// A boot record as the whole first sector.
pub(super) fn boot_sector(mut record: Vec<u8>, sector: SectorSize) -> Region {
    record.resize(sector.length(), 0);
    Region { name: region::BOOT_SECTOR, offset: 0, bytes: record }
}

fn gpt_entry(placed: &Placed) -> Partition {
    let guid = match placed.kind {
        PartitionType::Gpt(guid) => guid,
        // The plan was checked; an unused entry would be left out.
        PartitionType::Mbr(_) => Uuid::nil(),
    };
    Partition {
        part_type_guid: Type { guid, os: OperatingSystem::None },
        part_guid: placed.guid.unwrap_or_default(),
        first_lba: placed.first.0,
        last_lba: placed.last.0,
        flags: placed.attributes.0,
        name: placed.name.clone(),
    }
}

fn encode_mbr(plan: &TablePlan, signature: u32, boot_code: Option<[u8; 440]>) -> Result<Encoded, Error> {
    let failed = |error: mbrman::Error| Error::Table(io::Error::other(error));
    let mut header = MBRHeader::new(signature.to_le_bytes());
    header.bootstrap_code = boot_code.unwrap_or([0; 440]);
    for (placed, (_, entry)) in plan.partitions.iter().zip(header.iter_mut()) {
        *entry = mbr_entry(placed).ok_or_else(|| Error::Table(io::ErrorKind::InvalidInput.into()))?;
    }
    let mut record = io::Cursor::new(Vec::new());
    header.write_into(&mut record).map_err(failed)?;
    Ok(Encoded { regions: vec![boot_sector(record.into_inner(), plan.disk.sector_size)] })
}

fn mbr_entry(placed: &Placed) -> Option<MBRPartitionEntry> {
    let PartitionType::Mbr(sys) = placed.kind else { return None };
    let active = placed.attributes == Attributes::LEGACY_BOOT;
    Some(MBRPartitionEntry {
        boot: if active { BOOT_ACTIVE } else { BOOT_INACTIVE },
        first_chs: cylinders(placed.first.0),
        sys,
        last_chs: cylinders(placed.last.0),
        starting_lba: u32::try_from(placed.first.0).ok()?,
        sectors: u32::try_from(placed.sectors().0).ok()?,
    })
}

/// The place in the geometry that every BIOS assumes, 255 heads of 63 sectors, or its last one for what lies beyond.
fn cylinders(lba: u64) -> CHS {
    let number = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
    match u16::try_from(lba / (255 * 63)) {
        Ok(cylinder) if cylinder < 1023 => CHS::new(cylinder, number(lba / 63 % 255), number(lba % 63 + 1)),
        _ => CHS::new(1023, 254, 63),
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
    use crate::{
        tables::{DiskFacts, Layout, PartitionPlan},
        units::{Bytes, Lba},
    };

    fn plan(disk: u64, sector: u32) -> TablePlan {
        let id = InstallId::parse("00112233445566778899aabbccddeeff").unwrap();
        let layout = Layout { esp: Bytes(64 << 20), slot: Bytes(64 << 20), data_minimum: Bytes(64 << 20) };
        PartitionPlan::new(id, Bytes(disk), sector, &layout).unwrap().table().unwrap()
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

    #[test]
    fn an_mbr_is_one_sector() {
        let placed = |first, last, attributes| Placed {
            first: Lba(first),
            last: Lba(last),
            kind: PartitionType::Mbr(0x83),
            guid: None,
            name: String::new(),
            attributes,
        };
        let plan = TablePlan {
            disk: DiskFacts::plain(Bytes(1 << 36), SectorSize::S512),
            id: DiskId::Signature(0x1122_3344),
            grain: Bytes(1 << 20),
            partitions: vec![
                placed(2048, 4095, Attributes::LEGACY_BOOT),
                placed(4096, 100_000_000, Attributes(0)),
            ],
        };
        let encoded = encode(&plan, Some([0xaa; 440])).unwrap();
        let [region] = encoded.regions.as_slice() else { panic!("{encoded:?}") };
        assert_eq!((region.offset, region.bytes.len()), (0, 512));
        assert_eq!(region.bytes[440..446], [0x44, 0x33, 0x22, 0x11, 0, 0]);
        // Sector 2048 is cylinder 0, head 32, sector 33, as fdisk writes it.
        assert_eq!(region.bytes[446..462], [0x80, 32, 33, 0, 0x83, 65, 1, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
        assert_eq!(region.bytes[467..470], [254, 0xff, 0xff], "beyond the last cylinder");
        assert_eq!(region.bytes[510..], [0x55, 0xaa]);
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
