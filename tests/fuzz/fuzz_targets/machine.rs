//! Recorded machines: the text, and everything that reads such a machine.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::machine::run(bytes));
