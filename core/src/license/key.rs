//! License keys: `PREFIX-XXXX-XXXX-XXXX`.
//!
//! Sixteen symbols of Crockford's Base32 (no I, L, O, U), seen as elements of GF(32) with the polynomial
//! x⁵ + x² + 1. The last is chosen so that Σ αⁱ·sᵢ = 0, α being a generator of order 31. A single wrong symbol adds
//! αⁱ·d with d ≠ 0; two neighbours swapped add (αⁱ + αⁱ⁺¹)·d: neither is ever 0, so both are always noticed. Eleven
//! symbols after the prefix are random: 55 bits.
//!
//! A key is looked up, never trusted: the check code is against typing errors, not against forgery.

use core::fmt;

use crate::{crypto::Crypto, edition::Edition, hex::Hex};

/// The symbols, each at its value. <https://www.crockford.com/base32.html>
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Symbols of a key, its prefix included.
const LENGTH: usize = 16;

/// Symbols in each group.
const GROUP: usize = 4;

/// A license key whose form and check code are right.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LicenseKey([u8; LENGTH]);

/// What a license document says of the key: enough to compare, not enough to tell the key.
pub type KeyDigest = Hex<16>;

/// Why a text is not a license key. Positions count what was typed, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Nothing was typed.
    Empty,
    /// A character that no key has.
    Character {
        /// Where it is.
        position: usize,
        /// What it is.
        found: char,
    },
    /// Too few or too many characters, dashes and spaces not counted.
    Length(usize),
    /// The first group is the prefix of no edition.
    Prefix([u8; GROUP]),
    /// The check code does not fit: a character is wrong, or two are swapped.
    CheckCode,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the license key is empty"),
            Self::Character { position, found } => {
                write!(
                    f,
                    "character {position} of the license key is `{}`, which no key has",
                    found.escape_debug()
                )
            }
            Self::Length(found) => write!(f, "the license key has {found} characters, not {LENGTH}"),
            Self::Prefix(prefix) => {
                f.write_str("no edition has license keys that begin with ")?;
                prefix.iter().try_for_each(|symbol| write!(f, "{}", char::from(*symbol)))
            }
            Self::CheckCode => f.write_str(
                "the license key is mistyped: one character is wrong, or two neighbours are swapped",
            ),
        }
    }
}

impl core::error::Error for KeyError {}

impl KeyError {
    /// The next step for the person who typed it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Empty => {
                "type the key as it was sent to you: four letters, then three groups of four characters"
            }
            Self::Character { .. } => "keys have letters and digits; I and L count as 1, O as 0, U as V",
            Self::Length(_) => {
                "compare with the key that was sent to you; it has four groups of four characters"
            }
            Self::Prefix(_) => "check the first four letters of the key",
            Self::CheckCode => "compare the key character by character with the one that was sent to you",
        }
    }
}

/// The value of a character; look-alikes are folded.
fn value(found: char) -> Option<u8> {
    let folded = match found.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        'U' => 'V',
        other => other,
    };
    let symbol = u8::try_from(folded).ok()?;
    SYMBOLS.iter().position(|known| *known == symbol).and_then(|at| u8::try_from(at).ok())
}

/// α·x in GF(32).
const fn times_alpha(x: u8) -> u8 {
    let shifted = x << 1;
    if shifted & 0b10_0000 != 0 { shifted ^ 0b10_0101 } else { shifted }
}

/// Σ αⁱ·sᵢ, the last symbol having i = 0 (Horner's rule).
fn syndrome(symbols: &[u8; LENGTH]) -> u8 {
    symbols.iter().fold(0, |sum, symbol| times_alpha(sum) ^ symbol)
}

/// A prefix of four capitals as symbols. A prefix has no L and no U and no digit, so that it prints back.
fn prefix_symbols(prefix: &str) -> Option<[u8; GROUP]> {
    let letters: &[u8; GROUP] = prefix.as_bytes().try_into().ok()?;
    let mut symbols = [0; GROUP];
    for (symbol, letter) in symbols.iter_mut().zip(letters) {
        let plain = letter.is_ascii_uppercase() && !matches!(letter, b'L' | b'U');
        *symbol = value(char::from(*letter)).filter(|_value| plain)?;
    }
    Some(symbols)
}

/// Whether keys can begin with this: four capitals other than L and U, which would not print back.
pub fn is_prefix(prefix: &str) -> bool {
    prefix_symbols(prefix).is_some()
}

