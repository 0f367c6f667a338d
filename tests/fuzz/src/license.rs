//! License documents: the bytes as the text, as the body within the armour, and as the claims within the body.

use super::{Anyone, armoured, assert_strict, ring, sealed, was_signed};
use aegis_core::{
    crypto::Ring,
    edition::Edition,
    license::{
        claims::{CAPACITY, Claims},
        document::{Form, LICENSE_TEXT, License},
        machine::Machine,
        verdict::{Circumstances, Code, judge},
    },
    time::{DAY, UnixTime},
};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    if License::verify::<Ring>(bytes, ring()).is_ok() {
        assert!(was_signed(bytes), "a forged license was accepted");
    }
    unsigned(bytes);
    unsigned(armoured(Form::License, bytes).as_bytes());

    let claims = Claims::decode(bytes);
    match &claims {
        Ok(claims) => assert_eq!(claims.encode(&mut [0; CAPACITY]), Ok(bytes)),
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
    if let Some(text) = sealed(Form::License, bytes) {
        let license = unsigned(text.as_bytes());
        assert_eq!(license.as_ref().map(License::claims), claims.as_ref().ok());
    }
}

/// Reads a license whose signature may be anything.
fn unsigned(text: &[u8]) -> Option<License> {
    match License::verify::<Anyone>(text, ring()) {
        Ok(license) => {
            assert!(text.len() <= LICENSE_TEXT);
            assert_strict(Form::License, text);
            check_verdicts(&license);
            Some(license)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            None
        }
    }
}

/// Judges at every time that matters. The end is computed anew, in numbers that cannot overflow.
fn check_verdicts(license: &License) {
    let claims = license.claims();
    // A clock may be a day behind the first second.
    let start = UnixTime(claims.not_before.0 - DAY);
    let end = claims.expires.unwrap_or(UnixTime::MAX);
    let last = |end: UnixTime| i128::from(end.0) + i128::from(claims.grace_days) * i128::from(DAY);
    let edges = [i64::MIN, 0, start.0 - 1, start.0, end.0 - 1, end.0, i64::MAX];
    for now in edges {
        let holds = now >= start.0 && claims.expires.is_none_or(|end| i128::from(now) < last(end));
        for seen in edges.map(|seen| Some(UnixTime(seen))).into_iter().chain([None]) {
            let here = Circumstances {
                edition: claims.edition,
                also: &[],
                now: UnixTime(now),
                seen,
                machine: Machine::default(),
                revocations: None,
            };
            let verdict = judge::<Ring>(license, &here);
            assert!(!verdict.to_string().is_empty());
            let forward = seen.is_none_or(|seen| seen.0 <= now);
            match verdict.code() {
                Code::WrongMachine => assert!(claims.binding.is_some()),
                _ if forward => assert_eq!(verdict.grant().is_some(), holds, "{now} in {claims:?}"),
                _ => {}
            }
            let elsewhere = if claims.edition == Edition::Server { Edition::Basic } else { Edition::Server };
            let other = judge::<Ring>(license, &Circumstances { edition: elsewhere, ..here });
            assert_eq!(other.code(), Code::WrongEdition);
        }
    }
}
