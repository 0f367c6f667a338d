//! Lower-case hexadecimal text for digests, identifiers and keys.

#[cfg(feature = "alloc")]
use alloc::{string::String, vec, vec::Vec};
use core::fmt;

use serde::de;

/// Bytes as lower-case hexadecimal digits, two for each byte.
#[cfg(feature = "alloc")]
pub fn encode(bytes: &[u8]) -> String {
    alloc::format!("{}", Digits(bytes))
}

/// Bytes of hexadecimal text of either case; `None` for an odd length or another character.
#[cfg(feature = "alloc")]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    decode_into(text, &mut bytes).map(|_filled| bytes)
}

/// Decodes to the front of a buffer and returns how many bytes that are; `None` for an odd length, another
/// character, or a buffer that is too small.
pub fn decode_into(text: &str, buffer: &mut [u8]) -> Option<usize> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let out = buffer.get_mut(..pairs.len()).filter(|_room| rest.is_empty())?;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(pairs.len())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Prints bytes as hexadecimal digits.
pub(crate) struct Digits<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A byte array of fixed length that reads and prints as hexadecimal in text and in JSON, and is plain bytes in
/// binary formats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hex<const N: usize>(pub [u8; N]);

/// A SHA-256 digest.
pub type Digest = Hex<32>;

impl<const N: usize> Hex<N> {
    /// Reads exactly `2 * N` hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        (decode_into(text, &mut bytes)? == N).then_some(Self(bytes))
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digits(&self.0).fmt(f)
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> serde::Serialize for Hex<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let mut tuple = serializer.serialize_tuple(N)?;
        for byte in &self.0 {
            serde::ser::SerializeTuple::serialize_element(&mut tuple, byte)?;
        }
        serde::ser::SerializeTuple::end(tuple)
    }
}

impl<'de, const N: usize> serde::Deserialize<'de> for Hex<N> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(HexVisitor)
        } else {
            deserializer.deserialize_tuple(N, HexVisitor)
        }
    }
}

struct HexVisitor<const N: usize>;

impl<'de, const N: usize> de::Visitor<'de> for HexVisitor<N> {
    type Value = Hex<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hexadecimal digits", 2 * N)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hex<N>, E> {
        Hex::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Hex<N>, A::Error> {
        let mut bytes = [0; N];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(index, &self))?;
        }
        Ok(Hex(bytes))
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        assert_eq!(encode(&[0, 0xab, 0x7f]), "00ab7f");
        assert_eq!(decode("00AB7f").as_deref(), Some(&[0, 0xab, 0x7f][..]));
        assert_eq!(decode("0"), None);
        assert_eq!(decode("0g"), None);
        assert_eq!(Hex::<2>::parse("abcd"), Some(Hex([0xab, 0xcd])));
        assert_eq!(Hex::<2>::parse("abcdef"), None);
        assert_eq!(Hex::<2>::parse("ab"), None);
    }

    #[test]
    fn text_in_json_and_bytes_in_postcard() {
        let value = Hex([1, 2, 0xff]);
        assert_eq!(serde_json::to_string(&value).unwrap(), "\"0102ff\"");
        assert_eq!(serde_json::from_str::<Hex<3>>("\"0102ff\"").unwrap(), value);
        assert!(serde_json::from_str::<Hex<3>>("\"0102\"").is_err());
        let mut buffer = [0; 8];
        assert_eq!(postcard::to_slice(&value, &mut buffer).unwrap(), [1, 2, 0xff]);
        assert_eq!(postcard::from_bytes::<Hex<3>>(&[1, 2, 0xff]).unwrap(), value);
    }
}
