//! ISO 9660 (ECMA-119) with Joliet names, and whether it is also UDF (ECMA-167).

use super::{
    Found, Kind, Probe, Source,
    read::{Reader, is_at, le16, le32},
    text::{Label, Uuid, utf16, version},
};

/// Byte position of the first volume descriptor.
pub const POSITION: u64 = 32768;
/// Bytes of a descriptor.
pub const SIZE: usize = 2048;
/// Descriptors that are read at most.
const MOST: u64 = 16;
/// Where a descriptor holds the volume's name.
const NAME: core::ops::Range<usize> = 40..72;

/// The primary volume descriptor (ECMA-119, section 8.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Name of the volume, for messages only: a name proves nothing.
    pub label: Option<Label>,
    /// Bytes that the medium must have.
    pub size: u64,
    /// Bytes of a logical block.
    pub block_size: u16,
    /// When it was changed or made, which stands for an identifier.
    pub uuid: Option<Uuid>,
    /// First byte of the root directory.
    root: u64,
}

impl Volume {
    /// Parses the [`SIZE`] bytes at [`POSITION`]; `None` when they are no such descriptor.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let block_size = le16(bytes, 128)?;
        if !is_at(bytes, 0, b"\x01CD001\x01") || block_size == 0 {
            return None;
        }
        let block = u64::from(block_size);
        Some(Self {
            label: Label::from_bytes(bytes.get(NAME)?),
            size: u64::from(le32(bytes, 80)?) * block,
            block_size,
            uuid: date(bytes.get(830..847)?).or_else(|| date(bytes.get(813..830)?)).flatten(),
            root: u64::from(le32(bytes, 158)?) * block,
        })
    }
}

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, _head: &[u8]) -> Found<S> {
    let mut primary = None;
    let mut joliet = None;
    let mut is_udf = false;
    for number in 0..MOST {
        let Some(block) = reader.array::<SIZE>(POSITION + number * SIZE as u64)? else { break };
        if number == 0 && !is_at(&block, 1, b"CD001") {
            return Ok(None);
        }
        let is_extended =
            [b"BEA01", b"NSR02", b"NSR03", b"BOOT2", b"TEA01"].iter().any(|id| is_at(&block, 1, *id));
        if !is_extended && !is_at(&block, 1, b"CD001") {
            break;
        }
        is_udf |= is_at(&block, 1, b"NSR0");
        match Volume::parse(&block) {
            Some(volume) if primary.is_none() => primary = Some((volume, block)),
            _ if joliet.is_none() && is_joliet(&block) => joliet = Some(block),
            _ => {}
        }
    }
    let Some((volume, block)) = primary else { return Ok(None) };
    if !has_root(reader, &volume)? {
        return Ok(None);
    }
    let variant = match (is_udf, joliet.is_some()) {
        (true, _) => version(format_args!("UDF bridge")),
        (false, true) => version(format_args!("Joliet Extension")),
        (false, false) => None,
    };
    Ok(Some(Probe {
        label: joliet.map_or(volume.label, |joliet| merged(&block, &joliet)),
        uuid: volume.uuid,
        version: variant,
        size: Some(volume.size),
        block_size: Some(volume.block_size.into()),
        ..Probe::new(Kind::Iso9660)
    }))
}

/// Whether the root directory begins with itself. What another file system keeps of an image can look like a volume;
/// an image that ends before its root directory still is one.
fn has_root<S: Source>(
    reader: &mut Reader<'_, S>,
    volume: &Volume,
) -> Result<bool, super::ReadError<S::Error>> {
    let record = reader.array::<34>(volume.root)?;
    Ok(record.is_none_or(|record| {
        let place = le32(&record, 2).map(|block| u64::from(block) * u64::from(volume.block_size));
        record[0] >= 34 && record[32..] == [1, 0] && place == Some(volume.root)
    }))
}

/// A supplementary descriptor whose names are UCS-2 (Joliet specification, levels 1 to 3).
fn is_joliet(block: &[u8]) -> bool {
    is_at(block, 0, b"\x02CD001") && [b"%/@", b"%/C", b"%/E"].iter().any(|escape| is_at(block, 88, *escape))
}

/// The label from both descriptors. That of the primary one is longer, but of few characters, in capitals, with `_` for
/// all others; when the one of Joliet is its start, the two complete each other.
fn merged(primary: &[u8], joliet: &[u8]) -> Option<Label> {
    let (plain, wide) = (primary.get(NAME)?, joliet.get(NAME)?);
    let mut units = utf16(wide, u16::from_be_bytes);
    let plain_chars = || plain.iter().map(|byte| char::from(*byte));
    let fits = plain_chars().zip(utf16(wide, u16::from_be_bytes)).all(|(a, b)| combined(a, b).is_some());
    if !fits {
        return Label::from_chars(units);
    }
    Label::from_chars(plain_chars().filter_map(|a| units.next().map_or(Some(a), |b| combined(a, b))))
}

/// The character that both mean, with the case of the one that is not in capitals.
fn combined(plain: char, wide: char) -> Option<char> {
    match (plain, wide) {
        ('_', wide) => Some(wide),
        (plain, '_') => Some(plain),
        (plain, wide) if plain.eq_ignore_ascii_case(&wide) => {
            Some(if plain.is_ascii_uppercase() { wide } else { plain })
        }
        _ => None,
    }
}

/// Sixteen digits, year to hundredths of a second, and the offset from Greenwich; `None` when all are zero, and within
/// when the date is set but is none.
fn date(field: &[u8]) -> Option<Option<Uuid>> {
    let (digits, offset) = field.split_at_checked(16)?;
    let is_set = digits.iter().any(|digit| *digit != b'0') || offset != [0];
    is_set.then(|| digits.iter().all(u8::is_ascii_digit).then(|| Uuid::from_date(digits)).flatten())
}

#[cfg(test)]
mod tests {
    use std::{format, string::ToString, vec, vec::Vec};

    use super::*;

    fn descriptor() -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        bytes[..7].copy_from_slice(b"\x01CD001\x01");
        bytes[NAME].copy_from_slice(format!("{:32}", "AEGIS").as_bytes());
        bytes[80..84].copy_from_slice(&1000u32.to_le_bytes());
        bytes[128..130].copy_from_slice(&2048u16.to_le_bytes());
        bytes
    }

    #[test]
    fn label_size_and_date() {
        let mut bytes = descriptor();
        bytes[813..829].copy_from_slice(b"2026112321245099");
        bytes[830..846].copy_from_slice(b"0000000000000000");
        let volume = Volume::parse(&bytes).unwrap();
        assert_eq!(volume.label.map(|label| label.to_string()).as_deref(), Some("AEGIS"));
        assert_eq!((volume.size, volume.block_size), (2_048_000, 2048));
        assert_eq!(volume.uuid.map(|uuid| uuid.to_string()).as_deref(), Some("2026-11-23-21-24-50-99"));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(Volume::parse(&[0; SIZE]), None);
        assert_eq!(Volume::parse(b""), None);
        assert_eq!(Volume::parse(&descriptor()[..100]), None);
        for (at, byte) in [(0, 255), (129, 0)] {
            let mut other = descriptor();
            other[at] = byte;
            assert_eq!(Volume::parse(&other), None);
        }
    }
}
