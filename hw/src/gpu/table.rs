//! The table of chips and their video engines, `hw/data/video-engines.txt`.

use std::{fmt, ops::RangeInclusive};

use serde::{Serialize, Serializer};

const TABLE: &str = include_str!("../../data/video-engines.txt");

const NVIDIA: u16 = 0x10de;

/// What the table says of a chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// PCI vendor.
    #[serde(skip)]
    vendor: u16,
    /// Name of the chip or of its family.
    pub chip: String,
    /// Generation.
    pub generation: String,
    /// NVIDIA: the last branch of the proprietary driver that knows the chip, or `open` where the open kernel modules are
    /// the current ones. Others: the kernel's module.
    pub driver: String,
    /// Engines that encode.
    pub encoders: Count,
    /// Engines that decode.
    pub decoders: Count,
    /// What they encode, such as `hevc-10`.
    pub codecs: Vec<String>,
}

/// A number of engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// As many; from `least` to `most` where products of one chip differ.
    Known {
        /// At least.
        least: u8,
        /// At most.
        most: u8,
    },
    /// There are some, and the maker disabled them in this product.
    Disabled,
    /// No source says.
    Unknown,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { least, most } if least == most => most.fmt(f),
            Self::Known { least, most } => write!(f, "{least}-{most}"),
            Self::Disabled => f.write_str("off"),
            Self::Unknown => f.write_str("?"),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Entry {
    /// PCI vendor.
    pub fn vendor(&self) -> u16 {
        self.vendor
    }

    /// The kernel's drivers under which the encoder can be used.
    pub fn encoding_drivers(&self) -> Vec<&'static str> {
        match (self.vendor, self.driver.as_str()) {
            (NVIDIA, _) => vec!["nvidia"],
            (_, "amdgpu") => vec!["amdgpu"],
            (_, "xe") => vec!["xe"],
            _ => vec!["i915", "xe"],
        }
    }
}

/// The entry of a device.
pub(super) fn find(vendor: u16, device: u16) -> Option<Entry> {
    lines().find_map(|line| {
        let (entry, ids) = parse(line)?;
        (entry.vendor == vendor && ranges(ids).any(|range| range.contains(&device))).then_some(entry)
    })
}

/// Vendor and generation of every entry.
pub(super) fn generations() -> impl Iterator<Item = (u16, &'static str)> {
    lines().filter_map(|line| {
        let mut fields = line.split('|').map(str::trim);
        Some((u16::from_str_radix(fields.next()?, 16).ok()?, fields.nth(1)?))
    })
}

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.starts_with('#'))
}

/// The entry of a line, and its ids.
fn parse(line: &str) -> Option<(Entry, &str)> {
    let mut fields = line.split('|').map(str::trim);
    let vendor = u16::from_str_radix(fields.next()?, 16).ok()?;
    let mut next = || fields.next();
    let entry = Entry {
        vendor,
        chip: next()?.into(),
        generation: next()?.into(),
        driver: next()?.into(),
        encoders: count(next()?)?,
        decoders: count(next()?)?,
        codecs: next()?.split(',').filter(|codec| !matches!(*codec, "-" | "?")).map(Into::into).collect(),
    };
    let ids = next()?;
    fields.next().is_none().then_some((entry, ids))
}

fn count(text: &str) -> Option<Count> {
    Some(match text {
        "?" => Count::Unknown,
        "off" => Count::Disabled,
        text => {
            let (least, most) = text.split_once('-').unwrap_or((text, text));
            Count::Known { least: least.parse().ok()?, most: most.parse().ok()? }
        }
    })
}

/// Ids and inclusive ranges of ids.
fn ranges(ids: &str) -> impl Iterator<Item = RangeInclusive<u16>> {
    ids.split(' ').filter_map(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some(u16::from_str_radix(first, 16).ok()?..=u16::from_str_radix(last, 16).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_line_of_the_table_is_read_and_no_device_is_there_twice() {
        let mut seen = BTreeMap::new();
        for line in lines() {
            let (entry, ids) = parse(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(ranges(ids).count(), ids.split(' ').count(), "{line}");
            for device in ranges(ids).flatten() {
                let before = seen.insert((entry.vendor, device), entry.chip.clone());
                assert_eq!(before, None, "{:04x}:{device:04x} is {} too", entry.vendor, entry.chip);
            }
            let encodes = matches!(entry.encoders, Count::Known { most: 1.., .. });
            assert_eq!(encodes, !entry.codecs.is_empty(), "{line}");
            assert!(!entry.encoding_drivers().is_empty());
        }
        assert!(seen.len() > 2000, "{}", seen.len());
    }

    #[test]
    fn counts_print_as_they_are_written() {
        for text in ["0", "1", "1-3", "off", "?"] {
            assert_eq!(count(text).unwrap().to_string(), text);
        }
        assert_eq!((count(""), count("x"), count("1-")), (None, None, None));
    }
}
