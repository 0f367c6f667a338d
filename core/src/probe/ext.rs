//! ext2, ext3 and ext4 (Linux `Documentation/filesystems/ext4/globals.rst`).

use super::{
    Kind, Probe,
    checksum::crc32c,
    read::{array, is_at, le16, le32},
    text::{Label, Uuid, version},
};

const POSITION: usize = 1024;
const SIZE: usize = 1024;
const CHECKSUM: usize = 0x3fc;

const HAS_JOURNAL: u32 = 0x4;
/// What ext2 can read: file types in directories, meta block groups.
const INCOMPATIBLE_EXT2: u32 = 0x2 | 0x10;
/// What ext3 can read too: a journal to be replayed.
const INCOMPATIBLE_EXT3: u32 = INCOMPATIBLE_EXT2 | 0x4;
const INCOMPATIBLE_JOURNAL_DEVICE: u32 = 0x8;
const INCOMPATIBLE_64BIT: u32 = 0x80;
/// What ext2 and ext3 can write: sparse superblocks, large files, directory trees.
const READ_ONLY_EXT3: u32 = 0x7;
const READ_ONLY_CHECKSUM: u32 = 0x400;
/// For code under development, which the kernel no longer has.
const TEST_FILESYSTEM: u32 = 0x4;

pub(super) fn probe(head: &[u8]) -> Option<Probe> {
    let block = head.get(POSITION..POSITION + SIZE)?;
    if !is_at(block, 0x38, b"\x53\xef") {
        return None;
    }
    let is_checked = le32(block, 0x64)? & READ_ONLY_CHECKSUM != 0;
    if is_checked && !crc32c(block.get(..CHECKSUM)?) != le32(block, CHECKSUM)? {
        return None;
    }
    // The kernel goes up to blocks of 64 KiB.
    let block_size = 1024_u32 << Some(le32(block, 0x18)?).filter(|shift| *shift <= 6)?;
    let incompatible = le32(block, 0x60)?;
    let high = if incompatible & INCOMPATIBLE_64BIT == 0 { 0 } else { le32(block, 0x150)? };
    let blocks = u64::from(high) << 32 | u64::from(le32(block, 0x4)?);
    Some(Probe {
        label: Label::from_bytes(block.get(0x78..0x88)?),
        uuid: Uuid::from_bytes(array(block, 0x68)?),
        version: version(format_args!("{}.{}", le32(block, 0x4c)?, le16(block, 0x3e)?)),
        size: blocks.checked_mul(block_size.into()),
        block_size: Some(block_size),
        is_checked,
        ..Probe::new(kind(block)?)
    })
}

fn kind(block: &[u8]) -> Option<Kind> {
    let (compatible, incompatible, read_only) = (le32(block, 0x5c)?, le32(block, 0x60)?, le32(block, 0x64)?);
    if incompatible & INCOMPATIBLE_JOURNAL_DEVICE != 0 {
        return None;
    }
    if incompatible & !INCOMPATIBLE_EXT3 != 0 || read_only & !READ_ONLY_EXT3 != 0 {
        return (le32(block, 0x160)? & TEST_FILESYSTEM == 0).then_some(Kind::Ext4);
    }
    if compatible & HAS_JOURNAL != 0 {
        return Some(Kind::Ext3);
    }
    (incompatible & !INCOMPATIBLE_EXT2 == 0).then_some(Kind::Ext2)
}
