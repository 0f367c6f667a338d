//! Range manifests of images: as they come, and as their canonical form.

use aegis_core::ranges::{CHUNK, Ranges, RangesError};

fn check(bytes: &[u8]) -> bool {
    match Ranges::from_bytes(bytes) {
        Ok(ranges) => {
            assert_eq!(ranges.to_bytes(), bytes, "two texts are one manifest");
            let mut end = 0;
            for (range, _) in ranges.iter() {
                assert!(range.start == end && range.end > end && range.end - end <= CHUNK);
                end = range.end;
            }
            assert_eq!(end, ranges.length);
            assert!(ranges.holes() < ranges.length);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// Tries one input.
pub fn run(bytes: &[u8]) {
    if check(bytes) {
        return;
    }
    // What differs from a manifest in its form only is one in the canonical form.
    let Ok(ranges) = serde_json::from_slice::<Ranges>(bytes) else { return };
    let canonical = ranges.to_bytes();
    if !check(&canonical) {
        assert!(!matches!(
            Ranges::from_bytes(&canonical),
            Err(RangesError::NotCanonical | RangesError::Parse(_))
        ));
    }
}
