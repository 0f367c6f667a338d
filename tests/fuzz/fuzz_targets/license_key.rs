//! License keys as people type them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::license_key::run(bytes));
