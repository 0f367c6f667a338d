//! Labels and identifiers, bounded and without an allocator.

use core::fmt::{self, Write};

use heapless::{String, Vec};

use crate::text::Shown;

/// Bytes of a label; Btrfs has the longest.
const LABEL: usize = 256;
/// Characters of an identifier; that of LVM is the longest.
const UUID: usize = 40;
/// Characters of a version.
const VERSION: usize = 16;

/// Names a version or variant, such as `FAT32`.
pub type Version = String<VERSION>;

/// The name that a person gave to a file system: usually UTF-8, never to be trusted. Shows itself with every character
/// escaped that is not plainly visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(Vec<u8, LABEL>);

impl Label {
    /// The bytes up to the first zero, without the white space at their end; `None` when nothing is left.
    pub(super) fn from_bytes(field: &[u8]) -> Option<Self> {
        let text = field.split(|byte| *byte == 0).next()?.trim_ascii_end();
        (!text.is_empty()).then(|| Self(text.iter().copied().take(LABEL).collect()))
    }

    /// The same of characters, as UTF-8. What is longer than a label can be is cut off.
    pub(super) fn from_chars(chars: impl Iterator<Item = char>) -> Option<Self> {
        let mut text = String::<LABEL>::new();
        for c in chars.take_while(|c| *c != '\0') {
            if text.push(c).is_err() {
                break;
            }
        }
        Self::from_bytes(text.as_bytes())
    }

    /// The same of UTF-16 with the low byte first; what is not a character becomes U+FFFD.
    pub(super) fn from_utf16le(field: &[u8]) -> Option<Self> {
        Self::from_chars(utf16(field, u16::from_le_bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            Shown(chunk.valid()).fmt(f)?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
        })
    }
}

/// The characters of UTF-16, whose units `unit` puts together.
pub(super) fn utf16(field: &[u8], unit: fn([u8; 2]) -> u16) -> impl Iterator<Item = char> {
    let units = field.as_chunks().0.iter().map(move |pair| unit(*pair));
    char::decode_utf16(units).map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// The identifier of a file system or array. Plain ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uuid(String<UUID>);

impl Uuid {
    /// Sixteen bytes in the notation of RFC 9562; `None` when all are zero.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let mut text = String::new();
        for (index, byte) in bytes.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(text, "{dash}{byte:02x}").ok()?;
        }
        bytes.iter().any(|byte| *byte != 0).then_some(Self(text))
    }

    /// The same of a GUID as Microsoft stores it, with the low byte of the first three fields first.
    pub(super) fn from_guid(mut bytes: [u8; 16]) -> Option<Self> {
        for field in [0..4, 4..6, 6..8] {
            bytes.get_mut(field)?.reverse();
        }
        Self::from_bytes(bytes)
    }

    /// The serial number of FAT and exFAT, `ABCD-1234`.
    pub(super) fn from_serial(bytes: [u8; 4]) -> Option<Self> {
        let serial = u32::from_le_bytes(bytes);
        Self::formatted(serial != 0, format_args!("{:04X}-{:04X}", serial >> 16, serial & 0xffff))
    }

    /// The serial number of NTFS, sixteen digits.
    pub(super) fn from_long_serial(serial: u64) -> Option<Self> {
        Self::formatted(serial != 0, format_args!("{serial:016X}"))
    }

    /// Text that the superblock holds, up to the first zero; `None` when that is not plain, or too long.
    pub(super) fn from_text(field: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(field.split(|byte| *byte == 0).next()?).ok()?;
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        Self::formatted(is_plain, format_args!("{text}"))
    }

    /// The identifier of LVM: 32 characters in groups of 6, 4, 4, 4, 4, 4 and 6.
    pub(super) fn from_lvm(chars: [u8; 32]) -> Option<Self> {
        let mut text = String::new();
        for (index, byte) in chars.into_iter().enumerate() {
            if matches!(index, 6 | 10 | 14 | 18 | 22 | 26) {
                text.push('-').ok()?;
            }
            text.push(Some(byte).filter(u8::is_ascii_graphic)?.into()).ok()?;
        }
        Some(Self(text))
    }

    /// The digits of a date, year to hundredths of a second.
    pub(super) fn from_date(digits: &[u8]) -> Option<Self> {
        let mut text = String::new();
        for (index, digit) in digits.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10 | 12 | 14) {
                text.push('-').ok()?;
            }
            text.push(char::from(*digit)).ok()?;
        }
        Some(Self(text))
    }

    fn formatted(is_there: bool, text: fmt::Arguments<'_>) -> Option<Self> {
        let mut out = String::new();
        out.write_fmt(text).ok()?;
        is_there.then_some(Self(out))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A version; empty when it is longer than [`Version`] can be, which no format's is.
pub(super) fn version(text: fmt::Arguments<'_>) -> Option<Version> {
    let mut out = Version::new();
    out.write_fmt(text).ok()?;
    Some(out)
}
