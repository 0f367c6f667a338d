//! F2FS (the kernel's `include/linux/f2fs_fs.h`). The label is longer than [`super::Label`] can be; its end is cut off.

use super::{
    Kind, Probe,
    checksum::crc32,
    read::{array, is_at, le16, le32, le64},
    text::{Label, Uuid, version},
};

const POSITION: usize = 1024;
const MAGIC: u32 = 0xf2f5_2010;
/// Bytes of the block that holds the superblock, its checksum included.
const SIZE: usize = 4096 - POSITION;

pub(super) fn probe(head: &[u8]) -> Option<Probe> {
    let block = head.get(POSITION..POSITION + SIZE)?;
    let (major, minor) = (le16(block, 4)?, le16(block, 6)?);
    // Version 1.0 was another layout.
    if !is_at(block, 0, &MAGIC.to_le_bytes()) || (major, minor) == (1, 0) {
        return None;
    }
    let checksum = le32(block, 0x20)? as usize;
    let is_checked = checksum != 0;
    if is_checked && crc32(MAGIC, block.get(..checksum)?) != le32(block, checksum)? {
        return None;
    }
    let block_size = 1_u32 << Some(le32(block, 0x10)?).filter(|shift| (12..=16).contains(shift))?;
    Some(Probe {
        label: Label::from_utf16le(block.get(0x7c..0x47c)?),
        uuid: Uuid::from_bytes(array(block, 0x6c)?),
        version: version(format_args!("{major}.{minor}")),
        size: le64(block, 0x24)?.checked_mul(block_size.into()),
        block_size: Some(block_size),
        is_checked,
        ..Probe::new(Kind::F2fs)
    })
}
