//! What a device holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::superblocks::run(bytes));
