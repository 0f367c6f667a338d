//! Signatures of credentials (WebAuthn, section 6.5.5).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::cose::PublicKey;

/// Whether a signature over a message is of a key. A point that is not on its curve is no key.
pub(super) fn verify(key: &PublicKey<'_>, message: &[u8], signature: &[u8]) -> bool {
    match key {
        PublicKey::Es256 { x, y } => {
            // Uncompressed (SEC 1, section 2.3.3).
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
        }
        PublicKey::EdDsa(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok(),
        PublicKey::Rs256 { n, e } => {
            RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
        }
    }
}
