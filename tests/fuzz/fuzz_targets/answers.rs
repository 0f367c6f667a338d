//! Answer files of the installer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::answers::run(bytes));
