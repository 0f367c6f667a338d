//! AWS-LC, for hosted programs that verify many documents.

use aws_lc_rs::{
    digest,
    signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaParameters},
};

use super::{Crypto, LEAST_BITS};
use crate::hex::{Digest, Hex};

/// The library AWS-LC.
#[derive(Clone, Copy, Debug)]
pub struct AwsLc;

impl Crypto for AwsLc {
    type Key = ParsedPublicKey;

    fn sha256(parts: &[&[u8]]) -> Digest {
        let mut hasher = digest::Context::new(&digest::SHA256);
        parts.iter().for_each(|part| hasher.update(part));
        let mut out = [0; 32];
        out.copy_from_slice(hasher.finish().as_ref());
        Hex(out)
    }

    fn prepare(der: &[u8]) -> Option<ParsedPublicKey> {
        // The key type also takes SubjectPublicKeyInfo; this function does not, like the other libraries.
        let bits = RsaParameters::public_modulus_len(der).ok()?;
        if bits < LEAST_BITS {
            return None;
        }
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).ok()
    }

    fn verifies(key: &ParsedPublicKey, message: &[u8], signature: &[u8]) -> bool {
        key.verify_sig(message, signature).is_ok()
    }
}
