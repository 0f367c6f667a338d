//! Btrfs (<https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html>).

use super::{
    Found, Kind, Probe, Source,
    checksum::crc32c,
    read::{Reader, array, is_at, le16, le32, le64},
    text::{Label, Uuid},
};

const POSITION: u64 = 64 * 1024;
const SIZE: usize = 4096;
/// Bytes at the start that the checksum occupies and does not cover.
const CHECKSUM: usize = 32;
const TYPE_CRC32C: u16 = 0;
/// xxHash, SHA-256 and BLAKE2b are known, but are not compared here.
const TYPE_LAST: u16 = 3;
/// The kernel and mkfs.btrfs accept nothing smaller.
const SMALLEST: u64 = 1024 * 1024;

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, _head: &[u8]) -> Found<S> {
    if reader.size() < SMALLEST {
        return Ok(None);
    }
    let block = reader.array::<SIZE>(POSITION)?;
    Ok(block.and_then(|block| parse(&block)))
}

fn parse(block: &[u8]) -> Option<Probe> {
    let (bytes, sector_size) = (le64(block, 0x70)?, le32(block, 0x90)?);
    let kind = le16(block, 0xc4)?;
    let is_here = le64(block, 0x30)? == POSITION && sector_size.is_power_of_two();
    if !is_at(block, 0x40, b"_BHRfS_M") || !is_here || kind > TYPE_LAST {
        return None;
    }
    let is_checked = kind == TYPE_CRC32C;
    if is_checked && crc32c(block.get(CHECKSUM..)?) != le32(block, 0)? {
        return None;
    }
    Some(Probe {
        label: Label::from_bytes(block.get(0x12b..0x22b)?),
        uuid: Uuid::from_bytes(array(block, 0x20)?),
        size: Some(bytes),
        block_size: Some(sector_size),
        is_checked,
        ..Probe::new(Kind::Btrfs)
    })
}
