//! NTFS (<https://flatcap.github.io/linux-ntfs/ntfs/>).

use super::{
    Found, Kind, Probe, Source,
    read::{Reader, is_at, le16, le32, le64},
    text::{Label, Uuid},
};

/// Bytes of the largest cluster, since Windows 10.
const LARGEST_CLUSTER: u64 = 2 * 1024 * 1024;
/// Number of the record that describes the volume.
const VOLUME: u64 = 3;
/// Records of another size are not used.
const RECORDS: [u64; 2] = [1024, 4096];
const NAME: u32 = 0x60;
const END: u32 = 0xffff_ffff;

/// What the boot sector says of the places, in bytes.
struct Layout {
    records: u64,
    record: u64,
}

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let Some((found, layout)) = parse(head) else { return Ok(None) };
    let mut volume = None;
    for number in [0, VOLUME] {
        // The first KiB has the attributes that are looked for, whatever the record's size.
        let record = reader.array::<1024>(layout.records.saturating_add(number * layout.record))?;
        let Some(record) = record.filter(|record| is_at(record, 0, b"FILE")) else { return Ok(None) };
        volume = Some(record);
    }
    Ok(Some(Probe { label: volume.and_then(|record| label(&record)), ..found }))
}

fn parse(head: &[u8]) -> Option<(Probe, Layout)> {
    let sector = le16(head, 11)?;
    let cluster = match *head.get(13)? {
        sectors if sectors.is_power_of_two() => u64::from(sectors),
        // The negative logarithm of more than 128 sectors.
        negative @ 240..=249 => 1 << (256 - u32::from(negative)),
        _ => return None,
    };
    let cluster = cluster * u64::from(sector);
    let record = match i8::from_le_bytes([*head.get(64)?]) {
        clusters @ 1.. => u64::try_from(clusters).ok()?.checked_mul(cluster)?,
        // The negative logarithm of the bytes.
        negative => 1_u64.checked_shl(negative.unsigned_abs().into())?,
    };
    let (sectors, table, mirror) = (le64(head, 40)?, le64(head, 48)?, le64(head, 56)?);
    let clusters = sectors.checked_mul(sector.into())?.checked_div(cluster)?;
    let is_sound = is_at(head, 3, b"NTFS    ")
        && (256..=4096).contains(&sector)
        && sector.is_power_of_two()
        && cluster <= LARGEST_CLUSTER
        // What FAT keeps there is zero.
        && is_at(head, 14, &[0; 7])
        && is_at(head, 22, &[0; 2])
        && is_at(head, 32, &[0; 4])
        && RECORDS.contains(&record)
        && table <= clusters
        && mirror <= clusters;
    let found = Probe {
        uuid: Uuid::from_long_serial(le64(head, 72)?),
        size: sectors.checked_mul(sector.into()),
        block_size: Some(sector.into()),
        ..Probe::new(Kind::Ntfs)
    };
    is_sound.then_some((found, Layout { records: table.checked_mul(cluster)?, record }))
}

/// The attribute `$VOLUME_NAME` of the volume's record.
fn label(record: &[u8]) -> Option<Label> {
    let mut position = usize::from(le16(record, 20)?);
    let end = usize::try_from(le32(record, 28)?).ok()?;
    loop {
        let attribute = record.get(..end.min(record.len()))?.get(position..)?;
        let length = usize::try_from(le32(attribute, 4)?).ok().filter(|length| *length > 0)?;
        match le32(attribute, 0)? {
            END => return None,
            NAME => {
                let start = usize::from(le16(attribute, 20)?);
                let name = attribute.get(start..)?.get(..usize::try_from(le32(attribute, 16)?).ok()?)?;
                return Label::from_utf16le(name);
            }
            _ => position = position.checked_add(length)?,
        }
    }
}
