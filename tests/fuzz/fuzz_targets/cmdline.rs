//! The kernel's command line.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::cmdline::run(bytes));
