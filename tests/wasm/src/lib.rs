//! Verifies licenses in a WebAssembly machine that has no file, no clock and no system call.

#[path = "../../../core/tests/vectors/name.rs"]
mod name;
mod sys;

use aegis_core::{crypto::RustCrypto, key::PublicKey, license::document::License};

/// What a license says as JSON, or the name of the error; `keys` is a JSON list of public keys.
fn judged(keys: &[u8], text: &[u8]) -> String {
    let ring: Vec<PublicKey> = match serde_json::from_slice(keys) {
        Ok(ring) => ring,
        Err(error) => return format!("keys: {error}"),
    };
    match License::verify::<RustCrypto>(text, &ring) {
        Ok(license) => {
            serde_json::to_string(license.claims()).unwrap_or_else(|error| format!("output: {error}"))
        }
        Err(error) => name::name(&error),
    }
}
