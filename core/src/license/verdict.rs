//! What a license means here and now.
//!
//! Only [`Verdict::Valid`], [`Verdict::Grace`] and [`Verdict::Trial`] hold a [`Grant`], and nothing else makes one, so
//! that an expired, revoked or foreign license cannot open anything by mistake. A server that does not answer never makes
//! a license invalid.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{
    claims::Claims,
    document::{DocumentError, License},
    machine::Machine,
    revocation::Revocations,
};
use crate::{
    crypto::Crypto,
    edition::Edition,
    time::{DAY, Days, UnixTime},
};

/// Seconds by which a clock may be behind the highest time seen, or behind the first second of a license, without a
/// word: time zones, drift, daylight saving, a signer whose clock is ahead. At its end a license gets no such time.
const CLOCK_TOLERANCE: i64 = DAY;

/// The right to an edition's entitlements; exists only inside a favourable verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    claims: Claims,
}

impl Grant {
    /// The claims of the license that grants.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// What a license means on this machine at this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Valid(Grant),
    /// It has ended, and still holds for so many days.
    Grace(Grant, Days),
    /// It is a trial and holds for so many days.
    Trial(Grant, Days),
    /// It ended at this time, grace included.
    Expired(UnixTime),
    /// It begins at this time.
    NotYetValid(UnixTime),
    /// It was withdrawn.
    Revoked,
    /// It is for this edition, which does not include the one that runs.
    WrongEdition(Edition),
    /// Too few parts of the machine are those that it is bound to.
    WrongMachine {
        /// Parts that were found.
        matched: usize,
        /// Parts that must be found.
        needed: usize,
    },
    /// It cannot be told.
    Unknown(Reason),
}

/// Why nothing can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no license.
    NoLicense,
    /// The document is not acceptable.
    Document(DocumentError),
    /// There is no document, and the server does not answer.
    Unreachable,
    /// The clock was set back, and the license holds at one of the two times only.
    ClockSetBack {
        /// What the clock says.
        now: UnixTime,
        /// The highest time that was seen.
        seen: UnixTime,
    },
}

/// The name of a verdict, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "as in Verdict")]
pub enum Code {
    Valid,
    Grace,
    Trial,
    Expired,
    NotYetValid,
    Revoked,
    WrongEdition,
    WrongMachine,
    Unknown,
}

impl Code {
    /// The identifier, such as `not-yet-valid`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Grace => "grace",
            Self::Trial => "trial",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::WrongEdition => "wrong-edition",
            Self::WrongMachine => "wrong-machine",
            Self::Unknown => "unknown",
        }
    }
}

/// Where and when a license is judged.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The edition that runs.
    pub edition: Edition,
    /// Other editions whose licenses hold for it too.
    pub also: &'a [Edition],
    /// What the clock says.
    pub now: UnixTime,
    /// The highest time that this machine has seen; `None` when none was kept.
    pub seen: Option<UnixTime>,
    /// The machine.
    pub machine: Machine<'a>,
    /// The newest revocation list.
    pub revocations: Option<&'a Revocations<'a>>,
}

/// What the server said about a license, if it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: no network, no server, or an error of the server.
    Unreachable,
    /// The license stands.
    Confirmed,
    /// The license was withdrawn.
    Revoked,
}

/// Judges a license. Where several things are wrong, the one that a person can do least about comes first: revoked,
/// edition, machine, time.
pub fn judge<C: Crypto>(license: &License, here: &Circumstances<'_>) -> Verdict {
    let claims = license.claims();
    if here.revocations.is_some_and(|list| list.contains(claims.serial)) {
        return Verdict::Revoked;
    }
    if claims.edition != here.edition && !here.also.contains(&claims.edition) {
        return Verdict::WrongEdition(claims.edition);
    }
    if let Some(binding) = &claims.binding {
        let (matched, needed) = (binding.matched::<C>(&here.machine), binding.needed());
        if matched < needed {
            return Verdict::WrongMachine { matched, needed };
        }
    }
    by_time(claims, here.now, here.seen)
}

