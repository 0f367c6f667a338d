//! Recorded machines, `tests/fixtures/*.machine`, through the commands: what is printed is kept beside them.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p aegis-installer --test machines` writes it anew; read the difference before it is kept.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ratatui::text::Span;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn machines() -> Vec<PathBuf> {
    let files = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "machine")).collect();
    files.sort();
    assert!(files.len() >= 15, "{files:?}");
    files
}

fn installer(machine: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
    command.arg("--sysroot").arg(machine).args(arguments).output().unwrap()
}

#[test]
fn every_machine_is_shown_as_it_was() {
    let forms: [(&str, &[&str]); 4] = [
        ("devices.txt", &["devices"]),
        ("devices.json", &["devices", "--json"]),
        ("hardware.txt", &["hardware"]),
        ("hardware.json", &["hardware", "--json"]),
    ];
    let mut different = Vec::new();
    for machine in machines() {
        for (form, arguments) in forms {
            let output = installer(&machine, arguments);
            let name = format!("{}.{form}", machine.file_stem().unwrap().to_str().unwrap());
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            check(&name, &text);
            let file = fixtures().join("expected").join(&name);
            if env::var_os("UPDATE_SNAPSHOTS").is_some() {
                fs::write(&file, &text).unwrap();
            } else if fs::read_to_string(&file).ok().as_deref() != Some(text.as_str()) {
                different.push(name);
            }
        }
    }
    assert!(different.is_empty(), "UPDATE_SNAPSHOTS=1 writes them anew: {different:?}");
}

/// Nothing that a device says about itself moves the cursor, and pages fit.
fn check(name: &str, text: &str) {
    if name.ends_with(".json") {
        serde_json::from_str::<serde_json::Value>(text).unwrap();
        return;
    }
    for line in text.lines() {
        assert!(Span::raw(line).width() <= 80, "{name}: {line}");
        assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
        assert_eq!(line.trim_end(), line, "{name}");
    }
}

#[test]
fn every_machine_says_where_it_comes_from() {
    for machine in machines() {
        let text = fs::read_to_string(&machine).unwrap();
        let head = text.lines().nth(1).unwrap_or_default();
        let honest = head.starts_with("# recorded ") || head.starts_with("# made by hand from ");
        assert!(honest, "{}: {head}", machine.display());
    }
}

#[test]
fn a_recorded_machine_cannot_be_changed() {
    let machine = fixtures().join("vm-virtio.machine");
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    for arguments in [
        vec![],
        vec!["install".into(), "--answers".into(), file("answers.toml")],
        vec!["flash".into(), file("image"), "--to".into(), "/dev/vda".into()],
        vec!["table".into(), "repair".into(), "/dev/vda".into()],
        vec!["hardware".into(), "--save".into(), file("copy.machine")],
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = installer(&machine, &arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {text}");
        assert!(text.contains("is a recorded machine") && text.contains("next: "), "{text}");
    }
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
}

#[test]
fn a_file_that_is_no_machine_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("wrong.machine");
    fs::write(&file, "aegis machine 1\n/sys\n  a ~ b\n").unwrap();
    let output = installer(&file, &["devices"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("wrong.machine is no recorded machine: line 3:"), "{text}");
}

#[test]
fn this_machine_can_be_recorded_once_and_shown_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("this.machine");
    let save = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.arg("hardware").arg("--save").arg(&file).output().unwrap()
    };
    let output = save();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read(&file).unwrap();
    assert!(text.starts_with(b"aegis machine 1\n# recorded by aegis-installer "));
    assert!(installer(&file, &["devices"]).status.success());
    assert!(installer(&file, &["hardware", "--json"]).status.success());
    assert_eq!(save().status.code(), Some(1), "an existing file is not overwritten");
    assert_eq!(fs::read(&file).unwrap(), text);
}
