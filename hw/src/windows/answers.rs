//! The bytes that Windows answers with, by winioctl.h and ntddstor.h. All numbers are little-endian.
//!
//! Sizes and offsets in an answer are a driver's or a device's word: none is believed beyond the bytes that are there.

use crate::text::reported;

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_le_bytes)
}

/// A `LARGE_INTEGER` that cannot be negative.
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(i64::from_le_bytes).and_then(|value| u64::try_from(value).ok())
}

/// `STORAGE_DEVICE_DESCRIPTOR`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) removable_medium: bool,
    /// `STORAGE_BUS_TYPE`.
    pub(crate) bus: u32,
    pub(crate) vendor: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) serial: Option<String>,
}

impl Descriptor {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        // An offset of zero, and in old drivers one beyond the end, means that there is none.
        let text = |at: usize| {
            let start = usize::try_from(u32_at(bytes, at)?).ok().filter(|start| *start > 0)?;
            reported(bytes.get(start..)?.split(|byte| *byte == 0).next()?)
        };
        Some(Self {
            removable_medium: *bytes.get(10)? != 0,
            bus: u32_at(bytes, 28)?,
            vendor: text(12),
            product: text(16),
            revision: text(20),
            serial: text(24),
        })
    }

    /// What tells this disk from others, as one number: 64-bit FNV-1a.
    pub(crate) fn fingerprint(&self) -> u64 {
        let words = [&self.vendor, &self.product, &self.revision, &self.serial];
        let bytes = words.iter().flat_map(|word| {
            // Between the words is what no word holds.
            word.as_deref().unwrap_or_default().bytes().chain([0])
        });
        bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// Bytes and bytes of a sector, by `DISK_GEOMETRY_EX`.
pub(crate) fn geometry(bytes: &[u8]) -> Option<(u64, u32)> {
    Some((u64_at(bytes, 24)?, u32_at(bytes, 20)?))
}

/// Bytes of a disk, by `GET_LENGTH_INFORMATION`.
#[cfg_attr(not(windows), expect(dead_code, reason = "asked of open disks only"))]
pub(crate) fn length(bytes: &[u8]) -> Option<u64> {
    u64_at(bytes, 0)
}

/// Bytes of a physical sector, and from the start to the first of them, by `STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR`.
pub(crate) fn alignment(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((u32_at(bytes, 20)?, u32_at(bytes, 24)?))
}

/// Whether a disk has to seek, by `DEVICE_SEEK_PENALTY_DESCRIPTOR`.
pub(crate) fn seeks(bytes: &[u8]) -> Option<bool> {
    bytes.get(8).map(|byte| *byte != 0)
}

/// Whether a disk is offline, and whether it is read-only, by `GET_DISK_ATTRIBUTES`.
pub(crate) fn attributes(bytes: &[u8]) -> Option<(bool, bool)> {
    let attributes = u64_at(bytes, 8)?;
    Some((attributes & 1 != 0, attributes & 2 != 0))
}

/// A partition by `PARTITION_INFORMATION_EX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) start: u64,
    pub(crate) size: u64,
    /// A GUID, or `0x83` and the like.
    pub(crate) kind: String,
    pub(crate) guid: Option<String>,
    pub(crate) label: Option<String>,
}

/// `DRIVE_LAYOUT_INFORMATION_EX`: form of the table, and its partitions.
pub(crate) fn layout(bytes: &[u8]) -> Option<(Option<&'static str>, Vec<Part>)> {
    const ENTRIES: usize = 48;
    const ENTRY: usize = 144;
    let table = match u32_at(bytes, 0)? {
        0 => Some("dos"),
        1 => Some("gpt"),
        _ => return Some((None, Vec::new())),
    };
    let count = usize::try_from(u32_at(bytes, 4)?).ok()?;
    let entries = bytes.get(ENTRIES..)?.chunks_exact(ENTRY).take(count);
    Some((table, entries.filter_map(part).collect()))
}

fn part(entry: &[u8]) -> Option<Part> {
    let (start, size, number) = (u64_at(entry, 8)?, u64_at(entry, 16)?, u32_at(entry, 24)?);
    let (kind, guid, label) = match u32_at(entry, 0)? {
        0 => (format!("{:#04x}", entry.get(32)?), None, None),
        _ => {
            let name: Vec<u16> =
                entry.get(72..144)?.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
            let name = name.split(|unit| *unit == 0).next().unwrap_or_default();
            (
                guid(entry.get(32..48)?)?,
                guid(entry.get(48..64)?),
                reported(String::from_utf16_lossy(name).as_bytes()),
            )
        }
    };
    // Places in a table for the BIOS that are not in use are listed too.
    (size > 0 && kind != "0x00").then_some(Part { number, start, size, kind, guid, label })
}

/// `GUID`, as it is written.
fn guid(bytes: &[u8]) -> Option<String> {
    let one = u32_at(bytes, 0)?;
    let [two, three] = [4, 6].map(|at| number(bytes, at).map(u16::from_le_bytes));
    let rest: [u8; 8] = number(bytes, 8)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(format!("{one:08x}-{:04x}-{:04x}-{}-{}", two?, three?, hex(&rest[..2]), hex(&rest[2..])))
}

