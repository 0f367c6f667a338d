//! `rsa` and `sha2` of RustCrypto, for machines without an operating system, UEFI and WebAssembly.

use rsa::{Pkcs1v15Sign, PublicKey, pkcs1::DecodeRsaPublicKey, traits::PublicKeyParts};
use sha2::{Digest as _, Sha256};

use super::{Crypto, LEAST_BITS};
use crate::hex::{Digest, Hex};

/// The libraries of RustCrypto.
#[derive(Clone, Copy, Debug)]
pub struct RustCrypto;

impl Crypto for RustCrypto {
    type Key = PublicKey;

    fn sha256(parts: &[&[u8]]) -> Digest {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        Hex(hasher.finalize().into())
    }

    fn prepare(der: &[u8]) -> Option<PublicKey> {
        PublicKey::from_pkcs1_der(der).ok().filter(|key| key.n().bit_width_vartime() >= LEAST_BITS)
    }

    fn verifies(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let digest = Self::sha256(&[message]);
        key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest.0, signature).is_ok()
    }
}
