//! XFS (the kernel's `fs/xfs/libxfs/xfs_format.h`, and its checks in `xfs_sb.c`).

use super::{
    Found, Kind, Probe, Source,
    checksum::crc32c_pieces,
    read::{Reader, array, be16, be32, be64, is_at, le32},
    text::{Label, Uuid},
};

const CHECKSUM: core::ops::Range<usize> = 224..228;
/// Version 5 has a checksum, and says so as a feature too; 4 is the oldest that the kernel still mounts.
const VERSION_CHECKED: u16 = 5;
const VERSION_PLAIN: u16 = 4;
const MORE_FEATURES: u16 = 0x8000;
const CHECKSUM_FEATURE: u32 = 0x100;
/// Blocks that every allocation group has at least.
const SMALLEST_GROUP: u64 = 64;

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let Some((found, sector)) = parse(head) else { return Ok(None) };
    if !found.is_checked {
        return Ok(Some(found));
    }
    let stored = le32(head, CHECKSUM.start);
    let mut digest = crc32c_pieces();
    let mut at = 0;
    let is_there = reader.pieces(0, sector, |piece| {
        // The checksum lies in the first piece and counts as zero.
        for byte in piece {
            digest.update(&[if CHECKSUM.contains(&at) { 0 } else { *byte }]);
            at += 1;
        }
    })?;
    Ok((is_there && stored == Some(digest.finalize())).then_some(found))
}

/// The superblock, and the bytes of the sector that its checksum covers; `is_checked` says that there is one.
fn parse(head: &[u8]) -> Option<(Probe, usize)> {
    let log = |at: usize, range: core::ops::RangeInclusive<u8>| {
        head.get(at).copied().filter(|value| range.contains(value))
    };
    let (sector_log, block_log, inode_log) = (log(121, 9..=15)?, log(120, 9..=16)?, log(122, 8..=11)?);
    let (block, sector) = (be32(head, 4)?, be16(head, 102)?);
    let (blocks, group_blocks, groups) = (be64(head, 8)?, be32(head, 84)?, be32(head, 88)?);
    let most = u64::from(groups).checked_mul(group_blocks.into())?;
    let least =
        u64::from(groups.checked_sub(1)?).checked_mul(group_blocks.into())?.checked_add(SMALLEST_GROUP)?;
    let extent = u64::from(be32(head, 80)?).checked_mul(block.into())?;
    let (version, more) = (be16(head, 100)? & 0xf, be16(head, 100)? & MORE_FEATURES != 0);
    let is_checked = more && be32(head, 200)? & CHECKSUM_FEATURE != 0;
    let is_sound = is_at(head, 0, b"XFSB")
        && ((version == VERSION_CHECKED && is_checked) || version == VERSION_PLAIN)
        && sector == 1 << sector_log
        && block == 1 << block_log
        && be16(head, 104)? == 1 << inode_log
        && block_log.checked_sub(inode_log) == head.get(123).copied()
        && (4 << 10..=1 << 30).contains(&extent)
        && *head.get(127)? <= 100
        && (least..=most).contains(&blocks);
    let found = Probe {
        label: Label::from_bytes(head.get(108..120)?),
        uuid: Uuid::from_bytes(array(head, 32)?),
        size: blocks.checked_mul(block.into()),
        block_size: Some(block),
        is_checked: version == VERSION_CHECKED,
        ..Probe::new(Kind::Xfs)
    };
    is_sound.then_some((found, sector.into()))
}