impl LicenseKey {
    /// Reads what a person typed. Case, dashes and spaces are forgiven and look-alikes folded. `prefixes` are those of
    /// the editions; the edition that the key is for comes with it.
    ///
    /// # Errors
    /// The first thing that is wrong, from left to right, and the check code last.
    pub fn parse(text: &str, prefixes: &[(&str, Edition)]) -> Result<(Self, Edition), KeyError> {
        let mut symbols = [0; LENGTH];
        let mut length = 0;
        for (index, found) in text.chars().enumerate() {
            if found == '-' || found.is_ascii_whitespace() {
                continue;
            }
            let value = value(found).ok_or(KeyError::Character { position: index + 1, found })?;
            if let Some(symbol) = symbols.get_mut(length) {
                *symbol = value;
            }
            length += 1;
        }
        match length {
            0 => return Err(KeyError::Empty),
            LENGTH => {}
            _ => return Err(KeyError::Length(length)),
        }
        let key = Self(symbols);
        let edition = key.edition(prefixes).ok_or_else(|| KeyError::Prefix(key.prefix()))?;
        if syndrome(&symbols) != 0 {
            return Err(KeyError::CheckCode);
        }
        Ok((key, edition))
    }

    /// A new key from 55 of the 56 random bits. `None` when [`is_prefix`] is false.
    pub fn generate(prefix: &str, random: [u8; 7]) -> Option<Self> {
        let mut symbols = [0; LENGTH];
        symbols[..GROUP].copy_from_slice(&prefix_symbols(prefix)?);
        let mut padded = [0; 8];
        padded[1..].copy_from_slice(&random);
        let mut bits = u64::from_be_bytes(padded);
        for symbol in &mut symbols[GROUP..LENGTH - 1] {
            *symbol = (bits & 31) as u8;
            bits >>= 5;
        }
        symbols[LENGTH - 1] = syndrome(&symbols);
        Some(Self(symbols))
    }

    /// The digest that a license document carries.
    pub fn digest<C: Crypto>(&self) -> KeyDigest {
        let mut text = [0; LENGTH];
        for (byte, symbol) in text.iter_mut().zip(&self.0) {
            *byte = SYMBOLS[usize::from(*symbol)];
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&C::sha256(&[b"aegis-os license-key v1\0", &text]).0[..16]);
        Hex(digest)
    }

    /// The first group as letters.
    fn prefix(&self) -> [u8; GROUP] {
        let mut letters = [0; GROUP];
        for (letter, symbol) in letters.iter_mut().zip(&self.0) {
            *letter = match SYMBOLS[usize::from(*symbol)] {
                b'0' => b'O',
                b'1' => b'I',
                other => other,
            };
        }
        letters
    }

    fn edition(&self, prefixes: &[(&str, Edition)]) -> Option<Edition> {
        let own = self.prefix();
        prefixes.iter().find(|(prefix, _)| prefix.as_bytes() == own).map(|(_, edition)| *edition)
    }
}

impl fmt::Display for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix().iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))?;
        for (index, symbol) in self.0[GROUP..].iter().enumerate() {
            let dash = if index % GROUP == 0 { "-" } else { "" };
            write!(f, "{dash}{}", char::from(SYMBOLS[usize::from(*symbol)]))?;
        }
        Ok(())
    }
}

