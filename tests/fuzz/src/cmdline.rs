//! The kernel's command line.

use aegis_core::cmdline::BootParams;

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match BootParams::parse(&text) {
        Ok((params, unknown)) => {
            let words: Vec<_> = text.split_ascii_whitespace().collect();
            assert!(unknown.iter().all(|word| word.starts_with("aegis.") && words.contains(&word.as_str())));
            assert_eq!(BootParams::parse(&params.to_string()), Ok((params, Vec::new())));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
