//! A device that a short input describes: mostly zeros, with some runs of bytes, its checksums made right on request.
//!
//! An input is flags (1 byte), the device's size (8, little-endian), a byte that cannot be read (8), and runs: position
//! in sectors of 512 bytes (4; with the highest bit set, counted back from the end), length (2), bytes.

use aegis_core::probe::Source;

/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// Bytes of the longest run.
pub const RUN: usize = 4096;
const FROM_END: u32 = 1 << 31;
const SEALED: u8 = 1;
const BROKEN: u8 = 2;

/// The input for a device of this size with these runs, each at its sector.
pub fn encode(size: u64, runs: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend(size.to_le_bytes());
    out.extend([0; 8]);
    for (sector, run) in runs {
        let back = size / SECTOR - sector;
        let short = |sectors: u64| u32::try_from(sectors).expect("a run is near one of the ends");
        let place = if back < *sector { FROM_END | short(back) } else { short(*sector) };
        out.extend(place.to_le_bytes());
        out.extend(u16::try_from(run.len()).expect("a run is short").to_le_bytes());
        out.extend(run);
    }
    out
}

/// The device.
pub struct Disk {
    size: u64,
    broken: Option<u64>,
    runs: Vec<(u64, Vec<u8>)>,
    /// Bytes that were read.
    pub read: u64,
    /// Whether the broken byte was among them.
    pub failed: bool,
}

impl Disk {
    /// The device of an input; `None` when that is too short.
    pub fn new(input: &[u8]) -> Option<Self> {
        let (&[flags], rest) = input.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (broken, mut rest) = rest.split_first_chunk()?;
        let size = u64::from_le_bytes(*size);
        let mut runs = Vec::new();
        while let Some((&[p0, p1, p2, p3, l0, l1], after)) = rest.split_first_chunk() {
            let sector = u32::from_le_bytes([p0, p1, p2, p3]);
            let place = u64::from(sector & !FROM_END) * SECTOR;
            let is_back = sector & FROM_END != 0;
            let start = if is_back { (size / SECTOR * SECTOR).saturating_sub(place) } else { place };
            let length = (usize::from(u16::from_le_bytes([l0, l1])) % (RUN + 1)).min(after.len());
            let (data, after) = after.split_at(length);
            runs.push((start, data.to_vec()));
            rest = after;
        }
        let mut disk = Self { size, broken: None, runs, read: 0, failed: false };
        if flags & SEALED != 0 {
            disk.seal();
        }
        disk.broken = (flags & BROKEN != 0).then_some(u64::from_le_bytes(*broken));
        Some(disk)
    }

    /// The same with every byte readable.
    pub fn repaired(&self) -> Self {
        Self { broken: None, runs: self.runs.clone(), read: 0, failed: false, ..*self }
    }

    fn bytes(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(offset, &mut bytes);
        bytes
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) {
        buffer.fill(0);
        let end = offset.saturating_add(buffer.len() as u64);
        for (start, run) in self
            .runs
            .iter()
            .filter(|(start, run)| *start < end && start.saturating_add(run.len() as u64) > offset)
        {
            for (at, byte) in (*start..end).zip(run) {
                let place = at.checked_sub(offset).and_then(|place| usize::try_from(place).ok());
                if let Some(target) = place.and_then(|place| buffer.get_mut(place)) {
                    *target = *byte;
                }
            }
        }
    }

    /// Computes the checksums of ext4, Btrfs and exFAT, behind which there is more to read.
    fn seal(&mut self) {
        let ext = !crc32c(&self.bytes(1024, 0x3fc), !0);
        let btrfs = crc32c(&self.bytes(65536 + 32, 4096 - 32), !0);
        let exfat = self.bytes(0, 512);
        if exfat[3..8] == *b"EXFAT" && (9..=12).contains(&exfat[108]) {
            let sector = 1_usize << exfat[108];
            let covered = self.bytes(0, sector * 11).into_iter().enumerate();
            let sum = covered
                .filter(|(at, _)| !matches!(at, 106 | 107 | 112))
                .fold(0_u32, |sum, (_, byte)| sum.rotate_right(1).wrapping_add(byte.into()));
            self.runs.push((sector as u64 * 11, sum.to_le_bytes().repeat(sector / 4)));
        }
        if self.bytes(1024 + 0x38, 2) == *b"\x53\xef" {
            self.runs.push((1024 + 0x3fc, ext.to_le_bytes().into()));
        }
        if self.bytes(65536 + 0x40, 8) == *b"_BHRfS_M" {
            self.runs.push((65536, btrfs.to_le_bytes().into()));
        }
    }
}

fn crc32c(bytes: &[u8], start: u32) -> u32 {
    !bytes.iter().fold(start, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _bit| sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

impl Source for Disk {
    type Error = ();

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), ()> {
        let end = offset.checked_add(buffer.len() as u64).expect("within the device");
        assert!(end <= self.size, "{offset} to {end} of {} was asked for", self.size);
        self.read += buffer.len() as u64;
        self.fill(offset, buffer);
        self.failed = self.broken.is_some_and(|byte| (offset..end).contains(&byte));
        if self.failed { Err(()) } else { Ok(()) }
    }
}
