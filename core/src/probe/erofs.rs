//! EROFS (the kernel's `fs/erofs/erofs_fs.h`).

use super::{
    Found, Kind, Probe, Source,
    checksum::crc32c_pieces,
    read::{Reader, array, is_at, le32},
    text::{Label, Uuid},
};

const POSITION: usize = 1024;
const CHECKSUM: usize = 4;
const HAS_CHECKSUM: u32 = 1;

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let block = head.get(POSITION..).unwrap_or_default();
    let (Some(found), Some(stored)) = (parse(block), le32(block, CHECKSUM)) else { return Ok(None) };
    let size = found.block_size.unwrap_or_default();
    if !found.is_checked {
        return Ok(Some(found).filter(|_found| reader.size() >= size.into()));
    }
    // The checksum covers the rest of the block that the superblock begins in, and counts as zero itself.
    let length = size as usize - POSITION % (size as usize).max(1);
    let mut digest = crc32c_pieces();
    let mut at = 0;
    let is_there = reader.pieces(POSITION as u64, length, |piece| {
        for byte in piece {
            digest.update(&[if (CHECKSUM..CHECKSUM + 4).contains(&at) { 0 } else { *byte }]);
            at += 1;
        }
    })?;
    Ok((is_there && stored == !digest.finalize()).then_some(found))
}

/// `is_checked` says that there is a checksum.
fn parse(block: &[u8]) -> Option<Probe> {
    let shift = *block.get(12)?;
    if !is_at(block, 0, b"\xe2\xe1\xf5\xe0") || !(9..=16).contains(&shift) {
        return None;
    }
    let block_size = 1 << shift;
    Some(Probe {
        label: Label::from_bytes(block.get(64..80)?),
        uuid: Uuid::from_bytes(array(block, 48)?),
        size: u64::from(le32(block, 36)?).checked_mul(block_size.into()),
        block_size: Some(block_size),
        is_checked: le32(block, 8)? & HAS_CHECKSUM != 0,
        ..Probe::new(Kind::Erofs)
    })
}