/// What claims mean at a time, wherever they are used: to show, for it grants nothing.
pub fn period(claims: &Claims, now: UnixTime) -> Code {
    at_time(claims, now).code()
}

/// With a clock that was set back, the license must say the same at both times.
fn by_time(claims: &Claims, now: UnixTime, seen: Option<UnixTime>) -> Verdict {
    let latest = seen.map_or(now, |seen| seen.max(now));
    let verdict = at_time(claims, latest);
    if latest.0.saturating_sub(now.0) > CLOCK_TOLERANCE && at_time(claims, now).code() != verdict.code() {
        return Verdict::Unknown(Reason::ClockSetBack { now, seen: latest });
    }
    verdict
}

fn at_time(claims: &Claims, now: UnixTime) -> Verdict {
    let grant = || Grant { claims: claims.clone() };
    if now.0.saturating_add(CLOCK_TOLERANCE) < claims.not_before.0 {
        return Verdict::NotYetValid(claims.not_before);
    }
    let Some(expires) = claims.expires else {
        return Verdict::Valid(grant());
    };
    let end = expires.plus_days(claims.grace_days.into());
    if now >= end {
        Verdict::Expired(end)
    } else if now >= expires {
        Verdict::Grace(grant(), end.days_since(now))
    } else if claims.kind.is_trial() {
        Verdict::Trial(grant(), expires.days_since(now))
    } else {
        Verdict::Valid(grant())
    }
}

impl Verdict {
    /// The right to entitlements, if there is one.
    pub const fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Valid(grant) | Self::Grace(grant, _) | Self::Trial(grant, _) => Some(grant),
            _ => None,
        }
    }

    /// The name.
    pub const fn code(&self) -> Code {
        match self {
            Self::Valid(_) => Code::Valid,
            Self::Grace(..) => Code::Grace,
            Self::Trial(..) => Code::Trial,
            Self::Expired(_) => Code::Expired,
            Self::NotYetValid(_) => Code::NotYetValid,
            Self::Revoked => Code::Revoked,
            Self::WrongEdition(_) => Code::WrongEdition,
            Self::WrongMachine { .. } => Code::WrongMachine,
            Self::Unknown(_) => Code::Unknown,
        }
    }

    /// What the verdict becomes when the server has been asked. Only its word that a license was withdrawn changes one;
    /// its silence changes none.
    #[must_use]
    pub fn after(self, answer: Answer) -> Self {
        match answer {
            Answer::Revoked => Self::Revoked,
            Answer::Unreachable if self == Self::Unknown(Reason::NoLicense) => {
                Self::Unknown(Reason::Unreachable)
            }
            Answer::Unreachable | Answer::Confirmed => self,
        }
    }

    /// What a person can do; `None` when there is nothing to do.
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Valid(_) => return None,
            Self::Grace(..) => "renew the license before the days of grace are over",
            Self::Trial(..) => "buy a license to keep the features when the trial ends",
            Self::Expired(_) => "renew the license; until then the features of the free edition stay",
            Self::NotYetValid(_) => "check the date of this machine, or wait",
            Self::Revoked => "write to support with the number of the license",
            Self::WrongEdition(_) => "install that edition, or change the license to this one",
            Self::WrongMachine { .. } => "release the license on its old machine, then install it here again",
            Self::Unknown(Reason::NoLicense) => "aegis-license install FILE; the free edition needs none",
            Self::Unknown(Reason::Document(error)) => error.hint(),
            Self::Unknown(Reason::Unreachable) => "connect to the network, or install a license file",
            Self::Unknown(Reason::ClockSetBack { .. }) => {
                "set the clock right; if it was ahead before, install a newly issued license"
            }
        })
    }
}

