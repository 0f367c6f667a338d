//! Versions of releases and their order.

use core::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

/// `MAJOR.MINOR.PATCH`, with `-alpha.N`, `-beta.N` or `-rc.N` before the release itself: the part of Semantic
/// Versioning 2.0.0 that Aegis OS uses, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Changes that need something of the user.
    pub major: u32,
    /// New features.
    pub minor: u32,
    /// Corrections.
    pub patch: u32,
    /// What it precedes; `None` for the release itself.
    pub pre: Option<(Stage, u32)>,
}

impl Version {
    /// The version of this program, from `CARGO_PKG_VERSION`.
    pub const CURRENT: Self = Self {
        major: digits(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: digits(env!("CARGO_PKG_VERSION_MINOR")),
        patch: digits(env!("CARGO_PKG_VERSION_PATCH")),
        pre: None,
    };
}

/// A number that cargo has checked.
const fn digits(text: &str) -> u32 {
    let (mut value, mut rest) = (0, text.as_bytes());
    while let [digit, tail @ ..] = rest {
        value = value * 10 + (*digit - b'0') as u32;
        rest = tail;
    }
    value
}

/// How far a version is from its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// For its makers.
    Alpha,
    /// For those who test.
    Beta,
    /// Becomes the release unless a fault is found.
    Rc,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Alpha, Self::Beta, Self::Rc];

    const fn id(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Rc => "rc",
        }
    }
}

/// The text is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidVersion;

impl fmt::Display for InvalidVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not a version such as 1.4.0 or 1.4.0-rc.2")
    }
}

impl core::error::Error for InvalidVersion {}

/// A number as Semantic Versioning writes it: digits without a leading zero.
fn number(text: &str) -> Result<u32, InvalidVersion> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if !plain {
        return Err(InvalidVersion);
    }
    text.parse().map_err(|_empty_or_too_large| InvalidVersion)
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
        let mut fields = numbers.split('.');
        let mut next = || fields.next().ok_or(InvalidVersion).and_then(number);
        let (major, minor, patch) = (next()?, next()?, next()?);
        if fields.next().is_some() {
            return Err(InvalidVersion);
        }
        let stage = |pre: &str| {
            let (name, count) = pre.split_once('.').ok_or(InvalidVersion)?;
            let stage = Stage::ALL.into_iter().find(|stage| stage.id() == name).ok_or(InvalidVersion)?;
            Ok((stage, number(count)?))
        };
        Ok(Self { major, minor, patch, pre: pre.map(stage).transpose()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        self.pre.map_or(Ok(()), |(stage, count)| write!(f, "-{}.{count}", stage.id()))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| match (self.pre, other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(two)) => one.cmp(&two),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version such as 1.4.0")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Version, E> {
                text.parse().map_err(|_invalid| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn the_order_is_that_of_semantic_versioning() {
        let ascending = [
            "0.0.0",
            "0.1.0",
            "0.1.1",
            "0.2.0-alpha.1",
            "0.2.0-alpha.2",
            "0.2.0-alpha.10",
            "0.2.0-beta.1",
            "0.2.0-rc.1",
            "0.2.0",
            "0.10.0",
            "1.0.0-rc.1",
            "1.0.0",
            "4294967295.0.0",
        ];
        for (i, one) in ascending.iter().enumerate() {
            let parsed: Version = one.parse().unwrap();
            assert_eq!(parsed.to_string(), *one);
            for (j, two) in ascending.iter().enumerate() {
                assert_eq!(parsed.cmp(&two.parse().unwrap()), i.cmp(&j), "{one} and {two}");
            }
        }
    }

    #[test]
    fn the_current_version_is_that_of_the_package() {
        assert_eq!(Version::CURRENT.to_string(), env!("CARGO_PKG_VERSION"));
        assert_eq!((digits("0"), digits("1203"), digits("4294967295")), (0, 1203, u32::MAX));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "01.0.0",
            "1.00.0",
            "1.0.-1",
            "1.0.+1",
            "v1.0.0",
            "1.0.0-",
            "1.0.0-rc",
            "1.0.0-rc.",
            "1.0.0-rc.01",
            "1.0.0-gamma.1",
            "1.0.0-rc.1.2",
            "4294967296.0.0",
            "1.0.0 ",
            "1.0.0+1",
            "1..0",
        ] {
            assert_eq!(text.parse::<Version>(), Err(InvalidVersion), "{text:?}");
        }
    }
}
