//! License keys as people type them.

use aegis_core::{edition::Edition, license::key::LicenseKey};

const PREFIXES: [(&str, Edition); 6] = [
    ("BSIC", Edition::Basic),
    ("WORK", Edition::Workplace),
    ("GAME", Edition::Gamer),
    ("AIDV", Edition::AiDev),
    ("GMAI", Edition::GamerAi),
    ("SERV", Edition::Server),
];

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match LicenseKey::parse(&text, &PREFIXES) {
        Ok((key, edition)) => check(key, edition, &text),
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
    if let Some(random) = bytes.first_chunk::<7>() {
        let (prefix, edition) = PREFIXES[bytes.len() % PREFIXES.len()];
        let key = LicenseKey::generate(prefix, *random).expect("the prefix is one");
        check(key, edition, &key.to_string());
    }
}

/// The key prints in one way, which reads back; its symbols are those that were typed.
fn check(key: LicenseKey, edition: Edition, typed: &str) {
    let printed = key.to_string();
    assert_eq!(LicenseKey::parse(&printed, &PREFIXES), Ok((key, edition)));
    assert!(PREFIXES.contains(&(&printed[..4], edition)), "{printed}");
    let groups: Vec<_> = printed.split('-').map(str::len).collect();
    assert_eq!(groups, [4; 4], "{printed}");
    assert_eq!(plain(typed), plain(&printed));
}

/// Symbols without what is forgiven.
fn plain(text: &str) -> String {
    let symbols = text.chars().filter(|symbol| symbol.is_ascii_alphanumeric());
    symbols
        .map(|symbol| match symbol.to_ascii_uppercase() {
            'I' | 'L' => '1',
            'O' => '0',
            'U' => 'V',
            other => other,
        })
        .collect()
}
