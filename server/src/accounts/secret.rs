//! Random tokens: shown once, stored as digests.

use std::fmt;

use aws_lc_rs::{digest, rand};
use data_encoding::BASE64URL_NOPAD;

use crate::{Error, Result};

/// Something that whoever holds it may use. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// 32 random bytes in base64url.
    pub(super) fn random() -> Result<Self> {
        Ok(Self(BASE64URL_NOPAD.encode(&random::<32>()?)))
    }

    /// One that a client brought; `None` when it is not the one spelling of 32 bytes in base64url.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = (text.len() == 43).then(|| BASE64URL_NOPAD.decode(text.as_bytes()).ok())??;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// A secret of any form, as a password or a code.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What is stored of a random one. 256 random bits need no salt and no slow hash.
    pub(super) fn digest(&self) -> [u8; 32] {
        digest_of(self.0.as_bytes())
    }

    /// The text, to be handed to whom it belongs.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// SHA-256.
pub(super) fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|error| Error::Io {
        doing: "reading",
        what: "random numbers".into(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_of_a_token_is_taken() {
        let token = Secret::random().unwrap();
        assert_eq!(Secret::parse(token.reveal()), Some(token.clone()));
        let other_tail = format!("{}_", &"A".repeat(42));
        for bad in ["", "A", &"A".repeat(44), &format!("{}=", "A".repeat(42)), &other_tail, &"ä".repeat(21)]
        {
            assert_eq!(Secret::parse(bad), None, "{bad}");
        }
        assert!(!format!("{token:?}").contains(token.reveal()));
    }
}
