//! `aegis license`: issued documents are verified by programs that share nothing with it, and bad input is refused.
#![expect(clippy::unwrap_used, reason = "a test ends with the failure")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A home with keys.
struct Office(tempfile::TempDir);

impl Office {
    fn new() -> Self {
        let office = Self(tempfile::tempdir().unwrap());
        assert!(office.aegis(&["keys", "generate"]).status.success());
        office
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn aegis(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis"));
        command
            .args(args)
            .env("HOME", self.0.path())
            .current_dir(self.0.path())
            .env_remove("XDG_CONFIG_HOME");
        command.output().unwrap()
    }

    fn issue(&self, out: &str, more: &[&str]) -> Output {
        let args = ["license", "issue", "--json", "--edition", "gamer", "--out", out];
        self.aegis(&[&args[..], more].concat())
    }

    /// Issues a license and returns what was printed.
    fn issued(&self, out: &str, more: &[&str]) -> Value {
        json(&self.issue(out, more))
    }

    /// The public key as SubjectPublicKeyInfo, by OpenSSL.
    fn public_pem(&self) -> PathBuf {
        let private = self.path(".config/aegis/keys/license.key.pem");
        let pem = self.path("public.pem");
        run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(private).arg("-out").arg(&pem));
        pem
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The exit code, and the error with its next step.
fn refusal(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("error: ") && text.contains("\n  next: "), "{text}");
    assert!(output.stdout.is_empty() || text.contains("genuine"), "{text}");
    (output.status.code().unwrap(), text)
}

fn verifier(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(program)
}

/// OpenSSL checks the signature, Python's `cryptography` the signature and every claim.
#[test]
fn openssl_and_python_accept_what_is_issued() {
    let office = Office::new();
    let pem = office.public_pem();
    for (name, more) in [
        ("a", &["--kind", "lifetime", "--seats", "3", "--set", "license_machines=3"][..]),
        ("b", &["--kind", "annual", "--set", "beta_channel=true", "--set", "license_machines=-1"]),
        ("c", &["--kind", "trial"]),
        ("d", &["--kind", "free-period", "--expires", "2099-12-31"]),
    ] {
        let issued = office.issued(name, more);
        let file = office.path(name);
        run(Command::new("sh").arg(verifier("verify-license.sh")).arg(&pem).arg(&file));
        let python = verifier("verify_license.py");
        let found = run(Command::new("/usr/bin/python3").arg(python).arg(&pem).arg(&file));
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found, issued["claims"], "{name}");
    }
    // A changed document is refused by both.
    let text = fs::read_to_string(office.path("a")).unwrap();
    let line = text.lines().nth(1).unwrap();
    let changed = line.chars().rev().collect::<String>();
    fs::write(office.path("changed"), text.replacen(line, &changed, 1)).unwrap();
    for program in ["verify-license.sh", "verify_license.py"] {
        let interpreter = if program.ends_with("py") { "/usr/bin/python3" } else { "sh" };
        let mut command = Command::new(interpreter);
        let output = command.arg(verifier(program)).arg(&pem).arg(office.path("changed")).output().unwrap();
        assert!(!output.status.success(), "{program}");
    }
}

#[test]
fn a_license_is_issued_inspected_verified_and_revoked() {
    let office = Office::new();
    let issued = office.issued("one", &["--kind", "annual"]);
    let serial = issued["claims"]["serial"].to_string();
    assert!(issued["license_key"].as_str().unwrap().starts_with("GAME-"));
    let shown = json(&office.aegis(&["license", "inspect", "one", "--json"]));
    assert_eq!((&shown["verified"], &shown["claims"]), (&Value::Bool(false), &issued["claims"]));
    let verified = json(&office.aegis(&["license", "verify", "one", "--json"]));
    assert_eq!((&verified["verdict"], &verified["development"]), (&"valid".into(), &true.into()));

    let other = office.issued("two", &["--kind", "lifetime"]);
    let list = json(&office.aegis(&["license", "revoke", "--new", "--list", "list", &serial, "--json"]));
    assert_eq!((&list["number"], &list["revoked"]), (&1.into(), &1.into()));
    let output = office.aegis(&["license", "verify", "one", "--revocations", "list"]);
    let (code, text) = refusal(&output);
    assert_eq!(code, 3);
    assert!(text.contains("revoked"), "{text}");
    assert!(office.aegis(&["license", "verify", "two", "--revocations", "list"]).status.success());
    // The list grows, and a document names its license as well as a serial number.
    let list = json(&office.aegis(&["license", "revoke", "--list", "list", "two", &serial, "--json"]));
    assert_eq!((&list["number"], &list["revoked"], &list["added"]), (&2.into(), &2.into(), &1.into()));
    assert_eq!(office.aegis(&["license", "verify", "two", "--revocations", "list"]).status.code(), Some(3));
    // Another license of the first key.
    let key = other["license_key"].as_str().unwrap();
    let again = office.issued("again", &["--kind", "trial", "--license-key", &key.to_lowercase()]);
    assert_eq!(again["claims"]["key"], other["claims"]["key"]);
    assert_ne!(again["claims"]["serial"], other["claims"]["serial"]);
}

