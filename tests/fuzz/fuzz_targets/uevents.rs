//! Messages about devices: as the kernel's, as udev's, and as the properties behind a header of udev that is right.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aegis_fuzz::uevents::run(bytes));
