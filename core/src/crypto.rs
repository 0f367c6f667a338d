//! Digests and RSA signatures behind one small trait, and the checks that are built on it.
//!
//! Nothing here makes a signature: private keys are held by the programs that sign.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(feature = "ring")]
mod hosted;
#[cfg(feature = "rustcrypto")]
mod portable;

#[cfg(feature = "alloc")]
use crate::key::Signature;
#[cfg(feature = "aws-lc")]
pub use aws_lc::AwsLc;
#[cfg(feature = "ring")]
pub use hosted::{Ring, Sha256};
#[cfg(feature = "rustcrypto")]
pub use portable::RustCrypto;

use crate::{
    hex::{Digest, Hex},
    key::{KeyId, KeyRole, PublicKey, VerifyError},
    time::UnixTime,
};

/// What a cryptographic library does for this crate.
pub trait Crypto {
    /// A public key, made ready for any number of verifications.
    type Key;

    /// SHA-256 (FIPS 180-4) of the parts, one after the other.
    fn sha256(parts: &[&[u8]]) -> Digest;

    /// Makes the key ready that `der` holds as RSAPublicKey (RFC 8017, appendix A.1.1). Nothing verifies by a key below
    /// 2048 bits, nor by what is no key at all: for these it is `None`, or a key with which every verification fails.
    fn prepare(der: &[u8]) -> Option<Self::Key>;

    /// Whether `signature` is one of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2) over the message, by the key.
    fn verifies(key: &Self::Key, message: &[u8], signature: &[u8]) -> bool;
}

/// The shortest RSA key that verifies anything.
#[cfg(any(feature = "aws-lc", feature = "rustcrypto"))]
const LEAST_BITS: u32 = 2048;

/// A public key of a ring that documents are verified against: a [`PublicKey`] as it is stored, for few documents, or a
/// [`PreparedKey`], for many.
pub trait TrustedKey<C: Crypto> {
    /// The key as it is stored.
    fn public(&self) -> &PublicKey;

    /// As [`Crypto::verifies`].
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// A public key that a library has made ready.
#[derive(Debug)]
pub struct PreparedKey<C: Crypto> {
    public: PublicKey,
    /// `None` verifies nothing.
    key: Option<C::Key>,
}

impl<C: Crypto> PreparedKey<C> {
    /// Makes a key ready.
    pub fn new(public: PublicKey) -> Self {
        let key = C::prepare(public.der());
        Self { public, key }
    }
}

impl<C: Crypto> TrustedKey<C> for PreparedKey<C> {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.as_ref().is_some_and(|key| C::verifies(key, message, signature))
    }
}

/// Makes itself ready on each verification.
impl<C: Crypto> TrustedKey<C> for PublicKey {
    fn public(&self) -> &PublicKey {
        self
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        C::prepare(self.der()).is_some_and(|key| C::verifies(&key, message, signature))
    }
}

/// The name of a key, from its PKCS#1 DER bytes.
pub fn key_id<C: Crypto>(der: &[u8]) -> KeyId {
    let mut id = [0; 8];
    id.copy_from_slice(&C::sha256(&[der]).0[..8]);
    Hex(id)
}

/// Checks a signature by the key with this name in a ring, which must have the role, and returns that key.
pub(crate) fn verify_by<'k, C: Crypto>(
    ring: &'k [impl TrustedKey<C>],
    id: KeyId,
    role: KeyRole,
    message: &[u8],
    signature: &[u8],
) -> Result<&'k PublicKey, VerifyError> {
    let trusted = ring.iter().find(|key| key.public().id == id).ok_or(VerifyError::UnknownKey(id))?;
    let key = trusted.public();
    if key.role != role {
        return Err(VerifyError::WrongRole { key: id, role: key.role });
    }
    if trusted.verifies(message, signature) { Ok(key) } else { Err(VerifyError::Mismatch(id)) }
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
    verify_message::<C>(ring, role, &role.message(document), signature_file)
}

/// As [`verify`], over a message of any domain.
#[cfg(feature = "alloc")]
pub(crate) fn verify_message<'k, C: Crypto>(
    ring: &'k [PublicKey],
    role: KeyRole,
    message: &[u8],
    signature_file: &[u8],
) -> Result<&'k PublicKey, VerifyError> {
    let found: Signature =
        serde_json::from_slice(signature_file).map_err(|_malformed| VerifyError::Malformed)?;
    if found.algorithm != Signature::ALGORITHM {
        return Err(VerifyError::Malformed);
    }
    let bytes = crate::hex::decode(&found.signature).ok_or(VerifyError::Malformed)?;
    verify_by::<C>(ring, found.key, role, message, &bytes)
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
