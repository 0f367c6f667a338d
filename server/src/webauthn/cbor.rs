//! CBOR as authenticators write it: the CTAP2 canonical form (CTAP 2.1, section 8) of RFC 8949, read in place.
//!
//! Invariants: nothing is allocated, a length is compared with what is there before it is used, and nesting has an end.

use std::fmt;

/// Levels of nesting that CTAP2 allows.
const DEEPEST: usize = 4;

/// Bytes that are not what they should be. Where is not told: they are foreign, and nobody can repair them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes of an authenticator are malformed")
    }
}

impl std::error::Error for Malformed {}

/// What the first three bits of an item say (RFC 8949, section 3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Major {
    Unsigned,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Simple,
}

impl Major {
    const fn of(head: u8) -> Self {
        match head >> 5 {
            0 => Self::Unsigned,
            1 => Self::Negative,
            2 => Self::Bytes,
            3 => Self::Text,
            4 => Self::Array,
            5 => Self::Map,
            6 => Self::Tag,
            _ => Self::Simple,
        }
    }
}

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next bytes, as they are.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes, as they are.
    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Nothing may be left.
    pub(super) const fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// A number of either sign.
    pub(super) fn int(&mut self) -> Result<i64, Malformed> {
        let (major, argument) = self.head()?;
        let value = i64::try_from(argument).map_err(|_too_large| Malformed)?;
        match major {
            Major::Unsigned => Ok(value),
            Major::Negative => Ok(-1 - value),
            _ => Err(Malformed),
        }
    }

    /// A string of bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length(Major::Bytes)?;
        self.take(length)
    }

    /// A text.
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length(Major::Text)?;
        std::str::from_utf8(self.take(length)?).map_err(|_broken| Malformed)
    }

    /// The head of a map: how many pairs follow.
    pub(super) fn map(&mut self) -> Result<usize, Malformed> {
        self.length(Major::Map)
    }

    /// Any item as it was written.
    pub(super) fn item(&mut self) -> Result<&'a [u8], Malformed> {
        let before = self.0;
        self.skip(DEEPEST)?;
        Ok(&before[..before.len() - self.0.len()])
    }

    fn length(&mut self, expected: Major) -> Result<usize, Malformed> {
        let (major, argument) = self.head()?;
        if major != expected {
            return Err(Malformed);
        }
        usize::try_from(argument).map_err(|_too_large| Malformed)
    }

    fn skip(&mut self, levels: usize) -> Result<(), Malformed> {
        let (major, argument) = self.head()?;
        let inner = match major {
            Major::Unsigned | Major::Negative | Major::Simple => 0,
            Major::Bytes | Major::Text => {
                self.take(usize::try_from(argument).map_err(|_too_large| Malformed)?)?;
                0
            }
            Major::Array => argument,
            Major::Map => argument.checked_mul(2).ok_or(Malformed)?,
            // The canonical form has none.
            Major::Tag => return Err(Malformed),
        };
        // Each takes a byte at least, so that a lie about their number ends with the bytes.
        for _ in 0..inner {
            self.skip(levels.checked_sub(1).ok_or(Malformed)?)?;
        }
        Ok(())
    }

    /// Kind and argument of the next item; the argument in its shortest form, never of indefinite length.
    fn head(&mut self) -> Result<(Major, u64), Malformed> {
        let [head] = *self.array()?;
        let major = Major::of(head);
        let (argument, least) = match head & 31 {
            small @ 0..24 => (u64::from(small), 0),
            24 => (u64::from(self.array::<1>()?[0]), 24),
            25 => (u64::from(u16::from_be_bytes(*self.array()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(*self.array()?)), 1 << 16),
            27 => (u64::from_be_bytes(*self.array()?), 1 << 32),
            _ => return Err(Malformed),
        };
        // Of major type 7 those of two to eight bytes are floating-point numbers, which have no shorter form here.
        if argument < least && major != Major::Simple {
            return Err(Malformed);
        }
        Ok((major, argument))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 8949, appendix A.
    #[test]
    fn known_answers() {
        let int = |bytes: &[u8]| Reader::new(bytes).int();
        for (bytes, expected) in [
            (&[0x00][..], 0),
            (&[0x17], 23),
            (&[0x18, 0x18], 24),
            (&[0x19, 0x03, 0xe8], 1000),
            (&[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0], 1_000_000_000_000),
            (&[0x20], -1),
            (&[0x39, 0x03, 0xe7], -1000),
        ] {
            assert_eq!(int(bytes), Ok(expected));
        }
        assert_eq!(int(&[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Err(Malformed));
        assert_eq!(Reader::new(&[0x44, 1, 2, 3, 4]).bytes(), Ok(&[1, 2, 3, 4][..]));
        assert_eq!(Reader::new(&[0x62, 0xc3, 0xbc]).text(), Ok("ü"));
        assert_eq!(Reader::new(&[0x62, 0xc3]).text(), Err(Malformed), "cut");
        assert_eq!(Reader::new(&[0x61, 0xff]).text(), Err(Malformed), "not UTF-8");
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for bytes in [
            &[0x18, 0x17][..],                     // 23 in two bytes
            &[0x19, 0x00, 0xff],                   // 255 in three
            &[0x1a, 0, 0, 0xff, 0xff],             // 65535 in five
            &[0x5f, 0x41, 1, 0xff],                // indefinite bytes
            &[0xbf, 0xff],                         // indefinite map
            &[0x9f, 0xff],                         // indefinite array
            &[0xc0, 0x00],                         // a tag
            &[0x1c],                               // reserved
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0x00], // five levels
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00],
            &[],
        ] {
            assert_eq!(Reader::new(bytes).item(), Err(Malformed), "{bytes:02x?}");
        }
        let four = [0x81, 0x81, 0x81, 0x81, 0x00];
        assert_eq!(Reader::new(&four).item(), Ok(&four[..]));
        assert_eq!(
            Reader::new(&[0xf9, 0x00, 0x00, 0x01]).item(),
            Ok(&[0xf9, 0x00, 0x00][..]),
            "a half float"
        );
    }

    proptest! {
        #[test]
        fn an_item_is_where_it_was_and_the_rest_is_what_follows(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            if let Ok(item) = reader.item() {
                prop_assert!(bytes.starts_with(item) && !item.is_empty());
                prop_assert_eq!(reader.0, &bytes[item.len()..]);
                prop_assert_eq!(Reader::new(item).item(), Ok(item));
            }
        }
    }
}
