//! exFAT (Microsoft's "exFAT file system specification").

use super::{
    Found, Kind, Probe, Source,
    read::{ReadError, Reader, array, is_at, le32, le64},
    text::{Label, Uuid, version},
};

/// Bytes of a directory entry.
const ENTRY: usize = 32;
/// Entries of the root directory that are searched for the label. It is usually the first.
const SEARCHED: u64 = 512;
const LABEL: u8 = 0x83;
/// UTF-16 units of a label.
const LABEL_UNITS: u8 = 11;
/// Sectors of the boot region that the checksum covers; it fills the next one.
const COVERED: usize = 11;

/// Where things are, in sectors unless said otherwise.
struct Layout {
    /// Logarithms of the bytes of a sector and of the sectors of a cluster.
    shifts: (u32, u32),
    table: u32,
    heap: u32,
    clusters: u32,
    root: u32,
}

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let Some((found, layout)) = parse(head) else { return Ok(None) };
    if !has_checksum(reader, 1 << layout.shifts.0)? {
        return Ok(None);
    }
    let label = label(reader, &layout)?;
    Ok(Some(Probe { label, is_checked: true, ..found }))
}

fn parse(head: &[u8]) -> Option<(Probe, Layout)> {
    let shift = |at: usize| head.get(at).map(|value| u32::from(*value));
    let (sector, cluster) = (shift(108)?, shift(109)?);
    let (table, length, heap) = (le32(head, 80)?, le32(head, 84)?, le32(head, 88)?);
    let (clusters, root) = (le32(head, 92)?, le32(head, 96)?);
    let tables = u32::from(*head.get(110)?);
    let is_sound = is_at(head, 0, b"\xeb\x76\x90EXFAT   ")
        && is_at(head, 11, &[0; 53])
        && is_at(head, 510, b"\x55\xaa")
        && (9..=12).contains(&sector)
        && cluster <= 25 - sector
        && (1..=2).contains(&tables)
        && table >= 24
        && table.checked_add(length.checked_mul(tables)?)? <= heap
        && root >= 2
        && root - 2 < clusters;
    let found = Probe {
        uuid: Uuid::from_serial(array(head, 100)?),
        version: version(format_args!("{}.{}", head.get(105)?, head.get(104)?)),
        size: le64(head, 72)?.checked_mul(1_u64.checked_shl(sector)?),
        block_size: 1_u32.checked_shl(sector),
        ..Probe::new(Kind::Exfat)
    };
    is_sound.then_some((found, Layout { shifts: (sector, cluster), table, heap, clusters, root }))
}

/// Compares the checksum of the boot region, without the fields that change at every mount, with each of its copies.
fn has_checksum<S: Source>(reader: &mut Reader<'_, S>, sector: usize) -> Result<bool, ReadError<S::Error>> {
    let mut sum = 0_u32;
    let mut at = 0;
    let is_there = reader.pieces(0, sector * COVERED, |piece| {
        for byte in piece {
            if !matches!(at, 106 | 107 | 112) {
                sum = sum.rotate_right(1).wrapping_add((*byte).into());
            }
            at += 1;
        }
    })?;
    let mut is_right = is_there;
    let is_there = reader.pieces((sector * COVERED) as u64, sector, |piece| {
        is_right &= piece.as_chunks().0.iter().all(|copy| u32::from_le_bytes(*copy) == sum);
    })?;
    Ok(is_there && is_right)
}

/// The label's entry in the root directory.
fn label<S: Source>(
    reader: &mut Reader<'_, S>,
    layout: &Layout,
) -> Result<Option<Label>, ReadError<S::Error>> {
    let (sector, cluster) = layout.shifts;
    let entries = (1_u64 << (sector + cluster)) / ENTRY as u64;
    let mut number = layout.root;
    for index in 0..SEARCHED {
        if index > 0 && index.is_multiple_of(entries) {
            let position = (u64::from(layout.table) << sector) + u64::from(number) * 4;
            let Some(next) = reader.array(position)? else { return Ok(None) };
            number = u32::from_le_bytes(next);
        }
        if number < 2 || number - 2 >= layout.clusters {
            return Ok(None);
        }
        // A sector number of 32 bits and a cluster number of 32 bits, each shifted by at most 25.
        let start = (u64::from(layout.heap) + (u64::from(number - 2) << cluster)) << sector;
        let position = start + index % entries * ENTRY as u64;
        match reader.array::<ENTRY>(position)? {
            Some([LABEL, units, name @ ..]) => {
                let length = usize::from(units.min(LABEL_UNITS)) * 2;
                return Ok(name.get(..length).and_then(Label::from_utf16le));
            }
            Some([0, ..]) | None => return Ok(None),
            Some(_) => {}
        }
    }
    Ok(None)
}
