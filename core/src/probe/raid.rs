//! Members of Linux software RAID (the kernel's `include/uapi/linux/raid/md_p.h`).

use super::{
    Found, Kind, Probe, Source,
    read::{Reader, array, be32, is_at, le32, le64},
    text::{Label, Uuid, version},
};

const MAGIC: u32 = 0xa92b_4efc;
/// Version 0.90 lies at the start of the last whole 64 KiB.
const RESERVED: u64 = 64 * 1024;
/// Bytes of version 1, with the most devices that there can be.
const SIZE: usize = 4096;
/// Bytes of version 1 before the list of devices.
const FIXED: usize = 256;
const CHECKSUM: usize = 216;

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let size = reader.size();
    if let Some(position) = (size & !(RESERVED - 1)).checked_sub(RESERVED)
        && let Some(block) = reader.array::<64>(position)?
        && let Some(found) = version_0(&block, head, position)
    {
        return Ok(Some(found));
    }
    // Version 1.0 keeps at least 8 KiB from the end; 1.1 lies at the start, 1.2 4 KiB after it.
    let end = (size & !0xfff).checked_sub(0x2000).filter(|_position| size > RESERVED);
    let places = [(end, "1.0"), (Some(0), "1.1"), (Some(0x1000), "1.2")];
    for (position, name) in places {
        if let Some(position) = position
            && let Some(block) = reader.array::<SIZE>(position)?
            && let Some(found) = version_1(&block, position)
        {
            return Ok(Some(Probe { version: version(format_args!("{name}")), ..found }));
        }
    }
    Ok(None)
}

/// Its end is also the end of a last partition, so on a disk with partitions it says nothing about the disk.
fn version_0(block: &[u8], head: &[u8], position: u64) -> Option<Probe> {
    let read = [le32, be32].into_iter().find(|read| read(block, 0) == Some(MAGIC))?;
    let word = |index: usize| read(block, index * 4);
    let size = u64::from(word(8)?) << 10;
    let (major, minor, patch) = (word(1)?, word(2)?, word(3)?);
    if has_partitions(head) || size > position || (major, minor) != (0, 90) {
        return None;
    }
    let mut id = [0; 16];
    for (bytes, index) in id.as_chunks_mut::<4>().0.iter_mut().zip([5, 13, 14, 15]) {
        *bytes = word(index)?.to_be_bytes();
    }
    Some(Probe {
        uuid: Uuid::from_bytes(id),
        version: version(format_args!("{major}.{minor}.{patch}")),
        ..Probe::new(Kind::Raid)
    })
}

/// Whether a table in the first sector, of either kind, has an entry in use.
fn has_partitions(head: &[u8]) -> bool {
    is_at(head, 510, b"\x55\xaa") && [450, 466, 482, 498].iter().any(|kind| !is_at(head, *kind, b"\0"))
}

fn version_1(block: &[u8; SIZE], position: u64) -> Option<Probe> {
    let is_here = le32(block, 0)? == MAGIC
        && le32(block, 4)? == 1
        && le64(block, 144)?.checked_mul(512) == Some(position)
        && le32(block, CHECKSUM)? == sum(block)?;
    let uuid = Uuid::from_bytes(array(block, 16)?);
    let label = Label::from_bytes(block.get(32..64)?);
    is_here.then(|| Probe { uuid, label, is_checked: true, ..Probe::new(Kind::Raid) })
}

/// The sum of all words, the checksum itself as zero, with the carries added back.
fn sum(block: &[u8; SIZE]) -> Option<u32> {
    let devices = usize::try_from(le32(block, 220)?).ok()?;
    let covered = block.get(..devices.checked_mul(2)?.checked_add(FIXED)?)?;
    let (words, rest) = covered.as_chunks::<4>();
    let mut total: u64 = words.iter().map(|word| u64::from(u32::from_le_bytes(*word))).sum();
    total -= u64::from(le32(block, CHECKSUM)?);
    total += rest.first_chunk().map_or(0, |half| u64::from(u16::from_le_bytes(*half)));
    let folded = (total & 0xffff_ffff) + (total >> 32);
    u32::try_from(folded & 0xffff_ffff).ok()
}
