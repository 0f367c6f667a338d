//! What a mistake in a specification leads to: an error that names file, line and key, with a next step.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path};

use aegis_core::{
    edition::Edition,
    report::{Hint, render},
};
use aegis_editions::{Error, Spec};
use tempfile::TempDir;

fn load(edition: Edition, file: &str, from: &str, to: &str) -> Result<Spec, Error> {
    Spec::load_from(changed(file, from, to).path(), edition)
}

/// The specifications of this crate in a directory of their own, with `from` replaced by `to` in one of them.
fn changed(file: &str, from: &str, to: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let path = directory.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    directory
}

fn line_of(file: &str, text: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    1 + fs::read_to_string(path).unwrap().lines().position(|line| line.contains(text)).unwrap()
}

#[test]
fn a_misspelt_key_is_an_error_with_file_line_and_key() {
    let error = load(Edition::Server, "server.toml", "slot_mib =", "slot_mb =").unwrap_err();
    let Error::Parse { at, .. } = &error else { panic!("{error:?}") };
    assert_eq!((at.key.as_str(), at.line), ("slot_mb", Some(line_of("server.toml", "slot_mib ="))));
    let text = render(&error);
    assert!(text.contains("server.toml:") && text.contains("`slot_mb`") && text.contains("next:"), "{text}");
}

#[test]
fn a_misspelt_key_is_refused_in_every_table() {
    let tables =
        ["[colour]", "[price]", "[service]", "[system]", "[kernel]", "[disk]", "[image]", "[security]"];
    let more = ["[services]", "[entitlements]"];
    for table in tables.into_iter().chain(more) {
        let error =
            load(Edition::Server, "server.toml", table, &format!("{table}\nmisspelt = 1")).unwrap_err();
        assert!(error.to_string().contains("misspelt"), "{table}: {error}");
    }
    let error = load(Edition::Server, "server.toml", "[packages.add]", "[packages.ad]").unwrap_err();
    assert!(error.to_string().contains("`ad`"), "{error}");
    let error = load(Edition::Basic, "entitlements.toml", "about =", "abuot =").unwrap_err();
    assert!(
        error.to_string().contains("entitlements.toml") && error.to_string().contains("abuot"),
        "{error}"
    );
}

/// File of the edition to load, text, replacement, key, part of the message.
const INVALID: [(&str, &str, &str, &str, &str); 28] = [
    ("server", "name = \"Server\"\n", "", "name", "missing"),
    ("basic", "name = \"Basic\"\n", "", "name", "missing"),
    ("freemium", "slot_mib = 3072\n", "", "disk.slot_mib", "missing"),
    ("server", "key_prefix = \"SERV\"", "key_prefix = \"serv\"", "key_prefix", "not a key prefix"),
    ("server", "key_prefix = \"SERV\"\n", "", "key_prefix", "no key prefix"),
    ("freemium", "[colour]", "key_prefix = \"FREE\"\n[colour]", "key_prefix", "free edition"),
    ("server", "lifetime_cents = 0", "lifetime_cents = 1", "price.contact_sales", "agreed"),
    ("basic", "annual_cents = 300", "annual_cents = 1900", "price.annual_cents", "as much"),
    ("server", "site = \"#dc2626\"", "site = \"red\"", "colour.site", "not a colour"),
    ("server", "includes = [\"basic\"]", "includes = [\"freemium\"]", "includes", "need not be included"),
    ("server", "upgrade_paths = []", "upgrade_paths = [\"server\"]", "upgrade_paths", "no upgrade"),
    ("server", "minimum_mib = 8192", "minimum_mib = 6144", "disk.minimum_mib", "two slots"),
    ("server", "compression = 15", "compression = 23", "image.compression", "no such level"),
    ("server", "memory_mib = 1024", "memory_mib = 64", "system.memory_mib", "512"),
    ("server", "\"apt\",", "", "packages.add", "`apt`"),
    ("server", "\"apt\",", "\"apt\", \"dracut\",", "packages.add", "`dracut`"),
    ("server", "\"apt\",", "\"apt\", \"Apt2\",", "packages.add", "`Apt2`"),
    ("server", "\"apt\",", "\"apt\", \"wine32:i386\",", "packages.add", "architecture"),
    ("server", "[\"amd64\"]", "[\"arm64\"]", "system.architectures", "not supported"),
    ("server", "[\"main\", ", "[\"main\", \"universe\", ", "system.components", "`universe`"),
    ("server", "[\"common\", \"server\"]", "[\"common\"]", "system.overlays", "`server`"),
    ("server", "\"ssh.service\"", "\"ssh\"", "services.enable", "not a unit"),
    ("server", "mask = [", "mask = [\"ssh.service\", ", "services.mask", "enabled too"),
    ("server", "\"auditd\", ", "", "security.audit_log", "`auditd`"),
    ("server", "level = 5", "level = 6", "security.level", "no such level"),
    ("server", "\"ssh_server\"", "\"teleport\"", "entitlements.flags", "unknown"),
    ("server", "license_machines = 1", "wishes = 3", "entitlements.limits", "`wishes`"),
    ("basic", "\"orca\", ", "", "entitlements.flags", "`accessibility` takes `orca`"),
];

