//! `ring`, for hosted Linux.

use ring::{digest, signature};

use super::Crypto;
use crate::{
    hex::{Digest, Hex},
    key::RsaKey,
};

/// The library `ring`.
#[derive(Clone, Copy, Debug)]
pub struct Ring;

impl Crypto for Ring {
    /// `ring` reads a key when it verifies and keeps nothing of it.
    type Key = RsaKey;

    fn sha256(parts: &[&[u8]]) -> Digest {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finish()
    }

    fn prepare(der: &[u8]) -> Option<RsaKey> {
        RsaKey::from_der(der)
    }

    fn verifies(key: &RsaKey, message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key.der())
            .verify(message, signature)
            .is_ok()
    }
}

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
        Ring::sha256(&[bytes])
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}