/// One line for people.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid(grant) => match grant.claims.expires {
                None => f.write_str("valid for ever"),
                Some(expires) => write!(f, "valid until {expires}"),
            },
            Self::Grace(_, days) => write!(f, "ended, and still works for {days}"),
            Self::Trial(_, days) => write!(f, "trial, {days} left"),
            Self::Expired(end) => write!(f, "ended at {end}"),
            Self::NotYetValid(start) => write!(f, "begins at {start}"),
            Self::Revoked => f.write_str("withdrawn"),
            Self::WrongEdition(edition) => write!(f, "for the edition {edition}, not for this one"),
            Self::WrongMachine { matched, needed } => {
                write!(f, "bound to another machine: {matched} of its parts are here, {needed} are needed")
            }
            Self::Unknown(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLicense => f.write_str("there is no license"),
            Self::Document(error) => {
                error.fmt(f)?;
                core::error::Error::source(error).map_or(Ok(()), |source| write!(f, ": {source}"))
            }
            Self::Unreachable => f.write_str("there is no license, and the server does not answer"),
            Self::ClockSetBack { now, seen } => {
                write!(f, "the clock was set back: it says {now}, and was at {seen} before")
            }
        }
    }
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use std::{string::ToString, vec::Vec};

    use super::*;
    use crate::{
        crypto::Ring,
        license::{
            claims::{Kind, tests::sample},
            machine::Component,
        },
    };

    const START: UnixTime = UnixTime(1_700_000_000);

    fn here(now: UnixTime) -> Circumstances<'static> {
        Circumstances {
            edition: Edition::Gamer,
            also: &[],
            now,
            seen: None,
            machine: Machine::default(),
            revocations: None,
        }
    }

    fn judged(claims: &Claims, here: &Circumstances<'_>) -> Verdict {
        judge::<Ring>(&License::unsigned(claims.clone()), here)
    }

    /// Every edge of every kind: the verdict at the second, and the days that it names.
    #[test]
    fn every_edge_of_time() {
        let annual = sample(Kind::Annual);
        let end = annual.expires.unwrap();
        let over = end.plus_days(30);
        let trial = sample(Kind::Trial);
        let at = |base: UnixTime, seconds: i64| UnixTime(base.0 + seconds);
        let none = 0;
        let table: [(&Claims, UnixTime, Code, u32); 26] = [
            (&annual, UnixTime(i64::MIN), Code::NotYetValid, none),
            (&annual, UnixTime(0), Code::NotYetValid, none),
            (&annual, at(START, -DAY - 1), Code::NotYetValid, none),
            (&annual, at(START, -DAY), Code::Valid, none),
            (&annual, at(START, -1), Code::Valid, none),
            (&annual, START, Code::Valid, none),
            (&annual, at(end, -1), Code::Valid, none),
            (&annual, end, Code::Grace, 30),
            (&annual, at(end, 1), Code::Grace, 30),
            (&annual, at(end, DAY - 1), Code::Grace, 30),
            (&annual, at(end, DAY), Code::Grace, 29),
            (&annual, at(over, -DAY - 1), Code::Grace, 2),
            (&annual, at(over, -DAY), Code::Grace, 1),
            (&annual, at(over, -1), Code::Grace, 1),
            (&annual, over, Code::Expired, none),
            (&annual, at(over, 1), Code::Expired, none),
            (&annual, UnixTime::MAX, Code::Expired, none),
            (&annual, UnixTime(i64::MAX), Code::Expired, none),
            (&trial, at(START, -DAY - 1), Code::NotYetValid, none),
            (&trial, START, Code::Trial, 365),
            (&trial, at(START, 1), Code::Trial, 365),
            (&trial, at(START, DAY), Code::Trial, 364),
            (&trial, at(end, -DAY), Code::Trial, 1),
            (&trial, at(end, -1), Code::Trial, 1),
            (&trial, end, Code::Expired, none),
            (&trial, at(end, 1), Code::Expired, none),
        ];
        for (claims, now, code, days) in table {
            let verdict = judged(claims, &here(now));
            assert_eq!((verdict.code(), period(claims, now)), (code, code), "{now}");
            match &verdict {
                Verdict::Grace(_, left) | Verdict::Trial(_, left) => assert_eq!(left.0, days, "{now}"),
                Verdict::Expired(at) => assert_eq!(*at, if claims.kind.is_trial() { end } else { over }),
                Verdict::NotYetValid(at) => assert_eq!(*at, START),
                _ => {}
            }
            assert_eq!(verdict.grant().is_some(), matches!(code, Code::Valid | Code::Grace | Code::Trial));
        }
    }

    #[test]
    fn leap_seconds_2038_and_9999() {
        let with = |from: i64, to: i64| Claims {
            issued: UnixTime(from),
            not_before: UnixTime(from),
            expires: Some(UnixTime(to)),
            grace_days: 0,
            ..sample(Kind::Annual)
        };
        // 2016-12-31T23:59:60Z has the number of the second after it: a license for 2017 begins with it.
        let leap = with(1_483_228_800, 1_514_764_800);
        let year_2038 = with(2_147_483_647, 2_147_483_649);
        let year_9999 = with(253_402_300_798, UnixTime::MAX.0);
        for (claims, valid) in
            [(leap, 1_483_228_800), (year_2038, 2_147_483_648), (year_9999, 253_402_300_798)]
        {
            let code = |now| judged(&claims, &here(UnixTime(now))).code();
            assert_eq!(code(valid), Code::Valid);
            assert_eq!(code(claims.not_before.0 - DAY - 1), Code::NotYetValid);
            assert_eq!(code(claims.expires.unwrap().0), Code::Expired);
        }
        let for_ever = sample(Kind::Lifetime);
        assert_eq!(judged(&for_ever, &here(UnixTime(i64::MAX))).code(), Code::Valid);
        let long_grace = Claims { grace_days: u16::MAX, ..with(0, UnixTime::MAX.0) };
        assert_eq!(judged(&long_grace, &here(UnixTime(i64::MAX))).code(), Code::Expired);
    }

    #[test]
    fn a_clock_that_was_set_back_is_noticed_only_when_it_matters() {
        let annual = sample(Kind::Annual);
        let over = annual.expires.unwrap().plus_days(30);
        let at =
            |now: UnixTime, seen: UnixTime| judged(&annual, &Circumstances { seen: Some(seen), ..here(now) });
        // The license held then and holds now: an empty clock battery harms nobody.
        assert_eq!(at(START, START.plus_days(300)).code(), Code::Valid);
        // Set back from after the end to before it.
        assert_eq!(at(START, over), Verdict::Unknown(Reason::ClockSetBack { now: START, seen: over }),);
        // Less than a day is drift, and the later time counts.
        assert_eq!(at(UnixTime(over.0 - DAY), over).code(), Code::Expired);
        assert_eq!(at(UnixTime(over.0 - DAY - 1), over).code(), Code::Unknown);
        // Expired at both, before its time at both.
        assert_eq!(at(over, over.plus_days(400)).code(), Code::Expired);
        assert_eq!(at(UnixTime(0), UnixTime(5 * DAY)).code(), Code::NotYetValid);
        // 1970 after the battery died, in a valid year: both cannot be right.
        assert_eq!(at(UnixTime(0), START.plus_days(1)).code(), Code::Unknown);
        // A clock that goes forward needs no memory.
        assert_eq!(at(over, START).code(), Code::Expired);
        assert_eq!(at(START, UnixTime(i64::MAX)).code(), Code::Unknown);
        assert_eq!(at(UnixTime(i64::MIN), UnixTime(i64::MAX)).code(), Code::Unknown);
    }

    #[test]
    fn edition_and_machine_must_be_right() {
        let parts: Vec<(Component, &str)> =
            Component::ALL.into_iter().zip(["a1", "b2", "c3", "d4", "e5", "f6"]).collect();
        let machine = Machine::new(parts.iter().copied());
        let bound = Claims { binding: machine.bind::<Ring>([1; 8]), ..sample(Kind::Lifetime) };
        let with = |machine| Circumstances { machine, ..here(START) };
        assert_eq!(judged(&bound, &with(machine)).code(), Code::Valid);
        let card_and_disk = Machine::new(parts.iter().map(|(part, value)| match part {
            Component::NetworkCard | Component::Disk => (*part, "new9"),
            _ => (*part, *value),
        }));
        assert_eq!(judged(&bound, &with(card_and_disk)).code(), Code::Valid);
        let half = Machine::new(parts[..3].iter().copied());
        assert_eq!(judged(&bound, &with(half)), Verdict::WrongMachine { matched: 3, needed: 4 });
        assert_eq!(judged(&bound, &here(START)), Verdict::WrongMachine { matched: 0, needed: 4 });

        let server = Circumstances { edition: Edition::Server, machine, ..here(START) };
        assert_eq!(judged(&bound, &server), Verdict::WrongEdition(Edition::Gamer));
        let also = Circumstances { also: &[Edition::GamerAi, Edition::Gamer], ..server };
        assert_eq!(judged(&bound, &also).code(), Code::Valid);
    }

    #[test]
    fn the_server_takes_away_only_by_its_word() {
        let valid = judged(&sample(Kind::Lifetime), &here(START));
        let expired = Verdict::Expired(START);
        let nothing = Verdict::Unknown(Reason::NoLicense);
        for verdict in [&valid, &expired, &nothing] {
            assert_eq!(verdict.clone().after(Answer::Confirmed), *verdict);
            assert_eq!(verdict.clone().after(Answer::Revoked), Verdict::Revoked);
        }
        assert_eq!(valid.clone().after(Answer::Unreachable), valid);
        assert_eq!(expired.clone().after(Answer::Unreachable), expired);
        assert_eq!(nothing.after(Answer::Unreachable), Verdict::Unknown(Reason::Unreachable));
    }

    #[test]
    fn every_verdict_has_its_words() {
        let valid = judged(&sample(Kind::Lifetime), &here(START));
        let grant = valid.grant().unwrap().clone();
        let document = DocumentError::Signature(crate::key::VerifyError::Malformed);
        let texts = [
            (valid, "valid for ever"),
            (judged(&sample(Kind::Annual), &here(START)), "valid until 2024-11-13T22:13:20Z"),
            (Verdict::Grace(grant.clone(), Days(1)), "ended, and still works for 1 day"),
            (Verdict::Trial(grant, Days(14)), "trial, 14 days left"),
            (Verdict::Expired(START), "ended at 2023-11-14T22:13:20Z"),
            (Verdict::NotYetValid(START), "begins at 2023-11-14T22:13:20Z"),
            (Verdict::Revoked, "withdrawn"),
            (Verdict::WrongEdition(Edition::Basic), "for the edition basic, not for this one"),
            (
                Verdict::WrongMachine { matched: 1, needed: 3 },
                "bound to another machine: 1 of its parts are here, 3 are needed",
            ),
            (Verdict::Unknown(Reason::NoLicense), "there is no license"),
            (
                Verdict::Unknown(Reason::Document(document)),
                "the signature of the document is not accepted: the signature file is not a signature",
            ),
            (Verdict::Unknown(Reason::Unreachable), "there is no license, and the server does not answer"),
            (
                Verdict::Unknown(Reason::ClockSetBack { now: UnixTime(0), seen: START }),
                "the clock was set back: it says 1970-01-01T00:00:00Z, and was at 2023-11-14T22:13:20Z before",
            ),
        ];
        for (verdict, text) in texts {
            assert_eq!(verdict.to_string(), text);
            assert_eq!(verdict.hint().is_none(), verdict.code() == Code::Valid, "{text}");
        }
    }
}
