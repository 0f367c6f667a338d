//! A verified release: the signed manifest of a medium or slot.
//!
//! Invariant: a [`Release`] exists only for bytes whose signature was verified.

use aegis_core::{
    crypto::{self, Ring},
    key::{KeyRole, PublicKey},
    manifest::{Manifest, MediumId},
    time::UnixTime,
};
use serde::Deserialize;

use crate::{error::Error, log};

/// A verified release.
#[derive(Debug)]
pub(crate) struct Release {
    /// The parsed manifest.
    pub(crate) manifest: Manifest,
    /// Its bytes, as signed.
    pub(crate) bytes: Vec<u8>,
    /// The signature file.
    pub(crate) signature: Vec<u8>,
}

impl Release {
    /// Verifies, then parses, then checks the date. `device` is for messages.
    ///
    /// # Errors
    /// The error comes with the id that the bytes claim, if any: it is good for a message, for nothing else.
    pub(crate) fn verify(
        keys: &[PublicKey],
        device: &str,
        bytes: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<Self, (Error, Option<MediumId>)> {
        let refuse = |source| (Error::Signature { device: device.to_string(), source }, claimed_id(&bytes));
        let key = crypto::verify::<Ring>(keys, KeyRole::Release, &bytes, &signature).map_err(refuse)?;
        let manifest = Manifest::from_verified(&bytes)
            .map_err(|source| (Error::Manifest { device: device.to_string(), source }, claimed_id(&bytes)))?;
        crypto::check_date(key, UnixTime::from_unsigned(manifest.epoch)).map_err(refuse)?;
        if key.development {
            log::notice(&format!(
                "{device} is signed with the development key {}: not for use in earnest",
                key.id
            ));
        }
        Ok(Self { manifest, bytes, signature })
    }
}

#[cfg(test)]
impl Release {
    /// The release of the fixture.
    pub(crate) fn sample() -> Self {
        let keys: Vec<PublicKey> = serde_json::from_slice(tests::KEYS).expect("the fixture is a key ring");
        let verified = Self::verify(&keys, "sr0", tests::MANIFEST.to_vec(), tests::SIGNATURE.to_vec());
        verified.map_err(|(error, _)| error).expect("the fixture is signed")
    }
}

fn claimed_id(bytes: &[u8]) -> Option<MediumId> {
    #[derive(Deserialize)]
    struct Claim {
        id: MediumId,
    }
    serde_json::from_slice::<Claim>(bytes).ok().map(|claim| claim.id)
}

#[cfg(test)]
mod tests {
    use aegis_core::key::VerifyError;

    use super::*;

    /// Made with `openssl genrsa 3072` and `openssl dgst -sha256 -sign`; the private key was thrown away.
    pub(super) const MANIFEST: &[u8] = include_bytes!("../tests/fixtures/signed-release/manifest.json");
    pub(super) const SIGNATURE: &[u8] = include_bytes!("../tests/fixtures/signed-release/manifest.json.sig");
    pub(super) const KEYS: &[u8] = include_bytes!("../tests/fixtures/signed-release/keys.json");

    fn keys() -> Vec<PublicKey> {
        serde_json::from_slice(KEYS).unwrap()
    }

    fn verify(keys: &[PublicKey], manifest: &[u8]) -> Result<Release, (Error, Option<MediumId>)> {
        Release::verify(keys, "sr0", manifest.to_vec(), SIGNATURE.to_vec())
    }

    fn reason(result: Result<Release, (Error, Option<MediumId>)>) -> (VerifyError, bool) {
        match result {
            Err((Error::Signature { source, .. }, claimed)) => (source, claimed.is_some()),
            other => panic!("expected an error of the signature, not {other:?}"),
        }
    }

    #[test]
    fn a_signed_release_is_accepted_with_its_bytes() {
        let release = Release::sample();
        assert_eq!(release.manifest.version.to_string(), "0.1.0");
        assert_eq!((release.bytes.as_slice(), release.signature.as_slice()), (MANIFEST, SIGNATURE));
    }

    #[test]
    fn one_changed_byte_is_refused_wherever_it_is() {
        for at in [0, 20, MANIFEST.len() / 2, MANIFEST.len() - 1] {
            let mut changed = MANIFEST.to_vec();
            changed[at] ^= 1;
            assert!(matches!(reason(verify(&keys(), &changed)).0, VerifyError::Mismatch(_)));
        }
    }

    #[test]
    fn the_claimed_id_survives_a_bad_signature_for_the_message() {
        let changed = String::from_utf8(MANIFEST.to_vec()).unwrap().replace("0.1.0", "0.1.1");
        assert!(reason(verify(&keys(), changed.as_bytes())).1);
        assert!(!reason(verify(&keys(), b"no JSON")).1);
    }

    #[test]
    fn keys_must_be_known_and_valid_at_the_date() {
        assert!(matches!(reason(verify(&[], MANIFEST)).0, VerifyError::UnknownKey(_)));
        let mut old = keys();
        old[0].not_after = old[0].not_before + 1;
        assert!(matches!(reason(verify(&old, MANIFEST)).0, VerifyError::KeyExpired { .. }));
        let mut license = keys();
        license[0].role = KeyRole::License;
        assert!(matches!(reason(verify(&license, MANIFEST)).0, VerifyError::WrongRole { .. }));
    }
}
