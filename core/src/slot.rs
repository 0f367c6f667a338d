//! Slots A and B of an installed disk and the trailer that makes a slot bootable.
//!
//! A slot partition holds `root.img` (file system image, then verity tree) from its first byte, and the
//! signed manifest in its last [`TRAILER_SIZE`] bytes. The trailer is written last: a slot without
//! a whole trailer is not bootable, whatever else the partition holds.

#[cfg(feature = "alloc")]
mod trailer;

use core::fmt;

use serde::{Deserialize, Serialize};

#[cfg(feature = "alloc")]
pub use trailer::{TRAILER_SIZE, Trailer, TrailerError};

/// One of the two places for a root image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first slot, which the installer fills.
    A,
    /// The second slot.
    B,
}

impl Slot {
    /// `a` or `b`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The other slot.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Reads `a` or `b`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::A, Self::B].into_iter().find(|slot| slot.id() == text)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}
