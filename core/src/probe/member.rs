//! What lies below another device: LUKS, BitLocker, LVM, bcache.

use super::{
    Found, Kind, Probe, Source,
    checksum::{crc32, crc64},
    read::{Reader, array, be16, be64, is_at, le16, le32, le64},
    text::{Label, Uuid, version},
};

/// LUKS 1 and 2 (<https://gitlab.com/cryptsetup/cryptsetup/-/wikis/Specification>). The digest of version 2 covers
/// megabytes and is not compared; a copy of its header elsewhere does not count.
pub(super) fn luks(head: &[u8]) -> Option<Probe> {
    if !is_at(head, 0, b"LUKS\xba\xbe") {
        return None;
    }
    let number = be16(head, 6)?;
    let label = match number {
        1 => None,
        2 if be64(head, 256)? == 0 => Label::from_bytes(head.get(24..72)?),
        _ => return None,
    };
    let (uuid, version) = (Uuid::from_text(head.get(168..208)?), version(format_args!("{number}")));
    Some(Probe { label, uuid, version, ..Probe::new(Kind::Luks) })
}

/// The label of a physical volume, in one of the first four sectors (LVM2's `lib/label/label.h`).
pub(super) fn lvm2(head: &[u8]) -> Option<Probe> {
    /// Bytes of the label that its checksum does not cover.
    const UNCOVERED: usize = 20;
    /// Where LVM starts its checksums.
    const START: u32 = 0xf597_a6cf;

    let (sectors, _rest) = head.get(..4 * 512)?.as_chunks::<512>();
    let (number, label) = (0_u64..).zip(sectors).find(|(_, sector)| is_at(*sector, 0, b"LABELONE"))?;
    let is_sound = is_at(label, 24, b"LVM2 001")
        && le64(label, 8)? == number
        && crc32(START, label.get(UNCOVERED..)?) == le32(label, 16)?;
    let uuid = Uuid::from_lvm(array(label, 32)?);
    let version = version(format_args!("LVM2 001"));
    is_sound.then(|| Probe { uuid, version, is_checked: true, ..Probe::new(Kind::Lvm2) })
}

/// bcache (the kernel's `drivers/md/bcache/bcache_ondisk.h`).
pub(super) fn bcache(head: &[u8]) -> Option<Probe> {
    const POSITION: usize = 4096;
    const MAGIC: [u8; 16] =
        [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81];
    /// Bytes before the list of buckets, and how many it can have.
    const FIXED: usize = 208;
    const MOST: u16 = 256;

    let block = head.get(POSITION..)?;
    let keys = le16(block, FIXED - 2)?;
    let end = FIXED + usize::from(keys) * 8;
    let is_sound = is_at(block, 24, &MAGIC)
        && le64(block, 8)? == POSITION as u64 / 512
        && keys <= MOST
        && crc64(block.get(8..end)?) == le64(block, 0)?;
    let (uuid, label) = (Uuid::from_bytes(array(block, 40)?), Label::from_bytes(block.get(72..104)?));
    let version = version(format_args!("{}", le64(block, 16)?));
    is_sound.then(|| Probe { uuid, label, version, is_checked: true, ..Probe::new(Kind::Bcache) })
}

/// BitLocker: a boot sector that leads to the first of three copies of its metadata
/// (<https://github.com/libyal/libbde>, format documentation). Its description is no label and is left out.
pub(super) fn bitlocker<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let found = Probe::new(Kind::BitLocker);
    let position = if is_at(head, 0, b"\xeb\x52\x90-FVE-FS-") {
        // Windows Vista: the metadata is elsewhere.
        return Ok(Some(found));
    } else if is_at(head, 0, b"\xeb\x58\x90-FVE-FS-") {
        le64(head, 176)
    } else if is_at(head, 0, b"\xeb\x58\x90MSWIN4.1") {
        // On removable media; also the boot sector of an ordinary FAT.
        le64(head, 440)
    } else {
        None
    };
    let Some(position) = position.filter(|position| *position != 0 && position.is_multiple_of(64)) else {
        return Ok(None);
    };
    let Some(block) = reader.array::<112>(position)?.filter(|block| is_at(block, 0, b"-FVE-FS-")) else {
        return Ok(None);
    };
    let version = le16(&block, 10).and_then(|number| version(format_args!("{number}")));
    let uuid = array(&block, 80).and_then(Uuid::from_guid);
    Ok(Some(Probe { version, uuid, ..found }))
}