#[test]
fn each_wrong_order_is_refused_and_nothing_is_written() {
    let office = Office::new();
    let lifetime = ["--kind", "lifetime"];
    fs::write(office.path("request"), "{}").unwrap();
    let cases: [(&[&str], i32, &str); 15] = [
        (&["--kind", "annual", "--edition", "gamr"], 2, "gamr"),
        (&["--kind", "lifetime", "--edition", "freemium"], 2, "no license keys"),
        (&["--kind", "lifetime", "--seats", "0"], 2, "0 machines"),
        (&["--kind", "lifetime", "--seats", "2"], 2, "license_machines=2"),
        (&["--kind", "lifetime", "--seats", "3", "--set", "license_machines=2"], 2, "of which 2 are allowed"),
        (&["--kind", "lifetime", "--days", "9"], 2, "lifetime license with an end"),
        (&["--kind", "free-period"], 2, "without an end"),
        (&["--kind", "trial", "--grace", "9"], 2, "trial with days of grace"),
        (&["--kind", "annual", "--expires", "2001-01-01"], 2, "ends before it begins"),
        (&["--kind", "annual", "--expires", "tomorrow"], 2, "`tomorrow`"),
        (&["--kind", "annual", "--license-key", "WORK-0000-0000-0000"], 2, "mistyped"),
        (&["--kind", "annual", "--set", "Wine=true"], 2, "name that no entitlement"),
        (&["--kind", "annual", "--set", "wine"], 2, "`wine`"),
        (&["--kind", "annual", "--machine", "request"], 1, "request of a machine"),
        (&["--kind", "annual", "--release"], 3, "development key"),
    ];
    for (more, code, part) in cases {
        let args = [&["license", "issue", "--out", "new"][..], more].concat();
        let args =
            if more.contains(&"--edition") { args } else { [&args[..], &["--edition", "gamer"]].concat() };
        let (found, text) = refusal(&office.aegis(&args));
        assert_eq!(found, code, "{more:?}: {text}");
        assert!(text.contains(part), "{more:?}: {text}");
        assert!(!office.path("new").exists(), "{more:?}");
    }
    assert!(office.issue("new", &lifetime).status.success());
    let before = fs::read(office.path("new")).unwrap();
    assert_eq!(refusal(&office.issue("new", &lifetime)).0, 3, "an existing license is not overwritten");
    assert_eq!(fs::read(office.path("new")).unwrap(), before);
    // A key of another edition.
    let key = office.issued("other", &lifetime)["license_key"].as_str().unwrap().to_owned();
    let args =
        ["license", "issue", "--edition", "basic", "--kind", "trial", "--out", "x", "--license-key", &key];
    let (code, text) = refusal(&office.aegis(&args));
    assert_eq!(code, 2);
    assert!(text.contains("for the edition gamer"), "{text}");
}

#[test]
fn each_wrong_document_is_refused() {
    let office = Office::new();
    let stranger = Office::new();
    assert!(office.issue("good", &["--kind", "lifetime"]).status.success());
    assert!(stranger.issue("foreign", &["--kind", "lifetime"]).status.success());
    let good = fs::read_to_string(office.path("good")).unwrap();
    let put = |name: &str, text: &[u8]| fs::write(office.path(name), text).unwrap();
    fs::copy(stranger.path("foreign"), office.path("foreign")).unwrap();
    put("empty", b"");
    put("crlf", good.replace('\n', "\r\n").as_bytes());
    put("bom", format!("\u{feff}{good}").as_bytes());
    put("two", good.repeat(2).as_bytes());
    put("trailing", format!("{good}thanks\n").as_bytes());
    put("pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    put("noise", &[0xff; 100]);
    // A sparse file of a gibibyte is refused after a few kilobytes.
    fs::File::create(office.path("huge")).unwrap().set_len(1 << 30).unwrap();
    fs::create_dir(office.path("directory")).unwrap();
    let cases = [
        ("missing", 1, "No such file"),
        ("directory", 1, "Is a directory"),
        ("empty", 1, "empty"),
        ("huge", 1, "longer than"),
        ("crlf", 1, "carriage returns"),
        ("bom", 1, "byte order mark"),
        ("two", 1, "second document"),
        ("trailing", 1, "text after"),
        ("pem", 1, "another type"),
        ("noise", 1, "does not begin"),
        ("foreign", 3, "not a trusted key"),
    ];
    for (name, code, part) in cases {
        let output = office.aegis(&["license", "verify", name]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.starts_with("error: ") && text.contains(part), "{name}: {text}");
        assert_eq!(output.status.code(), Some(code), "{name}: {text}");
    }
    let output = office.aegis(&["license", "revoke", "--list", "missing", "1"]);
    assert_eq!(output.status.code(), Some(1), "a list is begun only with --new");
    assert!(!office.path("missing").exists());
    assert!(office.aegis(&["license", "revoke", "--list", "list", "--new", "1"]).status.success());
    assert_eq!(refusal(&office.aegis(&["license", "revoke", "--list", "list", "--new", "1"])).0, 3);
    let (code, text) = refusal(&office.aegis(&["license", "verify", "good", "--revocations", "good"]));
    assert_eq!(code, 1);
    assert!(text.contains("another type"), "{text}");
}
