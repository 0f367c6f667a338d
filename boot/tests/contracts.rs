//! What `aegis` promises on bad input: what happened, to what, what to do next, the exit code, and nothing
//! half-written under a final name.
#![expect(clippy::unwrap_used, reason = "a test ends with the failure")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aegis_boot::{
    lock::{Lock, Package, Use},
    pipeline,
    sources::Archive,
};
use aegis_core::{edition::Edition, hex::Digest};
use aegis_editions::Spec;

/// A home, a cache and an output directory of their own.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn aegis(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis"));
        command.args(args).env("HOME", self.0.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env_remove("XDG_CACHE_HOME").env_remove("XDG_CONFIG_HOME");
        command
    }

    /// Arguments of a build that writes only here.
    fn build(&self, more: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = ["iso", "build", "--edition", "server", "--out"].map(String::from).into();
        args.push(self.path("out").display().to_string());
        args.extend(["--binaries".into(), self.path("binaries").display().to_string()]);
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    }

    fn run_build(&self, more: &[&str]) -> Output {
        let args = self.build(more);
        self.aegis(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Keys and programs, so that a build gets as far as the packages.
    fn prepare(&self, days: &str) {
        assert!(self.aegis(&["keys", "generate", "--days", days]).status.success());
        let directory = self.path("binaries/x86_64-unknown-linux-musl/ship");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("aegis-init"), "a program").unwrap();
    }
}

/// Checks the exit code and that standard error has every part, in order.
#[track_caller]
fn refused(output: &Output, code: i32, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    let mut rest = &text[..];
    for part in parts {
        let at = rest.find(part);
        rest = &rest[at.unwrap_or_else(|| panic!("`{part}` is missing in:\n{text}"))..];
    }
}

#[test]
fn an_unknown_edition_is_a_usage_error_that_names_the_editions() {
    let output = Place::new().aegis(&["iso", "build", "--edition", "gamerr"]);
    refused(
        &output,
        2,
        &["no edition is called `gamerr`", "freemium, basic", "next: see `aegis edition list`"],
    );
}

#[test]
fn a_missing_host_tool_is_named_with_its_package() {
    let place = Place::new();
    place.prepare("1");
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    let mut command = place.command(&[]);
    // Debian's own directories are searched too, so the tool looked for must be one that is in /usr/bin.
    let output = command.args(place.build(&[])).env("PATH", empty).output().unwrap();
    refused(
        &output,
        1,
        &["error: the program `apt-get` is not installed", "next: install it: apt-get install apt"],
    );
    assert!(!place.path("out").exists());
}

#[test]
fn a_build_without_keys_says_how_to_make_them() {
    refused(
        &Place::new().run_build(&[]),
        1,
        &["there is no release key in", "next: make keys with `aegis keys generate`"],
    );
}

#[test]
fn a_release_build_refuses_development_keys_and_every_build_expired_ones() {
    let place = Place::new();
    place.prepare("1");
    refused(
        &place.run_build(&["--release"]),
        3,
        &["is a development key", "next: name the directory of the real keys"],
    );
    let place = Place::new();
    place.prepare("0");
    refused(&place.run_build(&[]), 3, &["is outside its validity", "next: make new keys"]);
}

#[test]
fn programs_that_were_not_built_are_named() {
    let place = Place::new();
    assert!(place.aegis(&["keys", "generate"]).status.success());
    refused(
        &place.run_build(&[]),
        1,
        &["aegis-init was not built", "next: build our own programs first: make binaries"],
    );
}

#[test]
fn keys_are_never_overwritten() {
    let place = Place::new();
    assert!(place.aegis(&["keys", "generate"]).status.success());
    let key = fs::read(place.path(".config/aegis/keys/release.key.pem")).unwrap();
    refused(&place.aegis(&["keys", "generate"]), 3, &["there are keys in", "next: choose another directory"]);
    assert!(place.aegis(&["keys", "generate", "--if-missing"]).status.success());
    assert_eq!(fs::read(place.path(".config/aegis/keys/release.key.pem")).unwrap(), key);
}

