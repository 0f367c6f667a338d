//! The signed list of licenses that no longer hold.
//!
//! Each list has a number that only grows: a machine that has seen number 7 takes no list below it, so that nobody can
//! hide a revocation by bringing back an old list.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::document::{self, DocumentError, Form, Sealed};
use crate::{
    crypto::{Crypto, TrustedKey},
    key::KeyId,
    time::UnixTime,
};

/// What is signed. The serials are 8 bytes each, little-endian, in ascending order.
#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    number: u64,
    issued: UnixTime,
    serials: &'a [u8],
}

/// A revocation list whose signature was verified. It borrows the buffer that it was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocations<'b> {
    number: u64,
    issued: UnixTime,
    serials: &'b [[u8; 8]],
    key: KeyId,
}

/// Why bytes are not a revocation list, or not one to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// Not postcard of this shape, or bytes follow it.
    Malformed,
    /// A number is written longer than it needs to be.
    NotCanonical,
    /// The serial numbers are not in ascending order, or one is there twice.
    Order,
    /// A time before 1970 or after 9999.
    TimeRange(UnixTime),
    /// Older than a list that was seen before.
    Rollback {
        /// The number of this list.
        found: u64,
        /// The highest number that was seen.
        seen: u64,
    },
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the revocation list cannot be read"),
            Self::NotCanonical => f.write_str("the revocation list is not in its shortest form"),
            Self::Order => f.write_str("the serial numbers of the revocation list are not in order"),
            Self::TimeRange(time) => {
                write!(f, "the revocation list is dated {}, outside 1970 to 9999", time.0)
            }
            Self::Rollback { found, seen } => {
                write!(f, "revocation list {found} is older than list {seen}, which was seen before")
            }
        }
    }
}

impl core::error::Error for ListError {}

impl ListError {
    /// The next step.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Malformed | Self::NotCanonical => "download the revocation list again",
            Self::Order => "make the list with `aegis license revoke`, which keeps the order",
            Self::TimeRange(_) => "write a time between 1970 and 9999",
            Self::Rollback { .. } => "download the newest revocation list; the one in use stays",
        }
    }
}

impl<'b> Revocations<'b> {
    /// Reads an armoured list into `buffer` and verifies it. `seen` is the highest number of a list that this machine
    /// has taken, 0 for none; the list with just that number is taken again.
    ///
    /// # Errors
    /// When the text is anything but a list that a key of the ring signed while it was valid, or is older.
    pub fn verify<C: Crypto>(
        text: &[u8],
        ring: &[impl TrustedKey<C>],
        seen: u64,
        buffer: &'b mut [u8],
    ) -> Result<Self, DocumentError> {
        let sealed = Sealed::open(Form::Revocations, text, buffer)?;
        let (key, payload) = sealed.verify::<C>(ring)?;
        let list = Self::decode(payload, key.id).map_err(DocumentError::List)?;
        document::check_date(key, list.issued)?;
        if list.number < seen {
            return Err(DocumentError::List(ListError::Rollback { found: list.number, seen }));
        }
        Ok(list)
    }

    fn decode(bytes: &'b [u8], key: KeyId) -> Result<Self, ListError> {
        let (payload, rest): (Payload<'b>, _) =
            postcard::take_from_bytes(bytes).map_err(|_any| ListError::Malformed)?;
        let (serials, odd) = payload.serials.as_chunks::<8>();
        if !rest.is_empty() || !odd.is_empty() {
            return Err(ListError::Malformed);
        }
        // Only the numbers before the serials can be overlong, and their sum tells it.
        let size = postcard::experimental::serialized_size(&payload).map_err(|_any| ListError::Malformed)?;
        if size != bytes.len() {
            return Err(ListError::NotCanonical);
        }
        check(payload.issued, serials)?;
        Ok(Self { number: payload.number, issued: payload.issued, serials, key })
    }

    /// The number of the list.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When it was signed.
    pub const fn issued(&self) -> UnixTime {
        self.issued
    }

    /// The key that signed it.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Whether a license is revoked.
    pub fn contains(&self, serial: u64) -> bool {
        self.serials.binary_search_by_key(&serial, |bytes| u64::from_le_bytes(*bytes)).is_ok()
    }

    /// The serial numbers of all revoked licenses, ascending.
    pub fn serials(&self) -> impl ExactSizeIterator<Item = u64> + use<'b> {
        self.serials.iter().map(|bytes| u64::from_le_bytes(*bytes))
    }
}

fn check(issued: UnixTime, serials: &[[u8; 8]]) -> Result<(), ListError> {
    if !(UnixTime(0)..=UnixTime::MAX).contains(&issued) {
        return Err(ListError::TimeRange(issued));
    }
    if serials.is_sorted_by(|one, two| u64::from_le_bytes(*one) < u64::from_le_bytes(*two)) {
        Ok(())
    } else {
        Err(ListError::Order)
    }
}

/// The payload of a list for [`document::seal`]; the serials are sorted and each is kept once.
///
/// # Errors
/// When the date is out of range.
#[cfg(feature = "alloc")]
pub fn encode(
    number: u64,
    issued: UnixTime,
    serials: impl IntoIterator<Item = u64>,
) -> Result<alloc::vec::Vec<u8>, ListError> {
    let serials: alloc::collections::BTreeSet<u64> = serials.into_iter().collect();
    let bytes: alloc::vec::Vec<[u8; 8]> = serials.into_iter().map(u64::to_le_bytes).collect();
    check(issued, &bytes)?;
    let payload = Payload { number, issued, serials: bytes.as_flattened() };
    postcard::to_allocvec(&payload).map_err(|_any| ListError::Malformed)
}
