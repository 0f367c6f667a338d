//! A small disk whose content is the input.

use std::{cell::RefCell, path::Path};

use aegis_hw::{
    Bytes, Error,
    target::{Source, Target, Window},
    units::SectorSize,
};

/// Bytes of the disk: room for both copies of a table, with sectors of either size.
const SIZE: usize = 256 << 10;

/// The disk.
pub struct Disk {
    sector: SectorSize,
    bytes: RefCell<Vec<u8>>,
}

impl Disk {
    /// With what is at its start and at its end.
    pub fn new(start: &[u8], end: &[u8], sector: SectorSize) -> Self {
        let mut bytes = vec![0; SIZE];
        let (start, end) = (&start[..start.len().min(SIZE / 2)], &end[..end.len().min(SIZE / 2)]);
        bytes[..start.len()].copy_from_slice(start);
        bytes[SIZE - end.len()..].copy_from_slice(end);
        Self { sector, bytes: bytes.into() }
    }

    /// The bytes.
    pub fn content(&self) -> Vec<u8> {
        self.bytes.borrow().clone()
    }

    /// Writes the signature of a boot record into every sector that holds anything.
    pub fn sign(&self) {
        let mut bytes = self.bytes.borrow_mut();
        for sector in bytes.chunks_mut(512).filter(|sector| sector.iter().any(|byte| *byte != 0)) {
            sector[510..].copy_from_slice(&[0x55, 0xaa]);
        }
    }

    /// Makes the checksums of both headers right, which no mutation would.
    pub fn correct_checksums(&mut self) {
        let sector = self.sector.length();
        let bytes = self.bytes.get_mut();
        for at in [sector, SIZE - sector] {
            let number = |field: usize, length: usize| {
                let mut number = [0; 8];
                number[..length].copy_from_slice(&bytes[at + field..at + field + length]);
                usize::try_from(u64::from_le_bytes(number)).unwrap_or(usize::MAX)
            };
            let start = number(72, 8).checked_mul(sector);
            let end = start.and_then(|start| start.checked_add(number(80, 4).checked_mul(128)?));
            if let (Some(start), Some(end)) = (start, end.filter(|end| *end <= SIZE)) {
                let sum = crc32fast::hash(&bytes[start..end]);
                bytes[at + 88..at + 92].copy_from_slice(&sum.to_le_bytes());
            }
            let size = 92;
            bytes[at + 12..at + 16].copy_from_slice(&92u32.to_le_bytes());
            bytes[at + 16..at + 20].fill(0);
            let sum = crc32fast::hash(&bytes[at..at + size]);
            bytes[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

impl Source for Disk {
    fn path(&self) -> &Path {
        Path::new("/dev/fuzz")
    }

    fn size(&self) -> Bytes {
        Bytes(SIZE as u64)
    }

    fn sector_size(&self) -> u32 {
        self.sector.into()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let start = usize::try_from(offset).expect("within the disk");
        buffer.copy_from_slice(&self.bytes.borrow()[start..start + buffer.len()]);
        Ok(())
    }
}

impl Target for Disk {
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), Error> {
        let start = usize::try_from(offset).expect("within the disk");
        self.bytes.borrow_mut()[start..start + buffer.len()].copy_from_slice(buffer);
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }

    fn forget_cache(&self) -> Result<(), Error> {
        Ok(())
    }

    fn reread_table(&self) -> Result<(), Error> {
        Ok(())
    }

    fn window(&self, _offset: u64, _size: Bytes) -> Result<Window, Error> {
        unreachable!("nothing makes a file system")
    }
}
