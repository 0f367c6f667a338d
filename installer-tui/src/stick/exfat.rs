//! An empty exFAT volume: Microsoft's "exFAT file system specification", revision 1.00; sections are named.
//!
//! The libraries that make such volumes write the boot region first and stop at their own assertions, so this one is here: it
//! is a plan in memory, checked before a byte of it reaches a device.

use std::io::{self, Seek, SeekFrom, Write};

use aegis_hw::units::MIB;

use super::{upcase, volume::Volume};

/// Sectors of a boot region, of which there are two: section 3.
const BOOT_REGION: u64 = 12;
/// Numbers below the first cluster's: section 4.1.
const RESERVED: u32 = 2;
/// Most clusters of a volume: section 3.1.9.
const CLUSTERS: u64 = 0xffff_fff5;
/// UTF-16 units of a label: section 7.3.
pub(super) const LABEL: usize = 11;
/// The least that is made; smaller volumes hold hardly more than their own tables.
pub(super) const LEAST: u64 = 4 * MIB;

/// What names a volume, and where it lies.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    /// Bytes.
    pub(super) size: u64,
    /// Bytes from the start of the disk.
    pub(super) partition: u64,
    /// Bytes of a sector.
    pub(super) sector: u32,
    /// Volume serial number.
    pub(super) serial: u32,
    /// At most 11 UTF-16 units.
    pub(super) label: &'a str,
}

/// Where everything is, in sectors or clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    sector: u64,
    cluster: u64,
    volume: u64,
    fat: u64,
    fat_length: u64,
    heap: u64,
    clusters: u32,
    bitmap: u32,
    table: u32,
}

impl Layout {
    /// `None` for a volume that is too small or too large.
    fn new(size: u64, sector: u32, table: u64) -> Option<Self> {
        let sector = u64::from(sector);
        let cluster = cluster(size).max(sector);
        // What is written often begins where the flash of sticks has its blocks.
        let grain = if size < 64 * MIB { 64 << 10 } else { MIB };
        let volume = size / sector;
        let fat = (2 * BOOT_REGION * sector).next_multiple_of(grain) / sector;
        let most = size.checked_sub(fat * sector)? / cluster;
        let fat_length = ((most + u64::from(RESERVED)) * 4).div_ceil(sector);
        let heap = ((fat + fat_length) * sector).next_multiple_of(grain) / sector;
        let clusters = size.checked_sub(heap * sector)? / cluster;
        let length = |bytes: u64| u32::try_from(bytes.div_ceil(cluster)).ok();
        let (bitmap, table) = (length(clusters.div_ceil(8))?, length(table)?);
        let fits = size >= LEAST && clusters <= CLUSTERS && clusters > u64::from(bitmap + table + 1);
        let clusters = u32::try_from(clusters).ok().filter(|_count| fits)?;
        Some(Self { sector, cluster, volume, fat, fat_length, heap, clusters, bitmap, table })
    }

    /// The root directory's only cluster: bitmap and table come first.
    fn root(&self) -> u32 {
        RESERVED + self.bitmap + self.table
    }

    fn place(&self, cluster: u32) -> u64 {
        self.heap * self.sector + u64::from(cluster - RESERVED) * self.cluster
    }
}

/// Bytes of a cluster, as Windows chooses them.
fn cluster(size: u64) -> u64 {
    match size / MIB {
        0..=256 => 4 << 10,
        257..=32_768 => 32 << 10,
        _ => 128 << 10,
    }
}

/// The volume; [`io::ErrorKind::InvalidInput`] where its size is impossible.
pub(super) fn format(wanted: &Wanted<'_>) -> io::Result<Volume> {
    let table = upcase::table();
    let layout = Layout::new(wanted.size, wanted.sector, table.len() as u64);
    let layout = layout.ok_or(io::Error::new(io::ErrorKind::InvalidInput, "no size for exFAT"))?;
    let mut volume = Volume::new(wanted.size);
    let boot = boot_region(wanted, &layout);
    put(&mut volume, 0, &[&boot[..], &boot[..]].concat())?;
    put_fat(&mut volume, &layout)?;
    put(&mut volume, layout.place(RESERVED), &bitmap(&layout))?;
    put(&mut volume, layout.place(RESERVED + layout.bitmap), &table)?;
    let mut root = directory(wanted.label, &layout, &table);
    root.resize(usize::try_from(layout.cluster).unwrap_or(root.len()), 0);
    put(&mut volume, layout.place(layout.root()), &root)?;
    Ok(volume)
}

fn put(volume: &mut Volume, offset: u64, bytes: &[u8]) -> io::Result<()> {
    volume.seek(SeekFrom::Start(offset))?;
    volume.write_all(bytes)
}

