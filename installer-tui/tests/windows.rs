//! The program on Windows, or under Wine: regular files stand for sticks, and what is no stick is refused.
#![cfg(windows)]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use aegis_core::crypto::Sha256;
use serde_json::Value;
use tempfile::TempDir;

const MIB: usize = 1 << 20;

struct Desk(TempDir);

impl Desk {
    /// A directory with an image of 3.5 MiB, its SHA256SUMS, and a file of 8 MiB in place of a stick.
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let image: Vec<u8> = (0..7 * MIB / 2).map(|at| u8::try_from(at * 7 / 13 % 251).unwrap()).collect();
        fs::write(desk.path("image.iso"), &image).unwrap();
        fs::write(desk.path("SHA256SUMS"), format!("{} *image.iso\r\n", Sha256::of(&image))).unwrap();
        fs::write(desk.path("stick"), vec![0x5a; 8 * MIB]).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.current_dir(self.0.path()).args(["--lock", "lock"]).args(arguments).output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(output.stderr));
        text(output.stdout)
    }

    /// Standard error of a command that fails with an exit code and says what to do next.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains("\n  next: "), "{arguments:?}: {text}");
        text
    }
}

#[test]
fn the_command_line_has_what_works_here() {
    let help = Desk::new().succeeds(&["--help"]);
    for verb in ["flash", "verify", "devices", "restore-stick"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{help}");
    }
    for verb in ["install", "table", "hardware", "backup", "--sysfs-root", "/run/"] {
        assert!(!help.contains(&format!("  {verb}")), "{help}");
    }
}

#[test]
fn disks_are_listed() {
    let desk = Desk::new();
    let list: Value = serde_json::from_str(&desk.succeeds(&["devices", "--json"])).unwrap();
    for disk in list["disks"].as_array().unwrap() {
        let node = disk["disk"]["node"].as_str().unwrap();
        assert!(node.starts_with(r"\\.\PhysicalDrive"), "{node}");
        assert!(!disk["confirm"].as_str().unwrap().is_empty());
    }
    desk.succeeds(&["devices"]);
}

#[test]
fn an_image_is_verified() {
    let desk = Desk::new();
    let report: Value = serde_json::from_str(&desk.succeeds(&["verify", "image.iso", "--json"])).unwrap();
    assert_eq!(report["content"]["length"], 7 * MIB / 2);
    let mut image = fs::read(desk.path("image.iso")).unwrap();
    image[2 * MIB] ^= 1;
    fs::write(desk.path("image.iso"), image).unwrap();
    let text = desk.fails(1, &["verify", "image.iso"]);
    assert!(text.contains("SHA256SUMS"), "{text}");
}

#[test]
fn a_file_is_written_and_read_back() {
    let desk = Desk::new();
    let plan: Value =
        serde_json::from_str(&desk.succeeds(&["flash", "image.iso", "--to", "stick", "--plan", "--json"]))
            .unwrap();
    let path = plan["writes"][0]["targets"][0]["path"].as_str().unwrap();
    assert!(path.ends_with(r"\stick") && !path.starts_with(r"\\?\"), "{plan}");
    assert_eq!(fs::read(desk.path("stick")).unwrap(), vec![0x5a; 8 * MIB]);
    let lines = desk.succeeds(&["flash", "image.iso", "--to", "stick", "--serial", "stick", "--json"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [.., stick, end] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&stick["event"], &end["event"]), (&"complete".into(), &"end".into()), "{lines:?}");
    assert_eq!((&end["complete"], &end["failed"]), (&1.into(), &0.into()), "{lines:?}");
    let (image, stick) = (fs::read(desk.path("image.iso")).unwrap(), fs::read(desk.path("stick")).unwrap());
    assert_eq!(stick.len(), 8 * MIB);
    assert!(stick[..image.len()] == image[..], "the image is not on the stick");
    let text = desk.succeeds(&["verify", "image.iso", "--device", "stick"]);
    assert!(text.contains("holds this image"), "{text}");
    fs::write(desk.path("stick"), vec![0; 8 * MIB]).unwrap();
    desk.fails(1, &["verify", "image.iso", "--device", "stick"]);
    // Two at a time, only what differs.
    fs::write(desk.path("other"), &image).unwrap();
    let both =
        ["flash", "image.iso", "--to", "stick", "--to", "other", "--update", "--serial", "stick", "--serial"];
    desk.succeeds(&[&both[..], &["other"]].concat());
    assert!(fs::read(desk.path("stick")).unwrap()[..image.len()] == image[..]);
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_lost() {
    let desk = Desk::new();
    fs::write(desk.path("small"), vec![1; MIB]).unwrap();
    fs::create_dir(desk.path("directory")).unwrap();
    let flash =
        |to: &str, serial: &str| ["flash", "image.iso", "--to", to, "--serial", serial].map(str::to_owned);
    let fails = |code, to: &str, serial: &str| {
        let arguments = flash(to, serial);
        desk.fails(code, &arguments.each_ref().map(String::as_str))
    };
    fails(3, "stick", "other");
    fails(3, "small", "small");
    fails(3, "image.iso", "image.iso");
    fails(1, "directory", "directory");
    fails(1, "missing", "missing");
    fails(1, r"\\.\PhysicalDrive63", "PhysicalDrive63");
    // A volume is no disk.
    fails(1, r"\\.\C:", "C:");
    fails(1, r"C:\", "C:");
    desk.fails(1, &["verify", "missing.iso"]);
    desk.fails(1, &["verify", "directory"]);
    desk.fails(2, &["flash", "image.iso", "--auto", "2", "--auto-size", "1GiB..2GiB", "--serial", "2 blank"]);
    desk.fails(1, &["flash", "--live", "--to", "stick", "--serial", "stick"]);
    // Nobody can be asked.
    desk.fails(2, &[]);
    assert_eq!(desk.run(&["install"]).status.code(), Some(2));
    assert_eq!(fs::read(desk.path("stick")).unwrap(), vec![0x5a; 8 * MIB]);
    assert_eq!(fs::read(desk.path("small")).unwrap(), vec![1; MIB]);
}

#[test]
fn only_one_writes() {
    let desk = Desk::new();
    let _lock = aegis_hw::Lock::take(&desk.path("lock")).unwrap();
    let text = desk.fails(3, &["flash", "image.iso", "--to", "stick", "--serial", "stick"]);
    assert!(text.contains("in use by another program"), "{text}");
}
