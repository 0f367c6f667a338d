//! What a license document says.

use core::fmt;

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};

use super::{key::KeyDigest, machine::Binding};
use crate::{edition::Edition, time::UnixTime};

/// Most overrides of one license.
pub const OVERRIDES: usize = 16;
/// Most bytes of the name of an entitlement.
pub const NAME: usize = 32;
/// Bytes that the claims need at most: everything of variable length at its greatest.
pub const CAPACITY: usize = 900;

/// How long a license holds, and why.
///
/// The order of these and of [`Edition`] is that of license documents (postcard writes the index): never change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Bought for ever.
    Lifetime,
    /// Bought for a time.
    Annual,
    /// To try an edition.
    Trial,
    /// Granted to everyone while a free period lasts.
    FreePeriod,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Lifetime, Self::Annual, Self::Trial, Self::FreePeriod];

    /// The identifier, such as `free-period`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Lifetime => "lifetime",
            Self::Annual => "annual",
            Self::Trial => "trial",
            Self::FreePeriod => "free-period",
        }
    }

    /// Whether it was granted without being bought, and so ends without grace.
    pub const fn is_trial(self) -> bool {
        matches!(self, Self::Trial | Self::FreePeriod)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// What an override sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// A feature is opened or closed.
    Flag(bool),
    /// A limit has another value; -1 is unlimited.
    Limit(i64),
}

/// An entitlement that this license sets differently from its edition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The entitlement: lower-case letters, digits and `_`.
    pub name: String<NAME>,
    /// Its value.
    pub setting: Setting,
}

/// Everything that a license document says, in the order in which postcard writes it.
/// <https://postcard.jamesmunns.com/wire-format>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Names the document; revocation lists name it.
    pub serial: u64,
    /// The license key that it belongs to.
    pub key: KeyDigest,
    /// The edition that it opens.
    pub edition: Edition,
    /// How long it holds, and why.
    pub kind: Kind,
    /// Machines that may use it at a time; at least 1.
    pub seats: u32,
    /// When it was signed.
    pub issued: UnixTime,
    /// First second at which it holds.
    pub not_before: UnixTime,
    /// First second at which it no longer holds; `None` for a lifetime license, and for no other.
    pub expires: Option<UnixTime>,
    /// Days after the end in which everything still works, with a warning.
    pub grace_days: u16,
    /// The machine that it is bound to.
    pub binding: Option<Binding>,
    /// What differs from the edition.
    pub overrides: Vec<Override, OVERRIDES>,
}

/// Why bytes are not the claims of a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimsError {
    /// Not postcard of this shape: too short, an unknown edition or kind, too many overrides.
    Malformed,
    /// Bytes follow the claims.
    TrailingBytes,
    /// The same claims are written shorter: a number has more bytes than it needs.
    NotCanonical,
    /// No seat.
    NoSeats,
    /// A time before 1970 or after 9999.
    TimeRange(UnixTime),
    /// It ends before it begins, or begins before it was signed.
    Inverted,
    /// A lifetime license that expires, or another that does not.
    Expiry(Kind),
    /// A trial with days of grace.
    TrialGrace,
    /// A binding to fewer than four components, or to one twice, or in another order.
    Binding,
    /// Two overrides of one entitlement, or in another order than that of their names.
    OverrideOrder,
    /// An override whose name no entitlement can have.
    OverrideName,
    /// An override below -1.
    OverrideLimit(i64),
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the claims of the license cannot be read"),
            Self::TrailingBytes => f.write_str("bytes follow the claims of the license"),
            Self::NotCanonical => f.write_str("the claims of the license are not in their shortest form"),
            Self::NoSeats => f.write_str("the license is for 0 machines"),
            Self::TimeRange(time) => write!(f, "the license names the time {}, outside 1970 to 9999", time.0),
            Self::Inverted => {
                f.write_str("the license ends before it begins, or begins before it was issued")
            }
            Self::Expiry(Kind::Lifetime) => f.write_str("a lifetime license with an end"),
            Self::Expiry(kind) => write!(f, "a license of the kind {kind} without an end"),
            Self::TrialGrace => f.write_str("a trial with days of grace"),
            Self::Binding => {
                f.write_str("the binding to a machine does not name four to six components in order")
            }
            Self::OverrideOrder => f.write_str("two overrides are for one entitlement or not in order"),
            Self::OverrideName => f.write_str("an override has a name that no entitlement can have"),
            Self::OverrideLimit(value) => write!(f, "an override sets a limit to {value}"),
        }
    }
}

impl core::error::Error for ClaimsError {}

