//! Files of digests, such as SHA256SUMS, in whatever form.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::sums::run(bytes));
