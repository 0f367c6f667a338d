//! The signed range manifest of an image: what each chunk of it must be, and which chunks nobody needs.
//!
//! It lies beside an image as `<name>.ranges.json`, its signature as `<name>.ranges.json.sig`. By it an image is checked while
//! it is decoded, and a device without the image. Chunks follow each other from the image's start without a gap, so that
//! none can overlap another one.
//!
//! Only the canonical bytes are read, those that [`Ranges::to_bytes`] prints: two texts never are one manifest.

use alloc::vec::Vec;
use core::{fmt, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{
    channel::Channel,
    crypto::{self, Crypto},
    edition::Edition,
    hex::Digest,
    key::{self, KeyRole, PublicKey, VerifyError},
    manifest::MediumId,
    time::UnixTime,
    version::Version,
};

/// Bytes of a chunk; the last one of an image may be shorter.
pub const CHUNK: u64 = 1 << 20;
/// The longest image, in bytes.
pub const MAX_LENGTH: u64 = 256 << 30;
/// The longest manifest, in bytes: one line of 72 for each chunk, and what comes before.
pub const MAX_BYTES: usize = (MAX_LENGTH / CHUNK) as usize * 72 + 4096;
/// What is appended to the name of an image.
pub const SUFFIX: &str = ".ranges.json";

/// What the chunks of an image must be. Signed by the role `release`, in a domain of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranges {
    /// Always [`Ranges::FORMAT`].
    pub format: u32,
    /// What the image is, when it is one of ours.
    pub release: Option<Release>,
    /// Date of the image, Unix time.
    pub epoch: u64,
    /// Bytes of the decoded image.
    pub length: u64,
    /// Always [`CHUNK`].
    pub chunk: u64,
    /// SHA-256 of the whole decoded image.
    pub sha256: Digest,
    /// SHA-256 of each chunk; `None` for a hole: all of its bytes are zero, and nobody needs them to be.
    pub chunks: Vec<Option<Digest>>,
}

/// Which release an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The edition.
    pub edition: Edition,
    /// The version.
    pub version: Version,
    /// The channel.
    pub channel: Channel,
    /// Names the medium.
    pub medium: MediumId,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.edition, self.version, self.channel)
    }
}

/// Why the bytes are not a usable range manifest.
#[derive(Debug)]
pub enum RangesError {
    /// The signature was refused.
    Signature(VerifyError),
    /// More bytes than any manifest has.
    TooLong,
    /// Not JSON of this shape.
    Parse(serde_json::Error),
    /// A format that this program does not know.
    Format(u32),
    /// An image of no bytes, or of more than [`MAX_LENGTH`].
    Length(u64),
    /// Chunks of another size than [`CHUNK`].
    Chunk(u64),
    /// Not as many chunks as the length has.
    Count {
        /// What the length has.
        expected: u64,
        /// What is listed.
        found: u64,
    },
    /// The first chunk is a hole: without it nothing is a medium.
    Head,
    /// The same values, printed in another way.
    NotCanonical,
}

impl fmt::Display for RangesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(_) => f.write_str("the range manifest's signature is not accepted"),
            Self::TooLong => write!(f, "the range manifest has more than {MAX_BYTES} bytes"),
            Self::Parse(_) => f.write_str("the range manifest cannot be read"),
            Self::Format(found) => {
                write!(f, "range manifest format {found} is unknown, expected {}", Ranges::FORMAT)
            }
            Self::Length(length) => {
                write!(f, "the range manifest is of {length} bytes, expected 1 to {MAX_LENGTH}")
            }
            Self::Chunk(size) => write!(f, "the range manifest has chunks of {size} bytes, expected {CHUNK}"),
            Self::Count { expected, found } => {
                write!(f, "the range manifest lists {found} chunks, its length has {expected}")
            }
            Self::Head => f.write_str("the range manifest leaves out the first chunk"),
            Self::NotCanonical => f.write_str("the range manifest is not in its canonical form"),
        }
    }
}

impl core::error::Error for RangesError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Signature(error) => Some(error),
            Self::Parse(error) => Some(error),
            _ => None,
        }
    }
}

impl Ranges {
    /// The format that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// The canonical bytes: indented JSON with a final line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Serialising a tree of strings and numbers cannot fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The message that a key of the role `release` signs for these bytes of a range manifest.
    pub fn message(bytes: &[u8]) -> Vec<u8> {
        key::message("ranges", bytes)
    }

    /// Verifies a manifest by the content of its `.sig` file, reads it, and compares its date with the key, which is
    /// returned as well.
    ///
    /// # Errors
    /// [`RangesError::Signature`], before anything is read, and what [`Ranges::from_bytes`] refuses.
    pub fn verify<'k, C: Crypto>(
        ring: &'k [PublicKey],
        bytes: &[u8],
        signature_file: &[u8],
    ) -> Result<(Self, &'k PublicKey), RangesError> {
        if bytes.len() > MAX_BYTES {
            return Err(RangesError::TooLong);
        }
        let key = crypto::verify_message::<C>(ring, KeyRole::Release, &Self::message(bytes), signature_file)
            .map_err(RangesError::Signature)?;
        let ranges = Self::from_bytes(bytes)?;
        crypto::check_date(key, UnixTime::from_unsigned(ranges.epoch)).map_err(RangesError::Signature)?;
        Ok((ranges, key))
    }

    /// Reads a manifest. Who made it, [`Ranges::verify`] finds out.
    ///
    /// # Errors
    /// When it is not the canonical form of a manifest whose numbers agree.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RangesError> {
        #[derive(Deserialize)]
        struct Probe {
            format: u32,
        }
        if bytes.len() > MAX_BYTES {
            return Err(RangesError::TooLong);
        }
        let probe: Probe = serde_json::from_slice(bytes).map_err(RangesError::Parse)?;
        if probe.format != Self::FORMAT {
            return Err(RangesError::Format(probe.format));
        }
        let ranges: Self = serde_json::from_slice(bytes).map_err(RangesError::Parse)?;
        ranges.check()?;
        if ranges.to_bytes() != bytes {
            return Err(RangesError::NotCanonical);
        }
        Ok(ranges)
    }

    fn check(&self) -> Result<(), RangesError> {
        if !(1..=MAX_LENGTH).contains(&self.length) {
            return Err(RangesError::Length(self.length));
        }
        if self.chunk != CHUNK {
            return Err(RangesError::Chunk(self.chunk));
        }
        let (expected, found) = (self.length.div_ceil(CHUNK), self.chunks.len() as u64);
        if expected != found {
            return Err(RangesError::Count { expected, found });
        }
        if self.chunks.first().is_some_and(Option::is_none) { Err(RangesError::Head) } else { Ok(()) }
    }

    /// Every chunk: its bytes in the image, and its digest unless it is a hole.
    pub fn iter(&self) -> impl Iterator<Item = (Range<u64>, Option<Digest>)> + '_ {
        let starts = (0..).map(|chunk| chunk * CHUNK);
        starts.zip(&self.chunks).map(|(start, sum)| (start..self.length.min(start + CHUNK), *sum))
    }

    /// Bytes of the holes.
    pub fn holes(&self) -> u64 {
        self.iter().filter(|(_, sum)| sum.is_none()).map(|(range, _)| range.end - range.start).sum()
    }
}
