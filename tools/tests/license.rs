//! `aegis-license` on a system below a directory, with licenses made by an independent implementation
//! (`core/tests/vectors`).
#![expect(clippy::unwrap_used, reason = "a test ends with the failure")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_core::{
    edition::Edition,
    license::{
        document::DocumentError,
        revocation::ListError,
        verdict::{Code, Verdict},
    },
    time::{DAY, UnixTime},
};
use aegis_tools::{
    Error,
    license::{Desk, Report},
    system::System,
};
use serde_json::{Value, json};

/// When the vectors were issued.
const START: UnixTime = UnixTime(1_700_000_000);

/// An installed system of an edition, below a directory.
struct Place {
    root: tempfile::TempDir,
    vectors: Value,
}

impl Place {
    fn new(edition: &str) -> Self {
        let vectors = include_str!("../../core/tests/vectors/licenses.json");
        let place =
            Self { root: tempfile::tempdir().unwrap(), vectors: serde_json::from_str(vectors).unwrap() };
        let boot = json!({"edition": edition, "version": "0.1.0", "mode": "installed", "disk": "vda", "timings": []});
        place.write("run/aegis/boot.json", &boot.to_string());
        place.write("run/aegis/keys.json", &place.vectors["keys"].to_string());
        place.write("usr/lib/aegis/licensed-by.json", if edition == "basic" { "[\"server\"]" } else { "[]" });
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A file with the armour of a vector.
    fn vector(&self, list: &str, name: &str) -> PathBuf {
        let all = self.vectors[list].as_array().unwrap();
        let found =
            all.iter().find(|vector| vector["name"] == name).unwrap_or_else(|| panic!("{list}: {name}"));
        self.write(&format!("mail/{name}"), found["armour"].as_str().unwrap())
    }

    fn desk(&self, now: UnixTime) -> Desk {
        Desk::open(System::at(self.root.path()), now).unwrap()
    }

    fn granted(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("run/aegis/entitlements.json")).unwrap()).unwrap()
    }
}

fn code(desk: &Desk) -> Code {
    desk.judge().unwrap().verdict.code()
}

#[test]
fn a_license_is_installed_and_runs_out() {
    let place = Place::new("gamer");
    let desk = place.desk(START);
    assert_eq!(code(&desk), Code::Unknown);
    assert_eq!(desk.install(&place.vector("good", "annual")).unwrap().verdict.code(), Code::Valid);
    assert_eq!(place.granted()["verdict"], "valid");
    assert!(place.granted()["flags"].as_array().unwrap().contains(&"wine".into()));

    let end = START.plus_days(365);
    for (now, expected) in [(end, Code::Grace), (end.plus_days(30), Code::Expired)] {
        let desk = place.desk(now);
        assert_eq!(code(&desk), expected);
        desk.refresh().unwrap();
    }
    assert!(!place.granted()["flags"].as_array().unwrap().contains(&"wine".into()));
    // The clock goes back to when the license held: the machine remembers.
    assert_eq!(code(&place.desk(START)), Code::Unknown);
}

#[test]
fn a_newer_license_heals_a_clock_that_was_ahead() {
    let place = Place::new("gamer");
    place.desk(START).install(&place.vector("good", "annual")).unwrap();
    place.desk(START.plus_days(40_000)).refresh().unwrap();
    let now = UnixTime(2_147_483_647);
    let desk = place.desk(now);
    assert_eq!(code(&desk), Code::Expired, "at both times");
    let newer = place.vector("good", "around 2038");
    assert_eq!(desk.install(&newer).unwrap().verdict.code(), Code::Valid);
    // The same document again proves nothing new, so the memory stays.
    place.desk(START.plus_days(40_000)).refresh().unwrap();
    assert!(matches!(place.desk(now).install(&newer), Err(Error::NotHere { .. })));
}

#[test]
fn what_mail_programs_do_to_a_license_is_undone() {
    let place = Place::new("gamer");
    let good = fs::read_to_string(place.vector("good", "annual")).unwrap();
    let mailed = place.write("mail/crlf", &format!("\u{feff}\r\n{}", good.trim_end().replace('\n', " \r\n")));
    place.desk(START).install(&mailed).unwrap();
    assert_eq!(fs::read_to_string(place.path("etc/aegis/license.txt")).unwrap(), good);
}

#[test]
fn a_license_that_opens_nothing_here_is_refused_and_the_old_one_stays() {
    let place = Place::new("gamer");
    let desk = place.desk(START);
    desk.install(&place.vector("good", "annual")).unwrap();
    let installed = fs::read(place.path("etc/aegis/license.txt")).unwrap();
    let expired = place.vector("good", "one second");
    let refused = |desk: &Desk, file: &Path| match desk.install(file) {
        Err(Error::NotHere { verdict, .. }) => verdict.code(),
        other => panic!("{file:?}: {other:?}"),
    };
    assert_eq!(refused(&desk, &place.vector("good", "edition server")), Code::WrongEdition);
    assert_eq!(refused(&desk, &place.vector("good", "bound to 5 parts")), Code::WrongMachine);
    assert_eq!(refused(&place.desk(START.plus_days(1)), &expired), Code::Expired);
    for bad in place.vectors["bad"].as_array().unwrap() {
        let name = bad["name"].as_str().unwrap();
        let result = desk.install(&place.vector("bad", name));
        assert!(matches!(result, Err(Error::Document { .. })), "{name}: {result:?}");
    }
    for (name, content) in [("empty", ""), ("noise", "\u{202e}\0")] {
        assert!(desk.install(&place.write(name, content)).is_err(), "{name}");
    }
    assert!(matches!(desk.install(&place.path("missing")), Err(Error::Io { .. })));
    assert_eq!(fs::read(place.path("etc/aegis/license.txt")).unwrap(), installed);
    assert_eq!(code(&desk), Code::Valid);
}

