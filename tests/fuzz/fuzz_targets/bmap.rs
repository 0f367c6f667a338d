//! Block maps. Their own checksum, which no mutation gets right, is put in.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::bmap::run(bytes));
