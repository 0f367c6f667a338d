//! An empty FAT32 volume.

use std::io::{self, Seek, SeekFrom, Write};

use aegis_hw::units::MIB;
use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};

use super::{exfat::Wanted, volume::Volume};

/// Bytes of a label.
pub(super) const LABEL: usize = 11;
/// Clusters that make it FAT32: section 3.5 of Microsoft's specification.
const LEAST_CLUSTERS: u64 = 65_525;
/// Where the boot sector has the number of sectors before the volume.
const HIDDEN_SECTORS: u64 = 28;
/// Sector with the copy of the boot sector.
const BACKUP: u64 = 6;

/// The least size with sectors of so many bytes.
pub(super) fn least(sector: u32) -> u64 {
    // Each cluster has four bytes in both tables.
    (LEAST_CLUSTERS * (u64::from(sector) + 8)).next_multiple_of(MIB) + MIB
}

/// The largest size: sectors have 32 bits.
pub(super) fn most(sector: u32) -> u64 {
    u64::from(sector) * u64::from(u32::MAX)
}

/// Bytes of a cluster: the table in section 3.5.
fn cluster(size: u64, sector: u32) -> u32 {
    let usual = match size / MIB {
        0..=260 => 512,
        261..=8192 => 4 << 10,
        8193..=16_384 => 8 << 10,
        16_385..=32_768 => 16 << 10,
        _ => 32 << 10,
    };
    usual.max(sector)
}

/// The volume; an error where its size is impossible.
pub(super) fn format(wanted: &Wanted<'_>) -> io::Result<Volume> {
    let sector = u16::try_from(wanted.sector).map_err(io::Error::other)?;
    let sectors = u32::try_from(wanted.size / u64::from(wanted.sector)).map_err(io::Error::other)?;
    let mut options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_sector(sector)
        .bytes_per_cluster(cluster(wanted.size, wanted.sector))
        .total_sectors(sectors)
        .volume_id(wanted.serial);
    if !wanted.label.is_empty() {
        let mut label = [b' '; LABEL];
        label.iter_mut().zip(wanted.label.bytes()).for_each(|(to, byte)| *to = byte);
        options = options.volume_label(label);
    }
    let mut volume = Volume::new(wanted.size);
    fatfs::format_volume(&mut volume, options)?;
    let system = FileSystem::new(&mut volume, FsOptions::new().update_accessed_date(false))?;
    // Counts the free clusters, which are then written to the file system's information sector.
    system.stats()?;
    system.unmount()?;
    let hidden = u32::try_from(wanted.partition / u64::from(wanted.sector)).map_err(io::Error::other)?;
    for place in [0, BACKUP * u64::from(wanted.sector)] {
        volume.seek(SeekFrom::Start(place + HIDDEN_SECTORS))?;
        volume.write_all(&hidden.to_le_bytes())?;
    }
    Ok(volume)
}
