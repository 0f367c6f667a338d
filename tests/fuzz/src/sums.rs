//! Files of digests, such as SHA256SUMS, in whatever form.

use aegis_installer::flash::sums::{self, Found};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let all = sums::parse(bytes);
    for sum in &all {
        assert!([32, 40, 64, 128].contains(&sum.digest.len()));
        assert!(sum.digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        let Some(name) = &sum.name else { continue };
        assert!(!name.contains('/'), "{name:?}");
        match sums::find(&all, name) {
            Found::One(found) => {
                assert_eq!(found.name.as_ref(), Some(name));
                assert!(found.algorithm >= sum.algorithm, "a weaker digest was preferred");
            }
            Found::Contradiction => {}
            Found::Missing => panic!("{name:?} is named and not found"),
        }
    }
    // A digest alone is nothing beside named ones.
    if all.iter().any(|sum| sum.name.is_some())
        && !all.iter().any(|sum| sum.name.as_deref() == Some("-other-"))
    {
        assert_eq!(sums::find(&all, "-other-"), Found::Missing);
    }
}
