//! Sizes as integers of one unit: bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

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

    /// Rounded down to whole mebibytes.
    pub const fn align_down(self) -> Self {
        Self(self.0 - self.0 % MIB)
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
        assert_eq!(Bytes(MIB * 3 + 5).align_down(), Bytes(MIB * 3));
    }
}