/// A key opens what was paid for, so that no log shows more of it than its edition.
impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix().iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))?;
        f.write_str("-…")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        string::{String, ToString},
        vec::Vec,
    };

    use super::*;

    const KNOWN: [(&str, Edition); 6] = [
        ("BSIC", Edition::Basic),
        ("WORK", Edition::Workplace),
        ("GAME", Edition::Gamer),
        ("AIDV", Edition::AiDev),
        ("GMAI", Edition::GamerAi),
        ("SERV", Edition::Server),
    ];

    fn sample(prefix: &str, seed: u64) -> LicenseKey {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        LicenseKey::generate(prefix, mixed[..7].try_into().unwrap()).unwrap()
    }

    fn parse(text: &str) -> Result<(LicenseKey, Edition), KeyError> {
        LicenseKey::parse(text, &KNOWN)
    }

    #[test]
    fn keys_print_and_read_back_for_every_edition() {
        for (prefix, edition) in KNOWN {
            for seed in 0..500 {
                let key = sample(prefix, seed);
                let text = key.to_string();
                assert_eq!(text.len(), 19);
                assert!(text.starts_with(prefix), "{text}");
                assert_eq!(parse(&text), Ok((key, edition)));
            }
        }
        assert_eq!(sample("WORK", 1).to_string(), "WORK-Q9YJ-VZ99-WB53");
        assert_eq!(std::format!("{:?}", sample("WORK", 1)), "WORK-…");
    }

    /// Every symbol at every place of keys of every edition: 6 × 50 × 16 × 31 changes.
    #[test]
    fn every_single_wrong_character_is_noticed() {
        for (prefix, _) in KNOWN {
            for seed in 0..50 {
                let key = sample(prefix, seed);
                for place in 0..LENGTH {
                    for wrong in (0..32).filter(|wrong| *wrong != key.0[place]) {
                        let mut symbols = key.0;
                        symbols[place] = wrong;
                        assert_ne!(syndrome(&symbols), 0, "{key} with {wrong} at {place}");
                        assert!(parse(&LicenseKey(symbols).to_string()).is_err());
                    }
                }
            }
        }
    }

    /// Every pair of symbols at every pair of neighbouring places: 15 × 32 × 31. By linearity the other symbols do not
    /// matter; a few are tried all the same.
    #[test]
    fn every_swap_of_neighbours_is_noticed() {
        for place in 0..LENGTH - 1 {
            for (one, two) in (0..32).flat_map(|one| (0..32).map(move |two| (one, two))) {
                for seed in 0..3 {
                    let mut right = sample("GAME", seed).0;
                    (right[place], right[place + 1]) = (one, two);
                    let mut swapped = right;
                    swapped.swap(place, place + 1);
                    assert_eq!(syndrome(&right) == syndrome(&swapped), one == two, "{place} {one} {two}");
                }
            }
        }
    }

    /// The weights are what the proof needs: no power of α below the length of a key is 1.
    #[test]
    fn alpha_generates_the_field() {
        let mut seen = HashSet::new();
        let mut power = 1;
        for _ in 0..31 {
            assert!(seen.insert(power));
            power = times_alpha(power);
        }
        assert_eq!(power, 1);
    }

    #[test]
    fn case_dashes_spaces_and_look_alikes_are_forgiven() {
        let key = sample("GMAI", 7);
        let text = key.to_string();
        let forms = [
            text.to_lowercase(),
            text.replace('-', ""),
            text.replace('-', " "),
            std::format!("  {text}\r\n"),
            text.replace('I', "l").replace('0', "o"),
            text.replace('I', "1").replace('V', "u"),
        ];
        for form in forms {
            assert_eq!(parse(&form), Ok((key, Edition::GamerAi)), "{form}");
        }
        let work = sample("WORK", 3).to_string();
        assert_eq!(parse(&work.replace("WORK", "W0RK")).unwrap().1, Edition::Workplace);
    }

    #[test]
    fn errors_say_which_character() {
        let good = sample("SERV", 9).to_string();
        let long = good.clone() + "0";
        let cases: Vec<(String, KeyError)> = std::vec![
            (String::new(), KeyError::Empty),
            (" - ".into(), KeyError::Empty),
            (good.replacen('-', "_", 1), KeyError::Character { position: 5, found: '_' }),
            (good.replacen("SE", "SÉ", 1), KeyError::Character { position: 2, found: 'É' }),
            (good[..18].into(), KeyError::Length(15)),
            (long, KeyError::Length(17)),
            ("0".repeat(1 << 20), KeyError::Length(1 << 20)),
            (good.replace("SERV", "SERB"), KeyError::Prefix(*b"SERB")),
        ];
        for (text, error) in cases {
            assert_eq!(parse(&text), Err(error), "{}", &text[..text.len().min(40)]);
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
        }
        assert_eq!(KeyError::Character { position: 3, found: '\u{202e}' }.to_string().find('\u{202e}'), None);
    }

    #[test]
    fn prefixes_print_back() {
        assert!(KNOWN.iter().all(|(prefix, _)| is_prefix(prefix)));
        for wrong in ["", "ABC", "ABCDE", "AB1C", "ABLC", "ABUC", "abcd", "ABÉ"] {
            assert!(!is_prefix(wrong), "{wrong}");
            assert_eq!(LicenseKey::generate(wrong, [0; 7]), None);
        }
    }

    #[test]
    fn all_random_bits_count() {
        let keys: HashSet<_> = (0..55)
            .map(|bit| {
                LicenseKey::generate("BSIC", (1_u64 << bit).to_be_bytes()[1..].try_into().unwrap()).unwrap()
            })
            .collect();
        assert_eq!(keys.len(), 55);
    }
}
