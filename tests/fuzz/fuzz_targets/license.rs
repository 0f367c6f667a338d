//! License documents: the bytes as the text, as the body within the armour, and as the claims within the body.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::license::run(bytes));
