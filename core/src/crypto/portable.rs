//! `rsa` and `sha2` of RustCrypto, for machines without an operating system, UEFI and WebAssembly.

use rsa::{Pkcs1v15Sign, PublicKey, pkcs1::DecodeRsaPublicKey, traits::PublicKeyParts};
use sha2::{Digest as _, Sha256};

use super::Crypto;
use crate::hex::{Digest, Hex};

/// The libraries of RustCrypto.
#[derive(Clone, Copy, Debug)]
pub struct RustCrypto;

/// As in `ring`, so that both accept the same keys.
const LEAST_BITS: u32 = 2048;

impl Crypto for RustCrypto {
    fn sha256(parts: &[&[u8]]) -> Digest {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        Hex(hasher.finalize().into())
    }

    fn verifies(der: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = PublicKey::from_pkcs1_der(der) else {
            return false;
        };
        let digest = Self::sha256(&[message]);
        key.n().bit_width_vartime() >= LEAST_BITS
            && key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest.0, signature).is_ok()
    }
}