impl ClaimsError {
    /// The next step. Such a document was made by a faulty or newer program, or is not what it seems to be.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Malformed => "update Aegis OS, then try again; the license may be made for a newer version",
            Self::TrailingBytes | Self::NotCanonical => {
                "ask for a new license document; this one was not made by aegis"
            }
            Self::NoSeats => "write at least 1 seat",
            Self::TimeRange(_) => "write times between 1970 and 9999",
            Self::Inverted => "write issued, not before and expires in ascending order",
            Self::Expiry(Kind::Lifetime) => "leave out the end, or choose another kind",
            Self::Expiry(_) => "give the license an end; only a lifetime one has none",
            Self::TrialGrace => "give a trial 0 days of grace",
            Self::Binding => "bind to four to six different components, in their order",
            Self::OverrideOrder => "name every override once, in alphabetical order",
            Self::OverrideName => "use a name from `aegis edition show`: lower-case letters, digits and _",
            Self::OverrideLimit(_) => "write -1 for unlimited",
        }
    }
}

impl Claims {
    /// Writes the claims to the front of a buffer of at least [`CAPACITY`] bytes.
    ///
    /// # Errors
    /// What contradicts itself; what is written always reads back.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ClaimsError> {
        self.check()?;
        let written = postcard::to_slice(self, buffer).map_err(|_too_small| ClaimsError::Malformed)?;
        Ok(written)
    }

    /// Reads claims whose signature was verified before.
    ///
    /// # Errors
    /// When the bytes are anything but the canonical form of claims that make sense.
    pub fn decode(bytes: &[u8]) -> Result<Self, ClaimsError> {
        let (claims, rest): (Self, _) =
            postcard::take_from_bytes(bytes).map_err(|_any| ClaimsError::Malformed)?;
        if !rest.is_empty() {
            return Err(ClaimsError::TrailingBytes);
        }
        let mut again = [0; CAPACITY];
        let canonical = postcard::to_slice(&claims, &mut again).map_err(|_any| ClaimsError::Malformed)?;
        if canonical != bytes {
            return Err(ClaimsError::NotCanonical);
        }
        claims.check()?;
        Ok(claims)
    }

    fn check(&self) -> Result<(), ClaimsError> {
        if self.seats == 0 {
            return Err(ClaimsError::NoSeats);
        }
        let end = self.expires.unwrap_or(UnixTime::MAX);
        for time in [self.issued, self.not_before, end] {
            if !(UnixTime(0)..=UnixTime::MAX).contains(&time) {
                return Err(ClaimsError::TimeRange(time));
            }
        }
        if self.issued > self.not_before || self.not_before >= end {
            return Err(ClaimsError::Inverted);
        }
        if self.expires.is_none() != matches!(self.kind, Kind::Lifetime) {
            return Err(ClaimsError::Expiry(self.kind));
        }
        if self.kind.is_trial() && self.grace_days != 0 {
            return Err(ClaimsError::TrialGrace);
        }
        if self.binding.as_ref().is_some_and(|binding| !binding.is_sound()) {
            return Err(ClaimsError::Binding);
        }
        self.check_overrides()
    }

    fn check_overrides(&self) -> Result<(), ClaimsError> {
        for set in &self.overrides {
            let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            if set.name.is_empty() || !set.name.bytes().all(plain) {
                return Err(ClaimsError::OverrideName);
            }
            if let Setting::Limit(value @ ..-1) = set.setting {
                return Err(ClaimsError::OverrideLimit(value));
            }
        }
        if self.overrides.is_sorted_by(|one, two| one.name < two.name) {
            Ok(())
        } else {
            Err(ClaimsError::OverrideOrder)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{string::ToString, vec, vec::Vec as List};

    use super::*;
    use crate::{hex::Hex, license::machine::Component, time::DAY};

    pub(crate) fn sample(kind: Kind) -> Claims {
        let start = UnixTime(1_700_000_000);
        Claims {
            serial: 7,
            key: Hex([3; 16]),
            edition: Edition::Gamer,
            kind,
            seats: 2,
            issued: start,
            not_before: start,
            expires: (kind != Kind::Lifetime).then_some(start.plus_days(365)),
            grace_days: if kind.is_trial() { 0 } else { 30 },
            binding: None,
            overrides: Vec::new(),
        }
    }

    /// Everything of variable length at its greatest.
    fn greatest() -> Claims {
        let components = Component::ALL.into_iter().map(|component| (component, Hex([255; 8]))).collect();
        let overrides = (0..OVERRIDES).map(|n| Override {
            name: String::try_from(
                std::format!("{:a>width$}", char::from(b'a' + u8::try_from(n).unwrap()), width = NAME)
                    .as_str(),
            )
            .unwrap(),
            setting: Setting::Limit(i64::MAX),
        });
        Claims {
            serial: u64::MAX,
            seats: u32::MAX,
            issued: UnixTime(UnixTime::MAX.0 - 2),
            not_before: UnixTime(UnixTime::MAX.0 - 1),
            expires: Some(UnixTime::MAX),
            grace_days: u16::MAX,
            binding: Some(Binding { salt: Hex([255; 8]), components }),
            overrides: overrides.collect(),
            ..sample(Kind::Annual)
        }
    }

    fn bytes(claims: &Claims) -> List<u8> {
        let mut buffer = [0; CAPACITY];
        claims.encode(&mut buffer).unwrap().to_vec()
    }

    /// The bytes without the check, as a faulty program would write them.
    fn unchecked(claims: &Claims) -> List<u8> {
        let mut buffer = [0; CAPACITY];
        postcard::to_slice(claims, &mut buffer).unwrap().to_vec()
    }

    #[test]
    fn claims_read_back_and_the_greatest_fit() {
        for kind in Kind::ALL {
            assert_eq!(Claims::decode(&bytes(&sample(kind))), Ok(sample(kind)));
        }
        let greatest = greatest();
        let encoded = bytes(&greatest);
        assert_eq!(Claims::decode(&encoded), Ok(greatest));
        assert!(encoded.len() <= CAPACITY && encoded.len() > CAPACITY - 100, "{}", encoded.len());
    }

    #[test]
    fn what_makes_no_sense_has_its_error() {
        type Change = fn(&mut Claims);
        let cases: [(Change, ClaimsError); 17] = [
            (|c| c.seats = 0, ClaimsError::NoSeats),
            (|c| c.issued = UnixTime(-1), ClaimsError::TimeRange(UnixTime(-1))),
            (|c| c.not_before = UnixTime(i64::MIN), ClaimsError::TimeRange(UnixTime(i64::MIN))),
            (|c| c.expires = Some(UnixTime(-1)), ClaimsError::TimeRange(UnixTime(-1))),
            (
                |c| c.expires = Some(UnixTime(UnixTime::MAX.0 + 1)),
                ClaimsError::TimeRange(UnixTime(UnixTime::MAX.0 + 1)),
            ),
            (|c| c.expires = Some(c.not_before), ClaimsError::Inverted),
            (|c| c.expires = Some(UnixTime(c.not_before.0 - DAY)), ClaimsError::Inverted),
            (|c| c.issued = UnixTime(c.not_before.0 + 1), ClaimsError::Inverted),
            (|c| c.expires = None, ClaimsError::Expiry(Kind::Annual)),
            (|c| c.kind = Kind::Lifetime, ClaimsError::Expiry(Kind::Lifetime)),
            (|c| c.kind = Kind::Trial, ClaimsError::TrialGrace),
            (|c| c.kind = Kind::FreePeriod, ClaimsError::TrialGrace),
            (
                |c| c.binding = Some(Binding { salt: Hex([0; 8]), components: Vec::new() }),
                ClaimsError::Binding,
            ),
            (|c| set(c, &[("", Setting::Flag(true))]), ClaimsError::OverrideName),
            (|c| set(c, &[("Wine", Setting::Flag(true))]), ClaimsError::OverrideName),
            (|c| set(c, &[("seats", Setting::Limit(-2))]), ClaimsError::OverrideLimit(-2)),
            (|c| set(c, &[("b", Setting::Limit(-1)), ("a", Setting::Limit(0))]), ClaimsError::OverrideOrder),
        ];
        for (change, error) in cases {
            let mut claims = sample(Kind::Annual);
            change(&mut claims);
            assert_eq!(claims.encode(&mut [0; CAPACITY]), Err(error));
            assert_eq!(Claims::decode(&unchecked(&claims)), Err(error));
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
        }
        let mut twice = sample(Kind::Annual);
        set(&mut twice, &[("a", Setting::Limit(0)), ("a", Setting::Limit(1))]);
        assert_eq!(Claims::decode(&unchecked(&twice)), Err(ClaimsError::OverrideOrder));
    }

    pub(crate) fn set(claims: &mut Claims, overrides: &[(&str, Setting)]) {
        claims.overrides = overrides
            .iter()
            .map(|(name, setting)| Override { name: String::try_from(*name).unwrap(), setting: *setting })
            .collect();
    }

    #[test]
    fn every_cut_and_every_extension_is_refused() {
        let good = bytes(&greatest());
        for cut in 0..good.len() {
            assert_eq!(Claims::decode(&good[..cut]), Err(ClaimsError::Malformed), "{cut}");
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(Claims::decode(&longer), Err(ClaimsError::TrailingBytes));
    }

    #[test]
    fn overlong_numbers_are_refused() {
        let good = bytes(&sample(Kind::Annual));
        assert_eq!(good[0], 7, "the serial is one byte");
        let overlong = [&[0x87, 0x00], &good[1..]].concat();
        assert_eq!(Claims::decode(&overlong), Err(ClaimsError::NotCanonical));
        let endless = vec![0x80; 200];
        assert_eq!(Claims::decode(&endless), Err(ClaimsError::Malformed));
        // More overrides than there may be, and more than memory.
        let mut many = good;
        *many.last_mut().unwrap() = 0x11;
        assert_eq!(Claims::decode(&many), Err(ClaimsError::Malformed));
    }

    #[test]
    fn unknown_editions_and_kinds_are_refused() {
        let good = bytes(&sample(Kind::Annual));
        for (at, known) in [(17, Edition::ALL.len()), (18, Kind::ALL.len())] {
            let mut changed = good.clone();
            changed[at] = u8::try_from(known).unwrap();
            assert_eq!(Claims::decode(&changed), Err(ClaimsError::Malformed));
        }
    }
}
