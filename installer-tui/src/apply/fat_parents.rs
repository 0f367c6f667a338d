//! A correction of what `fatfs` 0.3.6 writes: the entry `..` of a directory in the root of a FAT32 file system must
//! have the cluster 0 (Microsoft's FAT specification, section 6.5), not the number of the root's cluster.

use std::io::{self, Read, Seek, SeekFrom, Write};

const ENTRY: usize = 32;
const DIRECTORY: u8 = 0x10;
const VOLUME_LABEL: u8 = 0x08;

/// Corrects every directory in the root.
pub(super) fn correct(disk: &mut (impl Read + Write + Seek)) -> io::Result<()> {
    let mut boot = [0; 512];
    read_at(disk, 0, &mut boot)?;
    let short = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
    let long = |at: usize| short(at) | short(at + 2) << 16;
    let sector = short(11);
    let cluster = u64::from(boot[13]) * sector;
    let data = (short(14) + u64::from(boot[16]) * long(36)) * sector;
    let place = |number: u64| data + number.saturating_sub(2) * cluster;

    // The root has a handful of entries, so its first cluster holds them all.
    let mut root = vec![0; usize::try_from(cluster).map_err(io::Error::other)?];
    read_at(disk, place(long(44)), &mut root)?;
    for entry in root.chunks_exact(ENTRY).take_while(|entry| entry[0] != 0) {
        if entry[11] & (DIRECTORY | VOLUME_LABEL) != DIRECTORY || entry[0] == 0xe5 {
            continue;
        }
        let half = |at: usize| u64::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
        let parent = place(half(20) << 16 | half(26)) + ENTRY as u64;
        let mut dots = [0; ENTRY];
        read_at(disk, parent, &mut dots)?;
        if !dots.starts_with(b"..         ") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a directory has no entry `..`"));
        }
        dots[20..22].fill(0);
        dots[26..28].fill(0);
        disk.seek(SeekFrom::Start(parent))?;
        disk.write_all(&dots)?;
    }
    Ok(())
}

fn read_at(disk: &mut (impl Read + Seek), offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(offset))?;
    disk.read_exact(buffer)
}
