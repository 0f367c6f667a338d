//! Signed notes of C2SP (c2sp.org/signed-note) with Ed25519, and the keys that make and check them.
//!
//! Invariant: what is signed is the text of the note with its final line feed, nothing else.

use std::fmt;

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{self, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use data_encoding::{BASE64, HEXLOWER};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

use crate::{Error, Result};

/// The algorithm byte of Ed25519 in key identifiers.
const ED25519: u8 = 1;
/// What a line with a signature begins with.
const DASH: &str = "\u{2014} ";

/// The public half of a key: who signs, and how that is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: Vec<u8>,
}

impl Verifier {
    fn new(name: &str, key: &[u8]) -> Result<Self> {
        let lawful = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        if name.is_empty() || !name.chars().all(lawful) {
            return Err(wrong_key("its name is empty or holds a space or a plus sign"));
        }
        let named = [name.as_bytes(), b"\n", &[ED25519], key].concat();
        let digest = digest::digest(&digest::SHA256, &named);
        let mut id = [0; 4];
        id.copy_from_slice(&digest.as_ref()[..4]);
        Ok(Self { name: name.to_owned(), id, key: key.to_owned() })
    }

    /// Reads a verifier key: name, identifier and key, joined by plus signs.
    ///
    /// # Errors
    /// When the text is none, or its identifier is not that of its key.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong_key("is not NAME+IDENTIFIER+KEY"));
        };
        let bytes = BASE64.decode(key.as_bytes()).unwrap_or_default();
        let Some((&ED25519, key)) = bytes.split_first().filter(|(_, key)| key.len() == 32) else {
            return Err(wrong_key("holds no Ed25519 key"));
        };
        let verifier = Self::new(name, key)?;
        if HEXLOWER.encode(&verifier.id) != id {
            return Err(wrong_key("its identifier is not that of its key"));
        }
        Ok(verifier)
    }

    /// The name, which is also the origin of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note that this key signed. Signatures of other keys, such as those of witnesses, are passed over.
    pub fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        let end = note.rfind("\n\n")?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        if !lines.ends_with('\n') || text.chars().any(|c| c.is_control() && c != '\n') {
            return None;
        }
        let mut signed = false;
        for line in lines.split_terminator('\n') {
            let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
            let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
            let (id, signature) = bytes.split_at_checked(4)?;
            if name == self.name && id == self.id {
                let key = UnparsedPublicKey::new(&signature::ED25519, &self.key);
                // One bad signature of a known key spoils the note.
                key.verify(text.as_bytes(), signature).ok()?;
                signed = true;
            }
        }
        signed.then_some(text)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = BASE64.encode(&[&[ED25519], self.key.as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, HEXLOWER.encode(&self.id))
    }
}

/// A key that signs notes.
pub struct Signer {
    verifier: Verifier,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// A signer from an Ed25519 key in PKCS#8, DER or PEM.
    ///
    /// # Errors
    /// When it is none, or the name is not allowed in a note.
    pub fn new(name: &str, key: &[u8]) -> Result<Self> {
        let unusable = |_: &dyn std::error::Error| wrong_key("is not an Ed25519 key in PKCS#8");
        let pair = if key.starts_with(b"-----") {
            let der = PrivatePkcs8KeyDer::from_pem_slice(key).map_err(|error| unusable(&error))?;
            Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| unusable(&error))?
        } else {
            Ed25519KeyPair::from_pkcs8(key).map_err(|error| unusable(&error))?
        };
        Ok(Self { verifier: Verifier::new(name, pair.public_key().as_ref())?, pair })
    }

    /// A new key in PKCS#8, DER, for [`Signer::new`]; it is a secret.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<Vec<u8>> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        made.map(|document| document.as_ref().to_vec())
            .map_err(|_unspecified| wrong_key("could not be made: the system gives no random numbers"))
    }

    /// The public half.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The note of a text, which ends with a line feed and holds no empty line at its end.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let encoded = BASE64.encode(&[self.verifier.id.as_slice(), signature.as_ref()].concat());
        format!("{text}\n{DASH}{} {encoded}\n", self.verifier.name)
    }
}

/// Shows the public half alone.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

fn wrong_key(problem: &str) -> Error {
    Error::Config {
        place: "the key of the audit log".into(),
        problem: problem.into(),
        hint: "make one by: openssl genpkey -algorithm ed25519".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of c2sp.org/signed-note and its key, as golang.org/x/mod/sumdb/note has them.
    const NAME: &str = "PeterNeumann";
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\
        \n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_another_implementation_opens() {
        let verifier = Verifier::parse(KEY).unwrap();
        assert_eq!((verifier.name(), verifier.to_string().as_str()), (NAME, KEY));
        assert!(verifier.open(NOTE).unwrap().ends_with("problem is.\n"));
    }

    #[test]
    fn every_changed_byte_of_a_note_is_noticed() {
        let signer = Signer::new("test.example/log", &Signer::generate().unwrap()).unwrap();
        let note = signer.sign("test.example/log\n3\nAAAA\n");
        assert_eq!(signer.verifier().open(&note), Some("test.example/log\n3\nAAAA\n"));
        for place in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[place] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert_eq!(signer.verifier().open(&changed), None, "byte {place}");
        }
        for end in 0..note.len() {
            assert_eq!(note.get(..end).and_then(|cut| signer.verifier().open(cut)), None, "cut at {end}");
        }
    }

    #[test]
    fn another_key_opens_nothing_and_a_witness_disturbs_nothing() {
        let signer = |name| Signer::new(name, &Signer::generate().unwrap()).unwrap();
        let (ours, other, same_name) = (signer("a.example"), signer("b.example"), signer("a.example"));
        let note = ours.sign("a.example\n0\nAAAA\n");
        assert_eq!(other.verifier().open(&note), None);
        assert_eq!(same_name.verifier().open(&note), None);
        let witness = other.sign("a.example\n0\nAAAA\n");
        let both = note.clone() + witness.rsplit_once("\n\n").unwrap().1;
        assert!(ours.verifier().open(&both).is_some() && other.verifier().open(&both).is_some());
    }

    #[test]
    fn keys_that_are_none_are_refused_and_never_shown() {
        for text in
            ["", "a+b", "a+00000000+AAAA", &KEY.replace("c74f20a3", "c74f20a4"), &KEY.replace("ARpc", "AhpC")]
        {
            assert!(Verifier::parse(text).is_err(), "{text}");
        }
        let key = Signer::generate().unwrap();
        assert!(Signer::new("a b", &key).is_err() && Signer::new("", &key).is_err());
        assert!(Signer::new("a", &key[..20]).is_err() && Signer::new("a", b"-----BEGIN X-----").is_err());
        let shown = format!("{:?}", Signer::new("a", &key).unwrap());
        assert!(shown.contains("verifier") && !shown.contains("pair"));
    }
}
