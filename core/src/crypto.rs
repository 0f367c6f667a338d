//! Digests and RSA signatures behind one small trait, and the checks that are built on it.
//!
//! Nothing here makes a signature: private keys are held by the programs that sign.

#[cfg(feature = "ring")]
mod hosted;
#[cfg(feature = "rustcrypto")]
mod portable;

#[cfg(feature = "alloc")]
use crate::key::{KeyRole, Signature};
#[cfg(feature = "ring")]
pub use hosted::{Ring, Sha256};
#[cfg(feature = "rustcrypto")]
pub use portable::RustCrypto;

use crate::{
    hex::{Digest, Hex},
    key::{KeyId, PublicKey, VerifyError},
    time::UnixTime,
};

/// What a cryptographic library does for this crate.
pub trait Crypto {
    /// SHA-256 (FIPS 180-4) of the parts, one after the other.
    fn sha256(parts: &[&[u8]]) -> Digest;

    /// Whether `signature` is one of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2) over the message, by the key
    /// that `der` holds as RSAPublicKey. False as well for keys below 2048 bits and for what is no key at all.
    fn verifies(der: &[u8], message: &[u8], signature: &[u8]) -> bool;
}

/// The name of a key, from its PKCS#1 DER bytes.
pub fn key_id<C: Crypto>(der: &[u8]) -> KeyId {
    let mut id = [0; 8];
    id.copy_from_slice(&C::sha256(&[der]).0[..8]);
    Hex(id)
}

/// The key with this name in a ring, if it has the role.
pub(crate) fn find(
    ring: &[PublicKey],
    id: KeyId,
    role: crate::key::KeyRole,
) -> Result<&PublicKey, VerifyError> {
    let key = ring.iter().find(|key| key.id == id).ok_or(VerifyError::UnknownKey(id))?;
    if key.role == role { Ok(key) } else { Err(VerifyError::WrongRole { key: id, role: key.role }) }
}

/// Checks a detached signature over `document` against a key ring and returns the key that made it.
///
/// Call [`check_date`] once the document is parsed.
///
/// # Errors
/// When the signature is malformed, by no key of the ring, by one of another role, or not over these bytes.
#[cfg(feature = "alloc")]
pub fn verify<'k, C: Crypto>(
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
    let bytes = crate::hex::decode(&found.signature).ok_or(VerifyError::Malformed)?;
    let key = find(ring, found.key, role)?;
    if C::verifies(key.der(), &role.message(document), &bytes) {
        Ok(key)
    } else {
        Err(VerifyError::Mismatch(key.id))
    }
}

/// Checks that a document is dated within the validity of the key that signed it.
///
/// # Errors
/// [`VerifyError::KeyExpired`].
pub fn check_date(key: &PublicKey, dated: UnixTime) -> Result<(), VerifyError> {
    if key.covers(dated) {
        return Ok(());
    }
    Err(VerifyError::KeyExpired { key: key.id, dated, valid: key.validity() })
}