#[test]
fn a_value_that_is_not_acceptable_is_named_with_file_and_key_and_a_next_step() {
    for (edition, from, to, key, message) in INVALID {
        let file = format!("{edition}.toml");
        let error = load(edition.parse().unwrap(), &file, from, to).unwrap_err();
        let (Error::Invalid { at, .. } | Error::Missing { at }) = &error else { panic!("{error:?}") };
        assert_eq!(at.key, key, "{error}");
        assert!(at.file.ends_with(&file), "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(
            matches!(error, Error::Missing { .. }) || at.line.is_some() || key == "key_prefix",
            "{error}"
        );
    }
}

#[test]
fn the_line_is_that_of_the_key() {
    let error = load(Edition::Server, "server.toml", "compression = 15", "compression = 99").unwrap_err();
    let Error::Invalid { at, .. } = &error else { panic!("{error:?}") };
    assert_eq!(at.line, Some(line_of("server.toml", "compression = 15")));
}

#[test]
fn an_inherited_value_is_blamed_on_the_file_that_wrote_it() {
    let error = load(Edition::Gamer, "freemium.toml", "compression = 15", "compression = 99").unwrap_err();
    let Error::Invalid { at, .. } = &error else { panic!("{error:?}") };
    assert!(at.file.ends_with("freemium.toml"), "{error}");
}

#[test]
fn a_ring_is_an_error_that_shows_it() {
    let error = load(Edition::Gamer, "freemium.toml", "name = ", "inherit = \"gamer\"\nname = ").unwrap_err();
    assert!(error.to_string().contains("gamer from basic from freemium from gamer"), "{error}");
    let error = load(Edition::Server, "server.toml", "name = ", "inherit = \"server\"\nname = ").unwrap_err();
    assert!(error.to_string().contains("server from server"), "{error}");
}

#[test]
fn an_unknown_parent_is_an_error() {
    let error =
        load(Edition::Gamer, "gamer.toml", "inherit = \"basic\"", "inherit = \"basics\"").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("gamer.toml:2") && text.contains("basics") && text.contains("freemium"), "{text}");
}

#[test]
fn a_directory_without_the_file_is_an_error_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let error = Spec::load_from(directory.path(), Edition::Gamer).unwrap_err();
    let text = render(&error);
    assert!(text.contains("gamer.toml") && text.contains("No such file") && text.contains("next:"), "{text}");
}

#[test]
fn lists_are_appended_and_scalars_replaced() {
    let (freemium, basic) = (Spec::load(Edition::Freemium).unwrap(), Spec::load(Edition::Basic).unwrap());
    assert!(freemium.packages.iter().all(|name| basic.packages.contains(name)));
    assert!(freemium.services.enable.iter().all(|name| basic.services.enable.contains(name)));
    assert!(basic.disk.slot_mib > freemium.disk.slot_mib);
    assert_eq!(basic.kernel, freemium.kernel);
    assert_eq!(Spec::load(Edition::Gamer).unwrap().architectures, ["amd64", "i386"]);
    assert!(freemium.entitlements.flags.contains("premium_trial"));
    assert!(!basic.entitlements.flags.contains("premium_trial"));
}

#[test]
fn a_package_can_be_removed_only_when_it_is_inherited() {
    let remove = "[packages]\nremove = [\"mousepad\"]\n[packages.add]";
    let gamer = load(Edition::Gamer, "gamer.toml", "[packages.add]", remove).unwrap_err();
    // A flag stands on the package, so taking it away is noticed.
    assert!(gamer.to_string().contains("`basic_desktop` takes `mousepad`"), "{gamer}");

    let remove = "[packages]\nremove = [\"catfish\"]\n[packages.add]";
    let gamer = load(Edition::Gamer, "gamer.toml", "[packages.add]", remove).unwrap();
    assert!(!gamer.packages.iter().any(|name| name == "catfish"));

    let remove = "[packages]\nremove = [\"nano2\"]\n[packages.add]";
    let error = load(Edition::Gamer, "gamer.toml", "[packages.add]", remove).unwrap_err();
    assert!(error.to_string().contains("`nano2` is not inherited"), "{error}");
}

#[test]
fn the_same_name_twice_is_an_error() {
    let error = load(Edition::Gamer, "gamer.toml", "\"lutris\",", "\"lutris\", \"nano\",").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("packages.add.stores") && text.contains("inherited from basic"), "{text}");
}

#[test]
fn two_editions_cannot_share_what_tells_them_apart() {
    let cases = [
        ("name = \"Gamer\"\n", "name = \"Basic\"\n", "name"),
        ("\"GAME\"", "\"BSIC\"", "key_prefix"),
        ("\"#f97316\"", "\"#6366f1\"", "colour.site"),
        ("lifetime_cents = 4900\nannual_cents = 1000", "lifetime_cents = 1900\nannual_cents = 300", "price"),
    ];
    for (from, to, key) in cases {
        let error = Spec::all_from(changed("gamer.toml", from, to).path()).unwrap_err();
        let Error::Invalid { at, problem, .. } = &error else { panic!("{error:?}") };
        assert!(at.key == key && at.file.ends_with("gamer.toml") && problem.contains("basic"), "{error}");
    }
}
