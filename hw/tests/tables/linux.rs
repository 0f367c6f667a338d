//! The rules by which Linux chooses and reads a table, as block/partitions/efi.c and msdos.c have them, without a line of
//! the code that is tested.

use super::disk::Disk;

/// First and last sector of each partition.
pub(crate) type Places = Vec<(u64, u64)>;

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The partitions that Linux makes; `forced` is the parameter `gpt`.
pub(crate) fn partitions(disk: &Disk, forced: bool) -> Places {
    let first = disk.bytes(0, 512);
    let signed = first[510..] == [0x55, 0xaa];
    let entry = |number: usize| &first[446 + 16 * number..462 + 16 * number];
    let protected = signed && (0..4).any(|n| entry(n)[4] == 0xee && number(entry(n), 8, 4) == 1);
    if protected || forced {
        let last = disk.size / u64::from(disk.sector) - 1;
        if let Some(found) = gpt(disk, 1, last) {
            return found;
        }
        if forced && let Some(found) = gpt(disk, last, last) {
            return found;
        }
        if protected {
            // With a protective entry and no GPT it makes one partition of the disk: here nothing.
            return Vec::new();
        }
    }
    if !signed || (0..4).any(|n| entry(n)[0] & 0x7f != 0) {
        return Vec::new();
    }
    let used = (0..4).map(entry).filter(|entry| number(entry, 12, 4) != 0);
    used.map(|entry| (number(entry, 8, 4), number(entry, 8, 4) + number(entry, 12, 4) - 1)).collect()
}

fn gpt(disk: &Disk, lba: u64, last: u64) -> Option<Places> {
    let sector = u64::from(disk.sector);
    let header = disk.bytes(lba * sector, usize::try_from(sector).unwrap());
    let size = usize::try_from(number(&header, 12, 4)).unwrap();
    if &header[..8] != b"EFI PART" || !(92..=header.len()).contains(&size) {
        return None;
    }
    let mut covered = header[..size].to_vec();
    covered[16..20].fill(0);
    let (first_usable, last_usable) = (number(&header, 40, 8), number(&header, 48, 8));
    let (count, entry) = (number(&header, 80, 4), number(&header, 84, 4));
    if u64::from(crc32fast::hash(&covered)) != number(&header, 16, 4)
        || number(&header, 24, 8) != lba
        || first_usable > last
        || last_usable > last
        || last_usable < first_usable
        || entry != 128
        || count * entry > 1 << 22
        || count == 0
        || number(&header, 72, 8) > last
    {
        return None;
    }
    let entries = disk.bytes(number(&header, 72, 8) * sector, usize::try_from(count * entry).unwrap());
    if u64::from(crc32fast::hash(&entries)) != number(&header, 88, 4) {
        return None;
    }
    let used = entries.chunks(128).filter(|entry| entry[..16] != [0; 16]);
    let places = used.map(|entry| (number(entry, 32, 8), number(entry, 40, 8)));
    Some(places.filter(|(first, end)| *first <= last && *end <= last).collect())
}
