//! Promises about the editions that this program carries.

use std::{collections::BTreeSet, fs, path::Path};

use aegis_core::{edition::Edition, manifest::ImageKind};
use aegis_editions::{Registry, Spec, spec::Desktop};

#[test]
fn every_edition_loads_and_differs_from_the_others() {
    let specs = Spec::all().unwrap();
    assert_eq!(specs.iter().map(|spec| spec.id).collect::<Vec<_>>(), Edition::ALL);
    for spec in &specs {
        assert!(!spec.highlights.is_empty() && !spec.packages.is_empty(), "{}", spec.id);
        assert!(spec.packages.is_sorted(), "{}", spec.id);
    }
}

#[test]
fn a_specification_survives_the_way_through_the_image() {
    for spec in Spec::all().unwrap() {
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&json).unwrap(), spec);
        let more = json.replacen('{', r#"{"more":1,"#, 1);
        assert!(serde_json::from_str::<Spec>(&more).is_err(), "an unknown key is refused");
    }
}

#[test]
fn the_directory_of_this_crate_says_the_same_as_the_program() {
    for edition in Edition::ALL {
        let read = Spec::load_from(Path::new(env!("CARGO_MANIFEST_DIR")), edition).unwrap();
        assert_eq!(read, Spec::load(edition).unwrap());
    }
}

/// License keys, prices and what hangs on them are in other people's hands; a change must be meant.
#[test]
fn prefixes_and_prices_are_those_that_were_published() {
    let published = [
        ("freemium", None, 0, 0),
        ("basic", Some("BSIC"), 1900, 300),
        ("workplace", Some("WORK"), 900, 200),
        ("gamer", Some("GAME"), 4900, 1000),
        ("ai-dev", Some("AIDV"), 7900, 1200),
        ("gamer-ai", Some("GMAI"), 11900, 1700),
        ("server", Some("SERV"), 0, 0),
    ];
    for (spec, (id, prefix, lifetime, annual)) in Spec::all().unwrap().iter().zip(published) {
        assert_eq!(spec.id.id(), id);
        assert_eq!(spec.key_prefix.as_deref(), prefix);
        assert_eq!((spec.price.lifetime_cents, spec.price.annual_cents), (lifetime, annual), "{id}");
        assert_eq!(spec.price.contact_sales, id == "server");
    }
}

#[test]
fn gamer_ai_has_everything_of_gamer_and_of_ai_dev() {
    let both = Spec::load(Edition::GamerAi).unwrap();
    for part in [Edition::Gamer, Edition::AiDev] {
        let part = Spec::load(part).unwrap();
        let missing: Vec<_> = part.packages.iter().filter(|name| !both.packages.contains(name)).collect();
        assert!(missing.is_empty(), "of {}: {missing:?}", part.id);
        assert!(part.entitlements.flags.is_subset(&both.entitlements.flags), "{}", part.id);
    }
}

#[test]
fn the_server_is_headless() {
    let server = Spec::load(Edition::Server).unwrap();
    assert!(
        server.desktop == Desktop::None && server.serial_console && server.image.kind == ImageKind::Squashfs
    );
    let graphical = ["xserver", "xfce", "lightdm", "libgtk", "pipewire"];
    let found: Vec<_> =
        server.packages.iter().filter(|name| graphical.iter().any(|part| name.starts_with(part))).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn upgrades_lead_somewhere_and_never_round() {
    fn walk(edition: Edition, above: &[Edition]) {
        assert!(!above.contains(&edition), "{edition} can be reached from itself");
        let path: Vec<_> = above.iter().copied().chain([edition]).collect();
        Spec::load(edition).unwrap().upgrade_paths.into_iter().for_each(|next| walk(next, &path));
    }
    walk(Edition::Freemium, &[]);
    let ends =
        Edition::ALL.into_iter().filter(|edition| Spec::load(*edition).unwrap().upgrade_paths.is_empty());
    assert_eq!(ends.collect::<Vec<_>>(), [Edition::GamerAi, Edition::Server]);
}

#[test]
fn every_entitlement_is_granted_by_some_edition() {
    let (specs, registry) = (Spec::all().unwrap(), Registry::load().unwrap());
    let flags: BTreeSet<_> = specs.iter().flat_map(|spec| &spec.entitlements.flags).collect();
    let limits: BTreeSet<_> = specs.iter().flat_map(|spec| spec.entitlements.limits.keys()).collect();
    assert_eq!(registry.flags.keys().collect::<BTreeSet<_>>(), flags);
    assert_eq!(registry.limits.keys().collect::<BTreeSet<_>>(), limits);
}

#[test]
fn a_missing_overlay_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let server = Spec::load(Edition::Server).unwrap();
    fs::create_dir(directory.path().join("common")).unwrap();
    let error = server.check_overlays(directory.path()).unwrap_err().to_string();
    assert!(error.contains("server.toml") && error.contains("system.overlays"), "{error}");
    fs::create_dir(directory.path().join("server")).unwrap();
    server.check_overlays(directory.path()).unwrap();
}

/// Every key that the specifications use is explained in this crate's README.
#[test]
fn the_readme_explains_every_key() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(directory.join("README.md")).unwrap();
    for edition in Edition::ALL {
        let text = fs::read_to_string(directory.join(format!("{edition}.toml"))).unwrap();
        let table: toml::Table = text.parse().unwrap();
        for (key, value) in &table {
            assert!(readme.contains(&format!("`{key}`")), "{key}");
            let inner = value.as_table().into_iter().flatten();
            inner.for_each(|(inner, _)| {
                assert!(readme.contains(&format!("`{key}.{inner}`")), "{key}.{inner}")
            });
        }
    }
}
