//! SHA-256 and RSA verification by `ring`, for hosted Linux.

use alloc::vec::Vec;

use ring::{digest, signature};

use crate::{
    hex::{self, Digest, Hex},
    key::{KeyId, KeyRole, PublicKey, Signature, VerifyError},
};

/// SHA-256 over a stream of bytes.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything that was added.
    pub fn finish(self) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        Hex(out)
    }

    /// The digest of one slice.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut hasher = Self::new();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// The name of a key, from its PKCS#1 DER bytes.
pub fn key_id(der: &[u8]) -> KeyId {
    let digest = Sha256::of(der);
    let mut id = [0; 8];
    id.copy_from_slice(&digest.0[..8]);
    Hex(id)
}

/// Checks a detached signature over `document` against a key ring and returns the key that made it.
///
/// `dated` is the Unix time that the document claims; call [`check_date`] once it is parsed.
pub fn verify<'k>(
    ring: &'k [PublicKey],
    role: KeyRole,
    document: &[u8],
    signature_file: &[u8],
) -> Result<&'k PublicKey, VerifyError> {
    let found: Signature =
        serde_json::from_slice(signature_file).map_err(|_malformed| VerifyError::Malformed)?;
    if found.algorithm != Signature::ALGORITHM {
        return Err(VerifyError::Malformed);
    }
    let bytes = hex::decode(&found.signature).ok_or(VerifyError::Malformed)?;
    let key = ring.iter().find(|key| key.id == found.key).ok_or(VerifyError::UnknownKey(found.key))?;
    if key.role != role {
        return Err(VerifyError::WrongRole { key: key.id, role: key.role });
    }
    let der: Vec<u8> = key.der();
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &der)
        .verify(&role.message(document), &bytes)
        .map_err(|_unspecified| VerifyError::Mismatch(key.id))?;
    Ok(key)
}

/// Checks that a document is dated within the validity of the key that signed it.
pub fn check_date(key: &PublicKey, dated: u64) -> Result<(), VerifyError> {
    if (key.not_before..key.not_after).contains(&dated) {
        return Ok(());
    }
    Err(VerifyError::KeyExpired { key: key.id, dated, not_after: key.not_after })
}
