//! GRUB's boot sector and core image for machines with a BIOS.
//!
//! GRUB's own installer patches the same fields; their places are in its `include/grub/i386/pc/boot.h`.

use crate::error::Error;

const SECTOR: usize = 512;
/// Bytes of a master boot record that belong to the boot code.
const CODE: usize = 440;
const KERNEL_SECTOR: usize = 0x5c;
const BOOT_DRIVE: usize = 0x64;
const DRIVE_CHECK: usize = 0x66;
/// Last block list entry of the core image's first sector: u64 start, u16 length, u16 segment.
const BLOCK_LIST: usize = 0x1f4;

/// The first 440 bytes of the disk: GRUB's boot.img, which loads the sector `core_lba`.
///
/// # Errors
/// [`Error::Loader`] when `boot_img` is not a boot sector.
pub fn boot_code(boot_img: &[u8], core_lba: u64) -> Result<[u8; CODE], Error> {
    if boot_img.len() != SECTOR || !boot_img.ends_with(&[0x55, 0xaa]) {
        return Err(Error::Loader("boot.img is not a boot sector of 512 bytes"));
    }
    let mut code = [0; CODE];
    code.copy_from_slice(&boot_img[..CODE]);
    code[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&core_lba.to_le_bytes());
    // 0xff: the drive that the BIOS booted from.
    code[BOOT_DRIVE] = 0xff;
    // Two NOPs in place of a jump: some BIOSes pass a wrong drive number, and GRUB then corrects it.
    code[DRIVE_CHECK..DRIVE_CHECK + 2].fill(0x90);
    Ok(code)
}

/// The core image for a place on the disk: its first sector loads the others, which follow it.
///
/// # Errors
/// [`Error::Loader`] when `core_img` has no block list.
pub fn patch_core(core_img: &[u8], core_lba: u64) -> Result<Vec<u8>, Error> {
    let mut core = core_img.to_vec();
    let entry = core.get_mut(BLOCK_LIST..SECTOR).ok_or(Error::Loader("core.img is too short"))?;
    if entry[8..10] == [0, 0] {
        return Err(Error::Loader("core.img has an empty block list"));
    }
    entry[..8].copy_from_slice(&(core_lba + 1).to_le_bytes());
    core.resize(core.len().next_multiple_of(SECTOR), 0);
    Ok(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_sector_points_to_the_core_image() {
        let mut image = [7; SECTOR];
        image[510..].copy_from_slice(&[0x55, 0xaa]);
        let code = boot_code(&image, 0x1122_3344_5566).unwrap();
        assert_eq!(code[0x5c..0x64], [0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0]);
        assert_eq!(code[0x64..0x69], [0xff, 7, 0x90, 0x90, 7]);
        assert!(boot_code(&image[..511], 1).is_err());
        assert!(boot_code(&[0; SECTOR], 1).is_err());
    }

    #[test]
    fn core_image_points_to_its_second_sector() {
        let mut image = vec![0; 700];
        image[0x1f4..0x200].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 61, 0, 0x20, 0x08]);
        let core = patch_core(&image, 2048).unwrap();
        assert_eq!(core.len(), 1024);
        assert_eq!(core[0x1f4..0x200], [0x01, 0x08, 0, 0, 0, 0, 0, 0, 61, 0, 0x20, 0x08]);
        assert!(patch_core(&image[..100], 2048).is_err());
        assert!(patch_core(&[0; 600], 2048).is_err());
    }
}
