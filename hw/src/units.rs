//! Sizes and places as integers of one unit each: bytes, sectors, and numbers of sectors.
//!
//! Invariant: nothing here wraps around. Numbers come from foreign disks, so what does not fit is `None`.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Bytes in a mebibyte, the alignment of partitions.
pub const MIB: u64 = 1 << 20;

/// A number of bytes. Prints for people, in powers of 1024 and with one decimal place, rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// A number of mebibytes; `None` when it does not fit.
    pub const fn from_mib(mib: u64) -> Option<Self> {
        match mib.checked_mul(MIB) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// Rounded down to a multiple of `grain`; unchanged where that is zero.
    pub const fn align_down(self, grain: Self) -> Self {
        match self.0.checked_rem(grain.0) {
            Some(rest) => Self(self.0 - rest),
            None => self,
        }
    }

    /// Rounded up to a multiple of `grain`; `None` when that does not fit or the grain is zero.
    pub const fn align_up(self, grain: Self) -> Option<Self> {
        match self.0.checked_next_multiple_of(grain.0) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// The sum; `None` when it does not fit.
    pub const fn checked_add(self, more: Self) -> Option<Self> {
        match self.0.checked_add(more.0) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// The difference; `None` when it is negative.
    pub const fn checked_sub(self, less: Self) -> Option<Self> {
        match self.0.checked_sub(less.0) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// Whole sectors that fit.
    pub const fn sectors(self, size: SectorSize) -> Sectors {
        Sectors(self.0 / size.bytes().0)
    }
}

/// Bytes of a logical sector: 512 or 4096. Partition tables are defined for others, but no disk has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SectorSize(NonZeroU32);

impl SectorSize {
    /// 512 bytes, as nearly every disk has them.
    pub const S512: Self = Self(NonZeroU32::new(512).expect("it is not zero"));
    /// 4096 bytes: disks called 4Kn.
    pub const S4096: Self = Self(NonZeroU32::new(4096).expect("it is not zero"));

    /// The size as bytes.
    pub const fn bytes(self) -> Bytes {
        // A cast, since From is not const; it widens.
        Bytes(self.0.get() as u64)
    }

    /// The size as the number of elements of a buffer.
    pub const fn length(self) -> usize {
        self.0.get() as usize
    }

    /// The other size.
    pub const fn other(self) -> Self {
        if self.0.get() == Self::S512.0.get() { Self::S4096 } else { Self::S512 }
    }
}

impl TryFrom<u32> for SectorSize {
    type Error = Error;

    fn try_from(bytes: u32) -> Result<Self, Error> {
        match bytes {
            512 => Ok(Self::S512),
            4096 => Ok(Self::S4096),
            other => Err(Error::SectorSize(other)),
        }
    }
}

impl From<SectorSize> for u32 {
    fn from(size: SectorSize) -> Self {
        size.0.get()
    }
}

impl fmt::Display for SectorSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of logical sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sectors(pub u64);

impl Sectors {
    /// Their bytes; `None` when that does not fit.
    pub const fn bytes(self, size: SectorSize) -> Option<Bytes> {
        match self.0.checked_mul(size.bytes().0) {
            Some(bytes) => Some(Bytes(bytes)),
            None => None,
        }
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The address of a logical sector: its number, counted from zero at the start of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lba(pub u64);

impl Lba {
    /// The sector so many further on; `None` when there is no such number.
    pub const fn checked_add(self, more: Sectors) -> Option<Self> {
        match self.0.checked_add(more.0) {
            Some(lba) => Some(Self(lba)),
            None => None,
        }
    }

    /// The sector so many before; `None` before the start of the disk.
    pub const fn checked_sub(self, less: Sectors) -> Option<Self> {
        match self.0.checked_sub(less.0) {
            Some(lba) => Some(Self(lba)),
            None => None,
        }
    }

    /// The first byte of the sector; `None` when that does not fit.
    pub const fn offset(self, size: SectorSize) -> Option<u64> {
        self.0.checked_mul(size.bytes().0)
    }

    /// Number of sectors from this one to `last`, both included; `None` when `last` comes before.
    pub const fn through(self, last: Self) -> Option<Sectors> {
        match last.0.checked_sub(self.0) {
            Some(distance) => match distance.checked_add(1) {
                Some(count) => Some(Sectors(count)),
                None => None,
            },
            None => None,
        }
    }
}

impl fmt::Display for Lba {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        let Some(exponent) = (1..=4).rev().find(|e| self.0 >= 1 << (10 * e)) else {
            return f.pad(&format!("{} B", self.0));
        };
        let unit = 1u64 << (10 * exponent);
        let tenth = (u128::from(self.0 % unit) * 10) / u128::from(unit);
        f.pad(&format!("{}.{tenth} {}", self.0 / unit, UNITS[exponent - 1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (500_107_862_016, "465.7 GiB"),
            (8 << 30, "8.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(Bytes::from_mib(u64::MAX), None);
        assert_eq!(Bytes(MIB * 3 + 5).align_down(Bytes(MIB)), Bytes(MIB * 3));
        assert_eq!(Bytes(MIB * 3 + 5).align_up(Bytes(MIB)), Some(Bytes(MIB * 4)));
    }

    #[test]
    fn nothing_wraps_around() {
        let size = SectorSize::S4096;
        assert_eq!(Bytes(u64::MAX).align_up(Bytes(MIB)), None);
        assert_eq!((Bytes(7).align_up(Bytes(0)), Bytes(7).align_down(Bytes(0))), (None, Bytes(7)));
        assert_eq!((Bytes(u64::MAX).checked_add(Bytes(1)), Bytes(0).checked_sub(Bytes(1))), (None, None));
        assert_eq!((Sectors(u64::MAX).bytes(size), Lba(u64::MAX).offset(size)), (None, None));
        assert_eq!((Lba(u64::MAX).checked_add(Sectors(1)), Lba(0).checked_sub(Sectors(1))), (None, None));
        assert_eq!((Lba(3).through(Lba(3)), Lba(3).through(Lba(2))), (Some(Sectors(1)), None));
        assert_eq!(Lba(0).through(Lba(u64::MAX)), None);
        assert_eq!(Bytes(8191).sectors(size), Sectors(1));
    }

    #[test]
    fn sectors_have_one_of_two_sizes() {
        assert!(SectorSize::try_from(520).is_err() && SectorSize::try_from(0).is_err());
        assert_eq!(SectorSize::try_from(4096).unwrap().other(), SectorSize::S512);
        assert!(serde_json::from_str::<SectorSize>("1024").is_err());
    }
}
