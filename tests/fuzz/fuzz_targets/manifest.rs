//! Manifests of media and releases.
#![no_main]

use aegis_core::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Manifest::from_verified(bytes) {
        Ok(manifest) => {
            let canonical = manifest.to_bytes();
            let again = Manifest::from_verified(&canonical).expect("what is printed reads back");
            assert_eq!(again.to_bytes(), canonical);
            assert_eq!(again, manifest);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