/// A part of a disk that belongs to a volume: number of the disk, first byte, bytes.
pub(crate) type Extent = (u32, u64, u64);

/// `VOLUME_DISK_EXTENTS`.
pub(crate) fn extents(bytes: &[u8]) -> Option<Vec<Extent>> {
    let count = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let extents = bytes.get(8..)?.chunks_exact(24).take(count);
    let found: Vec<Extent> = extents
        .filter_map(|extent| Some((u32_at(extent, 0)?, u64_at(extent, 8)?, u64_at(extent, 16)?)))
        .collect();
    // Where one is missing, nobody knows which disks the volume is on.
    (found.len() == count).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{text::Shown, windows::made};

    #[test]
    fn a_stick_says_what_it_is() {
        let bytes = made::descriptor(7, true, ["SanDisk ", "Ultra", "1.00", "4C530001"]);
        let found = Descriptor::read(&bytes).unwrap();
        assert_eq!((found.bus, found.removable_medium), (7, true));
        let words = [&found.vendor, &found.product, &found.revision, &found.serial];
        assert_eq!(
            words.map(|word| word.as_deref()),
            [Some("SanDisk"), Some("Ultra"), Some("1.00"), Some("4C530001")]
        );
        let other = made::descriptor(7, true, ["SanDisk ", "Ultra", "1.00", "4C530002"]);
        assert_ne!(found.fingerprint(), Descriptor::read(&other).unwrap().fingerprint());
        let shifted = made::descriptor(7, true, ["SanDisk ", "Ultra1.00", "", "4C530001"]);
        assert_ne!(found.fingerprint(), Descriptor::read(&shifted).unwrap().fingerprint());
        let silent = Descriptor::read(&made::descriptor(7, true, [""; 4])).unwrap();
        assert_eq!((silent.vendor, silent.serial), (None, None));
    }

    #[test]
    fn hostile_names_stay_in_their_place() {
        let bytes = made::descriptor(7, true, ["\u{202e}evil", "\x1b[2J\n", "\u{200b}", "a\x07b"]);
        let found = Descriptor::read(&bytes).unwrap();
        for word in [found.vendor, found.product, found.revision, found.serial].into_iter().flatten() {
            assert!(Shown(&word).to_string().chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{word:?}");
        }
        // Offsets beyond the end, and into the head of the answer.
        let mut bytes = made::descriptor(7, true, ["vendor", "product", "1", "serial"]);
        bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[24..28].copy_from_slice(&1u32.to_le_bytes());
        assert_eq!(Descriptor::read(&bytes).unwrap().vendor, None);
    }

    #[test]
    fn tables() {
        let esp = made::gpt_part(1, 1 << 20, 100 << 20, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system");
        let (table, parts) = layout(&made::layout(1, &[esp, [0; 144]])).unwrap();
        assert_eq!((table, parts.len()), (Some("gpt"), 1));
        assert_eq!(parts[0].kind, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!((parts[0].start, parts[0].size), (1 << 20, 100 << 20));
        assert_eq!(parts[0].label.as_deref(), Some("EFI system"));
        let (table, parts) =
            layout(&made::layout(0, &[made::mbr_part(1, 63 * 512, 1 << 30, 0x0c), [0; 144]])).unwrap();
        assert_eq!((table, parts.len(), parts[0].kind.as_str()), (Some("dos"), 1, "0x0c"));
        assert_eq!(layout(&made::layout(2, &[])), Some((None, Vec::new())));
        // A driver that claims more partitions than it sends.
        let mut short = made::layout(1, &[esp]);
        short[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(layout(&short).unwrap().1.len(), 1);
    }

    #[test]
    fn volumes_on_disks() {
        assert_eq!(extents(&made::extents(&[(1, 1 << 20, 9)])), Some(vec![(1, 1 << 20, 9)]));
        assert_eq!(extents(&made::extents(&[(1, 0, 9), (2, 0, 9)])).map(|found| found.len()), Some(2));
        let mut short = made::extents(&[(1, 0, 9)]);
        short[0] = 2;
        assert_eq!(extents(&short), None, "one of them is not told");
        assert_eq!(extents(&[]), None);
    }

    #[test]
    fn no_answer_is_too_short_or_too_wild() {
        let part = made::gpt_part(1, 1, 1, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "x");
        let answers = [
            made::descriptor(7, true, ["a", "b", "c", "d"]),
            made::layout(1, &[part]),
            made::extents(&[(1, 0, 9)]),
            made::geometry(1 << 30, 512),
        ];
        let read = |bytes: &[u8]| {
            let _ = (Descriptor::read(bytes), layout(bytes), extents(bytes), geometry(bytes));
            let _ = (alignment(bytes), seeks(bytes), attributes(bytes));
        };
        for answer in &answers {
            (0..answer.len()).for_each(|cut| read(&answer[..cut]));
            for at in 0..answer.len() {
                for byte in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut changed = answer.clone();
                    changed[at] = byte;
                    read(&changed);
                }
            }
        }
        assert_eq!(geometry(&made::geometry(u64::MAX, 512)), None, "a negative size");
    }
}
