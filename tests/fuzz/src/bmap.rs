//! Block maps. Their own checksum, which no mutation gets right, is put in.

use std::path::Path;

use aegis_core::{crypto::Sha256, report::render};
use aegis_installer::flash::{bmap, map::Map};

const ELEMENT: &str = "<BmapFileChecksum>";

/// The text with the right SHA-256 in its first element for one.
fn sealed(text: &str) -> Option<String> {
    let start = text.find(ELEMENT)? + ELEMENT.len();
    let end = start + text[start..].find('<')?;
    let with = |sum: &str| format!("{}{sum}{}", &text[..start], &text[end..]);
    Some(with(&Sha256::of(with(&"0".repeat(64)).as_bytes()).to_string()))
}

fn check(map: &Map) {
    assert!(map.skipped < map.length && map.length > 0);
    let mebibyte = 1 << 20;
    assert!(map.needs(0) && !map.to_string().is_empty());
    if map.length <= 64 * mebibyte {
        let starts = (0..map.length).step_by(1 << 20).filter(|offset| !map.needs(*offset));
        let skipped: u64 = starts.map(|offset| mebibyte.min(map.length - offset)).sum();
        assert_eq!(skipped, map.skipped);
    }
}

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let path = Path::new("image.bmap");
    let text = std::str::from_utf8(bytes).ok().and_then(sealed);
    for bytes in [Some(bytes), text.as_deref().map(str::as_bytes)].into_iter().flatten() {
        match bmap::parse(bytes, path) {
            Ok(map) => check(&map),
            Err(error) => {
                let text = render(&error);
                assert!(text.contains("next: "), "{text}");
            }
        }
    }
}
