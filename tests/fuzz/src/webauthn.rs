//! What browsers and authenticators answer: client data, attestation objects, authenticator data, public keys.
//!
//! The files are those of the server, which itself is too much to build for this: a database, TLS, a whole site.
#![allow(dead_code, unreachable_pub, reason = "the server reads more of them")]

#[path = "../../../server/src/webauthn/authenticator.rs"]
mod authenticator;
#[path = "../../../server/src/webauthn/cbor.rs"]
mod cbor;
#[path = "../../../server/src/webauthn/client.rs"]
mod client;
#[path = "../../../server/src/webauthn/cose.rs"]
mod cose;

use authenticator::{AttestationObject, AuthenticatorData, Statement};
use client::ClientData;
use cose::PublicKey;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    if let Some(data) = ClientData::parse(bytes) {
        assert!(bytes.len() <= 4099 && !format!("{data:?}").is_empty());
    }
    check_data(bytes);
    check_key(bytes);
    if let Ok(object) = AttestationObject::parse(bytes) {
        // The parts are within the whole, in their one encoding.
        assert!(object.data.len() < bytes.len());
        if let Statement::Own { signature, .. } = object.statement {
            assert!(signature.len() < bytes.len());
        }
        assert!(AttestationObject::parse(&bytes[..bytes.len() - 1]).is_err());
        check_data(object.data);
    }
}

fn check_data(bytes: &[u8]) {
    let Ok(data) = AuthenticatorData::parse(bytes) else { return };
    assert!(bytes.starts_with(data.rp_id_hash) && bytes.len() >= 37);
    assert_eq!(data.counter.to_be_bytes(), bytes[33..37]);
    match data.attested {
        Some(made) => {
            assert!((1..=1023).contains(&made.id.len()));
            assert_eq!(&bytes[55..55 + made.id.len()], made.id);
            check_key(made.public_key);
            assert!(PublicKey::parse(made.public_key).is_ok(), "a credential has a key");
        }
        None => assert_eq!(bytes[32] & 64, 0),
    }
}

fn check_key(bytes: &[u8]) {
    let Ok(key) = PublicKey::parse(bytes) else { return };
    assert!(cose::ALGORITHMS.contains(&key.algorithm()));
    assert!(PublicKey::parse(&bytes[..bytes.len() - 1]).is_err(), "a key has one length");
    if let PublicKey::Rs256 { n, e } = key {
        assert!((256..=512).contains(&n.len()) && e.len() <= 4);
    }
}
