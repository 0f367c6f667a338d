//! Which passwords are taken: long enough, not one that everybody tries first. No rules of composition.

use unicode_normalization::UnicodeNormalization;

use super::{Denied, Secret};

/// Words that lists of guesses begin with, one a line, in small letters.
const COMMON: &str = include_str!("common-passwords.txt");

/// Characters at least.
const SHORTEST: usize = 10;
/// Bytes at most, so that nobody makes us normalise a book.
const LONGEST: usize = 1000;

/// A password as it is compared: one spelling (NFC) of what was typed, whole.
pub(super) fn spelt(typed: &str) -> Secret {
    if typed.len() > LONGEST {
        // Never one that was taken; what it is compared as does not matter, as long as it costs the same.
        return Secret::new("");
    }
    Secret::new(typed.nfc().collect::<String>())
}

/// A new password, in its one spelling.
pub(super) fn chosen(field: &'static str, typed: &str, address: &str) -> Result<Secret, Denied> {
    let wrong = |detail: &str| Err(Denied::Field { name: field, detail: detail.into() });
    if typed.len() > LONGEST {
        return wrong("The password is longer than 1,000 bytes");
    }
    let password = spelt(typed);
    if password.reveal().chars().count() < SHORTEST {
        return wrong("The password has fewer than 10 characters");
    }
    if is_common(password.reveal(), address) {
        return wrong("This is one of the passwords that are tried first; choose another");
    }
    Ok(password)
}

fn is_common(password: &str, address: &str) -> bool {
    let lower = password.to_lowercase();
    let address = address.to_ascii_lowercase();
    let local = address.split('@').next().unwrap_or_default();
    let stem = lower.trim_matches(|c: char| !c.is_alphabetic());
    let known = |word: &str| word == local || COMMON.lines().any(|common| common == word);
    let first = lower.chars().next();
    lower == address
        || lower.chars().all(|c| Some(c) == first)
        || is_run(&lower)
        || known(&lower)
        || repeats(&lower, &known)
        // A known word with a few digits or signs about it.
        || (lower.chars().count() <= stem.chars().count() + 5 && (known(stem) || repeats(stem, &known)))
}

/// 1234567890, abcdefghij, and backwards.
fn is_run(text: &str) -> bool {
    let steps: Vec<i64> = text
        .chars()
        .zip(text.chars().skip(1))
        .map(|(a, b)| i64::from(u32::from(b)) - i64::from(u32::from(a)))
        .collect();
    let wraps = |step: &i64| matches!(step, -9 | 9);
    [1, -1].iter().any(|way| steps.iter().all(|step| step == way || wraps(step)))
}

/// A known word twice or more.
fn repeats(text: &str, known: &impl Fn(&str) -> bool) -> bool {
    (1..=text.len() / 2).filter(|size| text.len().is_multiple_of(*size) && text.is_char_boundary(*size)).any(
        |size| {
            text.len() / size > 1
                && text == text[..size].repeat(text.len() / size)
                && (size < 4 || known(&text[..size]))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for bad in [
            "short",
            "123456789",
            "password12",
            "Password123!",
            "1234567890",
            "9876543210",
            "abcdefghij",
            "aaaaaaaaaaaa",
            "qwertyuiop",
            "iloveyou2024",
            "passwordpassword",
            "abcabcabcabc",
            "ann@example.org",
            "anna.example1",
            "€€€€€€€€€€",
        ] {
            let address =
                if bad.starts_with("anna") { "anna.example@example.org" } else { "ann@example.org" };
            assert!(chosen("password", bad, address).is_err(), "{bad}");
        }
        for good in [
            "correct horse battery",
            "zwölf Katzen!",
            "ünï©ödé pässwörd",
            "tab\tand\0nul here",
            "x7Kq-29vLm-tt",
        ] {
            assert!(chosen("password", good, "ann@example.org").is_ok(), "{good}");
        }
    }

    #[test]
    fn one_spelling_and_no_cut() {
        assert_eq!(spelt("e\u{301}e\u{301}").reveal(), "éé");
        let long = "ab cd ".repeat(166);
        assert_eq!(chosen("password", &long, "").unwrap().reveal(), long);
        assert!(chosen("password", &"ab cd ".repeat(167), "").is_err());
        let combining = "e\u{301}".repeat(9);
        assert!(
            chosen("password", &combining, "").is_err(),
            "nine characters are nine, however they are typed"
        );
    }
}
