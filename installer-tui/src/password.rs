//! Passwords: hashed at once, wiped from memory afterwards, never printed.

use std::{fmt, fs::File, io::Read};

use serde::{Deserialize, Deserializer};
use sha_crypt::{PasswordHasher, ShaCrypt};
use zeroize::Zeroizing;

use crate::error::Error;

/// A password in memory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over text; the original is moved, not copied.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Adds a character without leaving a copy of the former text behind.
    pub fn push(&mut self, c: char) {
        if self.0.capacity() < self.0.len() + c.len_utf8() {
            let mut larger = Zeroizing::new(String::with_capacity(self.0.len().max(32) * 2));
            larger.push_str(&self.0);
            self.0 = larger;
        }
        self.0.push(c);
    }

    /// Removes the last character.
    pub fn pop(&mut self) {
        self.0.pop();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Random bytes from the kernel.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let path = "/dev/urandom";
    let mut bytes = [0; N];
    let mut source = File::open(path).map_err(Error::io("open", path))?;
    source.read_exact(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// The `$6$` form of crypt(5): SHA-512.
pub fn hash(password: &Secret, salt: [u8; 12]) -> Result<String, Error> {
    let hashed = ShaCrypt::SHA512.hash_password_with_salt(password.reveal().as_bytes(), &salt);
    hashed.map(|hash| hash.as_str().to_string()).ok().ok_or(Error::Password)
}

/// Whether text has the form of a hash that crypt(3) of the installed system reads.
pub fn is_hash(text: &str) -> bool {
    let known = ["$6$", "$5$", "$y$", "$2b$"].iter().any(|prefix| text.starts_with(prefix));
    let plain = |b: u8| b.is_ascii_graphic() && b != b':';
    known && text.bytes().filter(|b| *b == b'$').count() >= 3 && text.bytes().all(plain) && text.len() < 256
}

#[cfg(test)]
mod tests {
    use sha_crypt::PasswordVerifier;

    use super::*;

    #[test]
    fn hash_verifies_and_is_of_the_known_form() {
        let text = hash(&Secret::new("correct horse".into()), [7; 12]).unwrap();
        assert!(text.starts_with("$6$") && is_hash(&text), "{text}");
        let verify = |word: &[u8]| ShaCrypt::SHA512.verify_password(word, text.as_str()).is_ok();
        assert!(verify(b"correct horse"));
        assert!(!verify(b"correct hors"));
    }

    #[test]
    fn a_hash_cannot_add_fields_or_lines() {
        for text in ["", "plain", "$6$", "$6$salt", "$6$salt$ab:cd", "$6$salt$ab\ncd", "!$6$a$b"] {
            assert!(!is_hash(text), "{text:?}");
        }
        assert!(is_hash("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"));
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(..)");
        let mut typed = Secret::default();
        "pässword".chars().for_each(|c| typed.push(c));
        typed.pop();
        assert_eq!(typed.reveal(), "pässwor");
    }
}
