//! The committed files that follow from the specifications are fresh.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{env, path::Path};

use aegis_core::report::render;
use aegis_editions::{
    Registry, Spec,
    derive::{README_BEGIN, README_END, readme_table, replace_table, tier_features, tree},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// `UPDATE_DERIVED=1 cargo test -p aegis-editions` writes them anew.
#[test]
fn derived_files_are_fresh() {
    let stale = tree::stale(root()).unwrap_or_else(|error| panic!("{}", render(&error)));
    if env::var_os("UPDATE_DERIVED").is_some() {
        stale.iter().for_each(|file| file.write().unwrap());
    } else {
        let names: Vec<_> = stale.iter().map(|file| file.path.display().to_string()).collect();
        assert!(names.is_empty(), "stale: {}; write them anew with UPDATE_DERIVED=1", names.join(", "));
    }
}

#[test]
fn a_changed_table_or_file_is_stale_and_can_be_written_anew() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("editions")).unwrap();
    let readme = tree.path().join(tree::README);
    std::fs::write(&readme, format!("before\n{README_BEGIN}\n| old |\n{README_END}\nafter\n")).unwrap();

    let stale = tree::stale(tree.path()).unwrap();
    assert_eq!(stale.len(), 2);
    stale.iter().for_each(|file| file.write().unwrap());
    assert_eq!(tree::stale(tree.path()).unwrap(), []);
    let text = std::fs::read_to_string(&readme).unwrap();
    assert!(
        text.starts_with("before\n") && text.ends_with("\nafter\n") && !text.contains("| old |"),
        "{text}"
    );
}

#[test]
fn a_readme_without_both_markers_once_and_in_order_is_refused() {
    let (begin, end) = (README_BEGIN, README_END);
    let cases = [
        (String::new(), "missing"),
        (begin.to_owned(), "missing"),
        (format!("{begin}\n{end}\n{end}"), "twice"),
        (format!("{end}\n{begin}"), "before"),
    ];
    for (readme, reason) in cases {
        let error = replace_table(&readme, "x\n").unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn the_table_has_a_row_for_each_edition() {
    let specs = Spec::all().unwrap();
    let table = readme_table(&specs);
    assert_eq!(table.lines().count(), 2 + specs.len());
    let columns = |line: &str| line.matches('|').count();
    assert!(table.lines().all(|line| columns(line) == columns(table.lines().next().unwrap())), "{table}");
}

#[test]
fn tier_features_shows_every_flag_for_every_edition() {
    let (specs, registry) = (Spec::all().unwrap(), Registry::load().unwrap());
    let json: serde_json::Value = serde_json::from_str(&tier_features(&specs, &registry)).unwrap();
    for spec in &specs {
        let tier = &json["tiers"][spec.id.id()];
        for flag in registry.flags.keys() {
            assert_eq!(tier["features"][flag], spec.entitlements.flags.contains(flag), "{} {flag}", spec.id);
        }
        assert_eq!(tier["price"]["lifetime_cents"], spec.price.lifetime_cents);
    }
}