/// Sections 3.1 to 3.4.
fn boot_region(wanted: &Wanted<'_>, layout: &Layout) -> Vec<u8> {
    let sector = usize::try_from(layout.sector).unwrap_or(512);
    let mut region = vec![0; 11 * sector];
    let mut set = |at: usize, bytes: &[u8]| region[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, b"\xeb\x76\x90EXFAT   ");
    set(64, &(wanted.partition / layout.sector).to_le_bytes());
    set(72, &layout.volume.to_le_bytes());
    for (at, value) in [(80, layout.fat), (84, layout.fat_length), (88, layout.heap)] {
        set(at, &u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
    }
    set(92, &layout.clusters.to_le_bytes());
    set(96, &layout.root().to_le_bytes());
    set(100, &wanted.serial.to_le_bytes());
    set(104, &0x0100_u16.to_le_bytes());
    let shift = |value: u64| u8::try_from(value.trailing_zeros()).unwrap_or_default();
    // One FAT; the drive is the first one of a BIOS.
    set(108, &[shift(layout.sector), shift(layout.cluster / layout.sector), 1, 0x80]);
    // Boot code that halts.
    set(120, &[0xf4; 390]);
    set(510, &[0x55, 0xaa]);
    for extended in 1..=8 {
        set((extended + 1) * sector - 4, &[0, 0, 0x55, 0xaa]);
    }
    let changing = [106, 107, 112];
    let counted = region.iter().enumerate().filter(|(at, _)| !changing.contains(at));
    let sum = counted.fold(0, |sum, (_, byte)| upcase::checksum(sum, *byte));
    region.extend(sum.to_le_bytes().repeat(sector / 4));
    region
}

/// Section 4.1: the chains of bitmap, table and root directory; zeros say that a cluster is in no chain.
fn put_fat(volume: &mut Volume, layout: &Layout) -> io::Result<()> {
    const END: u32 = 0xffff_ffff;
    let mut entries = vec![0xffff_fff8, END];
    let mut next = RESERVED;
    for length in [layout.bitmap, layout.table, 1] {
        entries.extend(next + 1..next + length);
        entries.push(END);
        next += length;
    }
    let start = layout.fat * layout.sector;
    let zeros = [0; 64 << 10];
    volume.seek(SeekFrom::Start(start))?;
    let mut left = layout.fat_length * layout.sector;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(zeros.len()).min(zeros.len());
        volume.write_all(&zeros[..length])?;
        left -= length as u64;
    }
    let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    put(volume, start, &bytes)
}

/// Section 7.1.5: a bit for each cluster, and zeros to the end of the last cluster of the bitmap.
fn bitmap(layout: &Layout) -> Vec<u8> {
    let used = layout.bitmap + layout.table + 1;
    let length = u64::from(layout.bitmap) * layout.cluster;
    let mut bits = vec![0; usize::try_from(length).unwrap_or_default()];
    (0..used as usize).for_each(|at| bits[at / 8] |= 1 << (at % 8));
    bits
}

/// Sections 7.1 to 7.3: the entries of label, bitmap and table.
fn directory(label: &str, layout: &Layout, table: &[u8]) -> Vec<u8> {
    let units: Vec<u16> = label.encode_utf16().take(LABEL).collect();
    // Without a label the entry is there and not in use.
    let mut entries = vec![if units.is_empty() { 0x03 } else { 0x83 }];
    entries.push(u8::try_from(units.len()).unwrap_or_default());
    entries.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    entries.resize(32, 0);
    let mut entry = |kind: u8, checksum: u32, first: u32, length: u64| {
        let start = entries.len();
        entries.extend([kind, 0, 0, 0]);
        entries.extend(checksum.to_le_bytes());
        entries.resize(start + 20, 0);
        entries.extend(first.to_le_bytes());
        entries.extend(length.to_le_bytes());
    };
    entry(0x81, 0, RESERVED, u64::from(layout.clusters).div_ceil(8));
    let sum = table.iter().fold(0, |sum, byte| upcase::checksum(sum, *byte));
    entry(0x82, sum, RESERVED + layout.bitmap, table.len() as u64);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_of_every_size() {
        for sector in [512, 4096] {
            for size in
                [LEAST, LEAST + 512, 63 << 20, 256 << 20, 257 << 20, 8 << 30, 1 << 40, 2 << 40, 64 << 40]
            {
                let size = size / u64::from(sector) * u64::from(sector);
                let layout = Layout::new(size, sector, 5836).unwrap();
                let entries = u64::from(layout.clusters) + 2;
                assert!(layout.fat >= 2 * BOOT_REGION);
                assert!(layout.fat_length * layout.sector >= entries * 4, "{size}");
                assert!(layout.heap >= layout.fat + layout.fat_length);
                let end = layout.heap * layout.sector + u64::from(layout.clusters) * layout.cluster;
                assert!(end <= size && size - end < layout.cluster, "{size}: {end}");
                assert!(u64::from(layout.bitmap) * layout.cluster * 8 >= u64::from(layout.clusters));
            }
        }
        for size in [0, 512, LEAST - 1, u64::MAX / 4] {
            assert_eq!(Layout::new(size, 512, 5836), None, "{size}");
        }
    }
}
