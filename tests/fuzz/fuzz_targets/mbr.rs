//! Master boot records and chains of extended ones.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::mbr::run(bytes));
