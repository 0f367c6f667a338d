//! What browsers and authenticators answer: client data, attestation objects, authenticator data, public keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::webauthn::run(bytes));
