//! Range manifests of images: as they come, and as their canonical form.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::ranges::run(bytes));
