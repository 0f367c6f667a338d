//! Time-based one-time passwords: RFC 6238 with SHA-1, six digits, thirty seconds. Pure.

use aws_lc_rs::{constant_time, hmac};

/// Seconds of a step.
pub(super) const STEP: i64 = 30;

/// The six digits of a step.
pub(super) fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // RFC 4226 section 5.3: the last four bits say where to read.
    let at = usize::from(tag.last().copied().unwrap_or_default() & 15);
    let number =
        tag[at..at + 4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7FFF_FFFF;
    format!("{:06}", number % 1_000_000)
}

/// The step that a code belongs to: now, or one before or after. All are compared, whichever matches.
pub(super) fn step_of(secret: &[u8], given: &str, now: i64) -> Option<i64> {
    let step = now.div_euclid(STEP);
    let matches = |step: &i64| {
        constant_time::verify_slices_are_equal(code(secret, *step).as_bytes(), given.as_bytes()).is_ok()
    };
    [step, step - 1, step + 1].into_iter().filter(matches).max()
}

/// The address that authenticators read (the key URI format).
pub(super) fn uri(secret: &[u8], issuer: &str, account: &str) -> String {
    let escape = |text: &str| {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect::<String>()
    };
    let (issuer, secret) = (escape(issuer), data_encoding::BASE32_NOPAD.encode(secret));
    format!(
        "otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
        escape(account)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, the last six of its eight digits.
    #[test]
    fn known_answers() {
        let secret = b"12345678901234567890";
        for (time, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(secret, time / STEP), expected);
            assert_eq!(step_of(secret, expected, time), Some(time / STEP));
        }
    }

    #[test]
    fn one_step_of_drift_and_no_more() {
        let secret = b"12345678901234567890";
        let now = 1_700_000_010;
        for drift in -3..=3 {
            let given = code(secret, now / STEP + drift);
            assert_eq!(step_of(secret, &given, now).is_some(), drift.abs() <= 1, "{drift}");
        }
        for bad in ["", "12345", "1234567", "abcdef", "１２３４５６"] {
            assert_eq!(step_of(secret, bad, now), None);
        }
    }

    #[test]
    fn an_address_cannot_break_out_of_the_uri() {
        let uri = uri(b"x", "Aegis OS", "a&secret=B@c.de");
        assert!(uri.starts_with("otpauth://totp/Aegis%20OS:a%26secret%3DB%40c.de?secret=PA&"), "{uri}");
    }
}