#[test]
fn bundles_hold_for_what_they_include() {
    let place = Place::new("basic");
    let verdict = place.desk(START).install(&place.vector("good", "edition server")).unwrap().verdict;
    assert_eq!(verdict.code(), Code::Valid);
    assert_eq!(verdict.grant().unwrap().claims().edition, Edition::Server);
}

#[test]
fn a_revocation_list_only_grows() {
    let place = Place::new("gamer");
    let desk = place.desk(START);
    desk.install(&place.vector("good", "annual")).unwrap();
    assert_eq!(desk.install_list(&place.vector("lists", "empty")).unwrap(), 1);
    assert_eq!(code(&desk), Code::Valid);
    assert_eq!(desk.install_list(&place.vector("lists", "three")).unwrap(), 7);
    assert_eq!(desk.refresh().unwrap().verdict, Verdict::Revoked);
    // An old list, by the front door and by the back door.
    let old = desk.install_list(&place.vector("lists", "empty"));
    let rollback = DocumentError::List(ListError::Rollback { found: 1, seen: 7 });
    assert!(matches!(old, Err(Error::Document { source, .. }) if source == rollback));
    fs::copy(place.vector("lists", "empty"), place.path("var/lib/aegis/license/revocations.txt")).unwrap();
    assert_eq!(desk.judge().unwrap().list_refused, Some(rollback));
    // A revoked license is not installed again.
    desk.install_list(&place.vector("lists", "three")).unwrap();
    assert!(matches!(desk.install(&place.vector("good", "annual")), Err(Error::NotHere { .. })));
}

#[test]
fn a_license_is_removed_by_its_number() {
    let place = Place::new("gamer");
    let desk = place.desk(START);
    assert!(matches!(desk.remove(7), Err(Error::NoLicense(_))));
    desk.install(&place.vector("good", "annual")).unwrap();
    assert!(matches!(desk.remove(8), Err(Error::Serial { typed: 8, found: 7 })));
    assert!(place.path("etc/aegis/license.txt").exists());
    desk.remove(7).unwrap();
    assert!(!place.path("etc/aegis/license.txt").exists());
    assert_eq!(place.granted()["verdict"], "unknown");
}

#[test]
fn the_free_edition_needs_none() {
    let place = Place::new("freemium");
    let desk = place.desk(START);
    assert!(matches!(desk.install(&place.vector("good", "annual")), Err(Error::Free(_))));
    desk.refresh().unwrap();
    assert!(place.granted()["flags"].as_array().unwrap().contains(&"basic_desktop".into()));
}

#[test]
fn a_license_is_requested_for_a_machine_with_enough_parts() {
    let place = Place::new("gamer");
    let desk = place.desk(START);
    assert!(matches!(desk.request(), Err(Error::TooFewParts(0))));
    for (file, content) in [
        ("sys/class/dmi/id/product_uuid", "4c4c4544-0043-4b10-8056-b4c04f4d3333"),
        ("sys/class/dmi/id/board_serial", "/2CKMV33/"),
        ("sys/block/vda/serial", "DISK-1"),
    ] {
        place.write(file, content);
    }
    assert!(matches!(desk.request(), Err(Error::TooFewParts(3))));
    place.write("etc/machine-id", "b08dfa6083e7567a1921a715000001fb\n");
    let (one, two) = (desk.request().unwrap(), desk.request().unwrap());
    assert_eq!(one.components.len(), 4);
    assert!(one.salt != two.salt && one.components != two.components);
}

#[test]
fn the_report_says_what_is_open() {
    let place = Place::new("gamer");
    let desk = place.desk(START);
    let before = desk.report().unwrap();
    assert_eq!((before.granted, before.verdict), (false, Code::Unknown));
    assert!(before.hint.is_some() && !before.entitlements.has("wine"));
    desk.install(&place.vector("good", "annual")).unwrap();
    let after = desk.report().unwrap();
    assert_eq!((after.granted, after.serial, after.hint.as_deref()), (true, Some(7), None));
    assert!(after.entitlements.has("wine"));
    let mut text = Vec::new();
    after.print(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("edition   gamer\nlicense   valid until 2024-11-13T22:13:20Z\n"), "{text}");
    assert!(text.contains("revoked   no list on this machine\n") && text.contains(" wine"), "{text}");
    // What other programs read is the same.
    let recorded: Report = serde_json::from_value(place.granted()).unwrap();
    assert_eq!(Report { seen: None, ..recorded }, Report { seen: None, ..after });
}

#[test]
fn damage_to_the_records_of_the_boot_is_an_error_with_a_hint() {
    let place = Place::new("gamer");
    place.write("run/aegis/keys.json", "[");
    let open = || Desk::open(System::at(place.root.path()), UnixTime(DAY));
    assert!(matches!(open(), Err(Error::Record { .. })));
    fs::remove_file(place.path("run/aegis/keys.json")).unwrap();
    assert!(matches!(open(), Err(Error::Io { .. })));
}
