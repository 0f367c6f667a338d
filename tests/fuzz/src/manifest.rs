//! Manifests of media and releases.

use aegis_core::manifest::Manifest;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    match Manifest::from_verified(bytes) {
        Ok(manifest) => {
            let canonical = manifest.to_bytes();
            let again = Manifest::from_verified(&canonical).expect("what is printed reads back");
            assert_eq!(again.to_bytes(), canonical);
            assert_eq!(again, manifest);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
