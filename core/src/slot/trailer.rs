//! The last bytes of a slot partition.

use alloc::{vec, vec::Vec};
use core::fmt;

/// Bytes at the end of a slot partition that the trailer occupies.
pub const TRAILER_SIZE: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"AEGISLOT";
const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 4 + 4;

/// The signed manifest of the image in a slot, as raw bytes: verify first, parse afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// `manifest.json` of the release that the slot holds.
    pub manifest: Vec<u8>,
    /// `manifest.json.sig` of the same release.
    pub signature: Vec<u8>,
}

/// Why a slot has no usable trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailerError {
    /// The magic number is missing: the slot is empty or was not written to its end.
    Absent,
    /// A version that this program does not know.
    Version(u32),
    /// The lengths do not fit into the trailer.
    Length,
    /// Manifest and signature do not fit into [`TRAILER_SIZE`].
    TooLarge,
}

impl fmt::Display for TrailerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the slot holds no complete image"),
            Self::Version(v) => write!(f, "slot trailer version {v} is unknown, expected {VERSION}"),
            Self::Length => f.write_str("the slot trailer is damaged"),
            Self::TooLarge => write!(f, "the manifest does not fit into {TRAILER_SIZE} bytes"),
        }
    }
}

impl core::error::Error for TrailerError {}

impl Trailer {
    /// The bytes for the end of the partition, [`TRAILER_SIZE`] long.
    pub fn encode(&self) -> Result<Vec<u8>, TrailerError> {
        let total = HEADER + self.manifest.len() + self.signature.len();
        let lengths = (u32::try_from(self.manifest.len()), u32::try_from(self.signature.len()));
        let (true, (Ok(manifest), Ok(signature))) = (total <= TRAILER_SIZE, lengths) else {
            return Err(TrailerError::TooLarge);
        };
        let mut out = vec![0; TRAILER_SIZE];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&manifest.to_le_bytes());
        out[16..20].copy_from_slice(&signature.to_le_bytes());
        let split = HEADER + self.manifest.len();
        out[HEADER..split].copy_from_slice(&self.manifest);
        out[split..total].copy_from_slice(&self.signature);
        Ok(out)
    }

    /// Reads the last [`TRAILER_SIZE`] bytes of a slot partition.
    pub fn decode(bytes: &[u8]) -> Result<Self, TrailerError> {
        let field = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        if bytes.get(..8) != Some(&MAGIC[..]) {
            return Err(TrailerError::Absent);
        }
        match field(8) {
            Some(VERSION) => {}
            Some(other) => return Err(TrailerError::Version(other)),
            None => return Err(TrailerError::Length),
        }
        let length = |at| field(at).and_then(|n| usize::try_from(n).ok()).ok_or(TrailerError::Length);
        let split = HEADER.checked_add(length(12)?).ok_or(TrailerError::Length)?;
        let end = split.checked_add(length(16)?).ok_or(TrailerError::Length)?;
        match (bytes.get(HEADER..split), bytes.get(split..end)) {
            (Some(manifest), Some(signature)) => {
                Ok(Self { manifest: manifest.to_vec(), signature: signature.to_vec() })
            }
            _ => Err(TrailerError::Length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailer_round_trip_and_refusals() {
        let trailer = Trailer { manifest: b"{}".to_vec(), signature: b"sig".to_vec() };
        let bytes = trailer.encode().unwrap();
        assert_eq!(bytes.len(), TRAILER_SIZE);
        assert_eq!(Trailer::decode(&bytes), Ok(trailer));
        assert_eq!(Trailer::decode(&[0; 64]), Err(TrailerError::Absent));
        assert_eq!(Trailer::decode(b"AEGISLOT\x02\0\0\0"), Err(TrailerError::Version(2)));
        for cut in 8..24 {
            assert!(Trailer::decode(&bytes[..cut]).is_err(), "{cut} bytes are too few");
        }
        let mut huge = bytes.clone();
        huge[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Trailer::decode(&huge), Err(TrailerError::Length));
        let big = Trailer { manifest: vec![0; TRAILER_SIZE], signature: vec![] };
        assert_eq!(big.encode(), Err(TrailerError::TooLarge));
    }
}
