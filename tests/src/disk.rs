//! Disk images as files: made sparse, damaged at will, and judged as a firmware would judge them.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use crate::error::Error;

/// Bytes of a sector of every disk that the harness makes.
pub const SECTOR: u64 = 512;

/// Makes a sparse file, or makes an existing one longer or shorter.
pub fn set_size(path: &Path, bytes: u64) -> Result<(), Error> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(Error::io("create", path))?;
    file.set_len(bytes).map_err(Error::io("resize", path))
}

/// Inverts every bit of the byte at `offset`.
pub fn flip_byte(path: &Path, offset: u64) -> Result<(), Error> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("open", path))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).map_err(Error::io("read", path))?;
    file.write_all_at(&[!byte[0]], offset).map_err(Error::io("write", path))
}

/// Writes what makes a disk look bootable: boot code, and a GPT header at each end.
pub fn imitate_system(path: &Path) -> Result<(), Error> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("open", path))?;
    for (lba, sector) in imitation(&file, path)? {
        file.write_all_at(&sector, lba * SECTOR).map_err(Error::io("write", path))?;
    }
    Ok(())
}

/// Writes the first sector of a medium for a BIOS: boot code, and one partition.
pub fn imitate_boot_sector(path: &Path) -> Result<(), Error> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("open", path))?;
    let [(_, mut sector), ..] = imitation(&file, path)?;
    // Of type 0x17, hidden, from the first sector on.
    sector[450] = 0x17;
    sector[458..462].copy_from_slice(&2048_u32.to_le_bytes());
    file.write_all_at(&sector, 0).map_err(Error::io("write", path))
}

/// Whether every sector of [`imitate_system`] that looks bootable now is still the one that it wrote.
pub fn is_imitation(path: &Path) -> Result<bool, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    for (lba, sector) in imitation(&file, path)? {
        let mut found = [0; 512];
        file.read_exact_at(&mut found, lba * SECTOR).map_err(Error::io("read", path))?;
        if found != sector && found != [0; 512] {
            return Ok(false);
        }
    }
    Ok(true)
}

fn imitation(file: &File, path: &Path) -> Result<[(u64, [u8; 512]); 3], Error> {
    let last = file.metadata().map_err(Error::io("read", path))?.len() / SECTOR - 1;
    let mut first = [0; 512];
    // jmp to itself; the type byte of the first entry says that a GPT follows.
    first[..2].copy_from_slice(&[0xeb, 0xfe]);
    first[450] = 0xee;
    first[510..].copy_from_slice(&[0x55, 0xaa]);
    Ok([(0, first), (1, gpt_header(1)), (last, gpt_header(last))])
}

/// A GPT header for this place, of a table without partitions (UEFI 2.10, section 5.3.2).
fn gpt_header(lba: u64) -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..8].copy_from_slice(b"EFI PART");
    sector[8..12].copy_from_slice(&0x0001_0000_u32.to_le_bytes());
    sector[12] = 92;
    sector[24..32].copy_from_slice(&lba.to_le_bytes());
    let sum = crc32fast::hash(&sector[..92]);
    sector[16..20].copy_from_slice(&sum.to_le_bytes());
    sector
}

/// What on a disk could make a firmware or a person take it for bootable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootSigns {
    /// A GPT header with a correct checksum in the second sector.
    pub primary_gpt: bool,
    /// The same in the last sector.
    pub backup_gpt: bool,
    /// The boot signature in the first sector, with code before it.
    pub boot_code: bool,
    /// The boot signature in the first sector, with a partition in its table.
    pub mbr_partition: bool,
}

impl BootSigns {
    /// Whether there is any of them.
    pub const fn any(self) -> bool {
        self.primary_gpt || self.backup_gpt || self.boot_code || self.mbr_partition
    }
}

impl fmt::Display for BootSigns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signs = [
            (self.primary_gpt, "a primary GPT"),
            (self.backup_gpt, "a backup GPT"),
            (self.boot_code, "boot code"),
            (self.mbr_partition, "a partition in the MBR"),
        ];
        let found: Vec<_> = signs.into_iter().filter_map(|(there, name)| there.then_some(name)).collect();
        f.write_str(&if found.is_empty() { "nothing bootable".to_owned() } else { found.join(", ") })
    }
}

/// Looks for signs of bootability on a disk.
pub fn boot_signs(path: &Path) -> Result<BootSigns, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let size = file.metadata().map_err(Error::io("read", path))?.len();
    let sector = |number: u64| -> io::Result<Option<[u8; 512]>> {
        let mut bytes = [0; 512];
        if (number + 1) * SECTOR > size {
            return Ok(None);
        }
        file.read_exact_at(&mut bytes, number * SECTOR)?;
        Ok(Some(bytes))
    };
    let read = |number| sector(number).map_err(Error::io("read", path));
    let first = read(0)?.filter(|bytes| bytes[510..] == [0x55, 0xaa]);
    Ok(BootSigns {
        primary_gpt: read(1)?.is_some_and(|bytes| is_gpt_header(&bytes, 1)),
        backup_gpt: match (size / SECTOR).checked_sub(1) {
            Some(last) if last > 1 => read(last)?.is_some_and(|bytes| is_gpt_header(&bytes, last)),
            _ => false,
        },
        boot_code: first.is_some_and(|bytes| bytes[..440].iter().any(|byte| *byte != 0)),
        mbr_partition: first.is_some_and(|bytes| (0..4).any(|entry| bytes[446 + 16 * entry + 4] != 0)),
    })
}

/// Whether the sector is a GPT header for this place (UEFI 2.10, section 5.3.2).
fn is_gpt_header(sector: &[u8; 512], lba: u64) -> bool {
    let word = |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
    let length = word(12);
    if &sector[..8] != b"EFI PART" || !(92..=512).contains(&length) {
        return false;
    }
    let mut header = sector[..length as usize].to_vec();
    header[16..20].fill(0);
    let place = u64::from(word(24)) | u64::from(word(28)) << 32;
    crc32fast::hash(&header) == word(16) && place == lba
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_seen_one_by_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        set_size(path, 64 * SECTOR).unwrap();
        assert_eq!(boot_signs(path).unwrap(), BootSigns::default());

        file.as_file().write_all_at(&gpt_header(63), 63 * SECTOR).unwrap();
        file.as_file().write_all_at(&[0x55, 0xaa], 510).unwrap();
        assert_eq!(boot_signs(path).unwrap(), BootSigns { backup_gpt: true, ..BootSigns::default() });

        flip_byte(path, 63 * SECTOR + 40).unwrap();
        flip_byte(path, 0).unwrap();
        assert_eq!(boot_signs(path).unwrap().to_string(), "boot code");

        file.as_file().write_all_at(&gpt_header(1), SECTOR).unwrap();
        assert!(boot_signs(path).unwrap().primary_gpt);

        imitate_system(path).unwrap();
        let all = BootSigns { primary_gpt: true, backup_gpt: true, boot_code: true, mbr_partition: true };
        assert_eq!(boot_signs(path).unwrap(), all);
        assert!(is_imitation(path).unwrap());
        flip_byte(path, 9).unwrap();
        assert!(!is_imitation(path).unwrap());
    }
}