#[test]
fn offline_needs_an_earlier_build_and_locked_needs_a_lock() {
    let place = Place::new();
    place.prepare("1");
    refused(&place.run_build(&["--offline"]), 1, &["there is no lock", "next: build once without"]);
    let lock = place.path("none.lock").display().to_string();
    refused(
        &place.run_build(&["--locked", &lock]),
        1,
        &["there is no lock", "none.lock", "next: build once without"],
    );
}

/// A lock for the server edition whose only package no machine has.
fn lock(place: &Place) -> String {
    let spec = Spec::load(Edition::Server).unwrap();
    let lock = Lock {
        format: Lock::FORMAT,
        edition: Some(Edition::Server),
        suite: "trixie".into(),
        epoch: 1_700_000_000,
        request: pipeline::package_request(&spec, pipeline::KernelChoice::Debian).digest(),
        packages: vec![Package {
            name: "gone".into(),
            version: "1:2.3-4".into(),
            arch: "amd64".into(),
            archive: Archive::Debian,
            path: "pool/main/g/gone/gone_2.3-4_amd64.deb".into(),
            size: 7,
            sha256: Digest::parse(&"ab".repeat(32)).unwrap(),
            uses: BTreeSet::from([Use::Rootfs]),
        }],
    };
    let path = place.path("server.lock");
    fs::write(&path, lock.to_text()).unwrap();
    path.display().to_string()
}

#[test]
fn a_locked_package_that_cannot_be_had_is_named() {
    let place = Place::new();
    place.prepare("1");
    let lock = lock(&place);
    let offline = place.run_build(&["--locked", &lock, "--offline"]);
    refused(
        &offline,
        1,
        &["1 packages are not in the content store, among them gone", "next: build once without --offline"],
    );
    // Nothing listens on port 1 of this machine.
    let online = place.run_build(&["--locked", &lock, "--mirror", "http://127.0.0.1:1/debian"]);
    refused(
        &online,
        1,
        &["package gone 1:2.3-4 cannot be had as the lock says", "next: build without --locked"],
    );
    assert!(!place.path("out").exists());
}

#[test]
fn a_changed_package_list_makes_a_lock_stale() {
    let place = Place::new();
    place.prepare("1");
    let path = lock(&place);
    let text = fs::read_to_string(&path).unwrap();
    let digest =
        pipeline::package_request(&Spec::load(Edition::Server).unwrap(), pipeline::KernelChoice::Debian)
            .digest()
            .to_string();
    fs::write(&path, text.replace(&digest, &"0".repeat(64))).unwrap();
    refused(&place.run_build(&["--locked", &path]), 1, &["the edition's package list was changed since"]);
}

#[test]
fn a_machine_without_network_is_told_so() {
    let place = Place::new();
    place.prepare("1");
    let output = place.run_build(&["--mirror", "http://127.0.0.1:1/debian"]);
    refused(
        &output,
        1,
        &["`apt-get` failed while updating the package indexes", "onnect", "next: check the network"],
    );
    assert!(!place.path("out").exists());
}

#[test]
fn what_is_not_an_iso_is_not_verified() {
    let place = Place::new();
    assert!(place.aegis(&["keys", "generate"]).status.success());
    let file = place.path("a.iso");
    for (content, reason) in
        [(vec![0; 40_000], "no ISO 9660 volume descriptor"), (vec![0; 100], "ends before its content")]
    {
        fs::write(&file, content).unwrap();
        let output = place.aegis(&["iso", "verify", &file.display().to_string()]);
        refused(&output, 1, &["is not a whole ISO image", reason, "next: get the file again"]);
    }
    let missing = Path::new("/nonexistent/a.iso").display().to_string();
    refused(&place.aegis(&["iso", "verify", &missing]), 1, &["opening /nonexistent/a.iso"]);
}

#[test]
fn help_fits_into_80_columns() {
    let place = Place::new();
    for verb in [
        &["--help"][..],
        &["edition", "list", "--help"],
        &["iso", "build", "--help"],
        &["iso", "verify", "--help"],
        &["keys", "generate", "--help"],
        &["license", "--help"],
        &["license", "issue", "--help"],
        &["license", "verify", "--help"],
        &["license", "revoke", "--help"],
        &["run", "--help"],
    ] {
        let output = place.aegis(verb);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.lines().count() > 3);
        let long = text.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{verb:?}");
    }
}
