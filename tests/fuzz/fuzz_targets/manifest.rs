//! Manifests of media and releases.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::manifest::run(bytes));
