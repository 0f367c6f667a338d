//! Partition tables of foreign disks: reading, repairing, and undoing the repair.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::gpt::run(bytes));
