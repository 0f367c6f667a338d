//! A disk of any size in memory, whose power can be cut.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    ops::Range,
    path::Path,
};

use aegis_hw::{
    Bytes, Error,
    tables::{self, Encoded, Reading, Region, TablePlan},
    target::{Source, Target, Window},
};

/// Bytes that are kept together; every sector is a multiple of it.
const UNIT: u64 = 512;

/// Sectors that were written; all others are zeros.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) size: u64,
    pub(crate) sector: u32,
    pub(crate) units: RefCell<BTreeMap<u64, [u8; 512]>>,
    /// Fails at this read and at all later ones.
    pub(crate) fail_at: Cell<Option<usize>>,
}

impl Disk {
    pub(crate) fn new(size: u64, sector: u32) -> Self {
        Self { size, sector, ..Self::default() }
    }

    /// With the table of a plan.
    pub(crate) fn with(plan: &TablePlan) -> Self {
        let disk = Self::new(plan.disk.size.0, plan.disk.sector_size.into());
        disk.put(&tables::encode(plan, None).unwrap());
        disk
    }

    pub(crate) fn put(&self, encoded: &Encoded) {
        encoded.regions.iter().for_each(|region| self.write(region.offset, &region.bytes));
    }

    /// Calls `work` with each unit, the place in it, and the place in the buffer.
    fn pieces(offset: u64, length: usize, mut work: impl FnMut(u64, Range<usize>, Range<usize>)) {
        let mut done = 0;
        while done < length {
            let at = offset + done as u64;
            let within = usize::try_from(at % UNIT).unwrap();
            let count = (512 - within).min(length - done);
            work(at / UNIT, within..within + count, done..done + count);
            done += count;
        }
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) {
        let mut units = self.units.borrow_mut();
        Self::pieces(offset, bytes.len(), |unit, within, piece| {
            units.entry(unit).or_insert([0; 512])[within].copy_from_slice(&bytes[piece]);
        });
    }

    pub(crate) fn bytes(&self, offset: u64, length: usize) -> Vec<u8> {
        let units = self.units.borrow();
        let mut bytes = vec![0; length];
        Self::pieces(offset, length, |unit, within, piece| {
            if let Some(unit) = units.get(&unit) {
                bytes[piece].copy_from_slice(&unit[within]);
            }
        });
        bytes
    }

    /// Inverts a byte.
    pub(crate) fn flip(&self, offset: u64) {
        let byte = self.bytes(offset, 1)[0];
        self.write(offset, &[!byte]);
    }

    pub(crate) fn read(&self) -> Reading {
        tables::read(self).unwrap()
    }

    /// The same content on a disk of another size.
    pub(crate) fn resized(&self, size: u64) -> Self {
        let disk = self.clone();
        disk.units.borrow_mut().retain(|unit, _| (unit + 1) * UNIT <= size);
        Self { size, ..disk }
    }

    /// Everything that was written, for comparisons.
    pub(crate) fn content(&self) -> BTreeMap<u64, [u8; 512]> {
        let units = self.units.borrow();
        units.iter().filter(|(_, unit)| **unit != [0; 512]).map(|(at, unit)| (*at, *unit)).collect()
    }

    /// Writes those sectors of a region for which `wanted` holds.
    pub(crate) fn tear(&self, region: &Region, wanted: impl Fn(usize) -> bool) {
        let sector = usize::try_from(self.sector).unwrap();
        for (number, bytes) in region.bytes.chunks(sector).enumerate().filter(|(number, _)| wanted(*number)) {
            self.write(region.offset + (number * sector) as u64, bytes);
        }
    }

    /// As a sparse file.
    pub(crate) fn save(&self, path: &Path) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::create(path).unwrap();
        file.set_len(self.size).unwrap();
        for (unit, bytes) in self.units.borrow().iter() {
            let length = usize::try_from((self.size - unit * UNIT).min(UNIT)).unwrap();
            file.write_all_at(&bytes[..length], unit * UNIT).unwrap();
        }
    }
}

impl Source for Disk {
    fn path(&self) -> &Path {
        Path::new("/dev/test")
    }

    fn size(&self) -> Bytes {
        Bytes(self.size)
    }

    fn sector_size(&self) -> u32 {
        self.sector
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let inside = offset.checked_add(buffer.len() as u64).is_some_and(|end| end <= self.size);
        let failed = || Error::Io {
            operation: "read",
            path: "/dev/test".into(),
            source: io::Error::from_raw_os_error(5),
        };
        assert!(inside, "a read beyond the end: {} bytes at {offset} of {}", buffer.len(), self.size);
        match self.fail_at.get() {
            Some(0) => return Err(failed()),
            Some(left) => self.fail_at.set(Some(left - 1)),
            None => {}
        }
        buffer.copy_from_slice(&self.bytes(offset, buffer.len()));
        Ok(())
    }
}

impl Target for Disk {
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), Error> {
        assert!(offset + buffer.len() as u64 <= self.size, "a write beyond the end");
        self.write(offset, buffer);
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
        unreachable!("no test makes a file system")
    }
}
