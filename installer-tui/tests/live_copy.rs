//! `aegis-installer flash --live` on a medium of files, as xorriso makes it.
//!
//! Needs xorriso and sgdisk.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use aegis_core::{crypto::Sha256, manifest::path};
use serde_json::json;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A live system whose medium is the file `medium`, with a partition of its own behind the files, as ours have it.
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        for directory in ["sys/block", "proc/self", "run", "tree/aegis/boot"] {
            fs::create_dir_all(bench.path(directory)).unwrap();
        }
        fs::write(bench.path("proc/self/mountinfo"), "1 0 0:1 / / rw - tmpfs tmpfs rw\n").unwrap();
        let files = [("aegis/root.img", vec![7; 900_000]), ("aegis/boot/vmlinuz", vec![9; 70_001])];
        let mut listed = serde_json::Map::new();
        for (name, bytes) in &files {
            fs::write(bench.path("tree").join(name), bytes).unwrap();
            listed.insert((*name).into(), json!({ "size": bytes.len(), "sha256": Sha256::of(bytes) }));
        }
        let manifest = json!({
            "format": 1, "id": "00112233445566778899aabbccddeeff", "edition": "server", "version": "0.1.0",
            "channel": "lts", "epoch": 0, "kernel": "6.12", "files": listed, "inputs": {},
            "image": {
                "kind": "squashfs", "data_size": 4096, "size": 8192,
                "salt": Sha256::of(b""), "root_hash": Sha256::of(b""),
            },
        });
        for place in ["run/manifest.json", &format!("tree/{}", path::MANIFEST)] {
            fs::write(bench.path(place), manifest.to_string()).unwrap();
        }
        fs::write(bench.path("esp"), vec![3; 1 << 20]).unwrap();
        let output = Command::new("xorriso")
            .args([
                "-as",
                "mkisofs",
                "-quiet",
                "-iso-level",
                "3",
                "-R",
                "-V",
                "TEST",
                "-partition_offset",
                "16",
            ])
            .args([
                "-append_partition",
                "2",
                "0xef",
                "esp",
                "-appended_part_as_gpt",
                "-o",
                "image.iso",
                "tree",
            ])
            .current_dir(bench.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        // The stick is larger than the image, and something else is behind it.
        let image = fs::read(bench.path("image.iso")).unwrap();
        let medium = File::create(bench.path("medium")).unwrap();
        medium.set_len(16 << 20).unwrap();
        medium.write_all_at(&image, 0).unwrap();
        medium.write_all_at(&[0x5a; 4096], 15 << 20).unwrap();
        let boot = json!({ "mode": "live", "medium_device": bench.path("medium") });
        fs::write(bench.path("run/boot.json"), boot.to_string()).unwrap();
        File::create(bench.path("stick")).unwrap().set_len(12 << 20).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn flash(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.args(["flash", "--live"]).args(arguments).stdin(Stdio::null()).current_dir(self.dir.path());
        command.arg("--sysfs-root").arg(self.path("sys")).arg("--proc-root").arg(self.path("proc"));
        command.arg("--state").arg(self.path("run")).arg("--medium").arg(self.path("tree"));
        command.arg("--lock").arg(self.path("lock")).output().unwrap()
    }

    fn assert_copied(&self) {
        let output = self.flash(&["--to", "stick", "--serial", "stick"]);
        assert!(output.status.success(), "{}", text(&output));
        let (image, stick) =
            (fs::read(self.path("image.iso")).unwrap(), fs::read(self.path("stick")).unwrap());
        // The cylinders of the protective entry, which nothing reads, are as the last program left them.
        let cylinders = 446..454;
        for part in [0..cylinders.start, cylinders.end..image.len()] {
            assert!(stick[part.clone()] == image[part], "exactly the image");
        }
        assert!(stick[image.len()..].iter().all(|byte| *byte == 0), "and nothing of what is behind it");
    }
}

fn text(output: &Output) -> String {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{errors}")
}

#[test]
fn the_copy_is_the_image_and_not_the_stick() {
    let bench = Bench::new();
    let plan = bench.flash(&["--to", "stick", "--plan"]);
    assert!(text(&plan).contains("whose files are those of aegis/manifest.json"), "{}", text(&plan));
    bench.assert_copied();
}

#[test]
fn a_table_that_was_changed_for_the_stick_is_the_images_again() {
    let bench = Bench::new();
    for arguments in [&["-e"][..], &["-n", "9:0:0"]] {
        let output =
            Command::new("/usr/sbin/sgdisk").args(arguments).arg(bench.path("medium")).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    let image = fs::read(bench.path("image.iso")).unwrap();
    assert!(fs::read(bench.path("medium")).unwrap()[..image.len()] != image);
    bench.assert_copied();
}

#[test]
fn what_the_stick_keeps_is_not_copied() {
    let bench = Bench::new();
    OpenOptions::new().write(true).open(bench.path("medium")).unwrap().set_len(300 << 20).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
    command.args(["persistence", "medium", "--serial", "medium", "--state", "nowhere", "--lock", "lock"]);
    let output = command.current_dir(bench.dir.path()).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    bench.assert_copied();
    let stick = fs::read(bench.path("stick")).unwrap();
    assert!(stick[..512] == fs::read(bench.path("image.iso")).unwrap()[..512], "to the last byte");
}

#[test]
fn a_damaged_medium_is_not_copied() {
    let bench = Bench::new();
    let stick = || fs::read(bench.path("stick")).unwrap();
    let before = stick();
    let file = bench.path("tree/aegis/root.img");
    OpenOptions::new().write(true).open(&file).unwrap().write_all_at(b"x", 500_000).unwrap();
    let output = bench.flash(&["--to", "stick", "--serial", "stick"]);
    assert!(text(&output).contains("aegis/root.img on the medium is damaged"), "{}", text(&output));
    fs::write(&file, vec![7; 900_000]).unwrap();
    fs::write(bench.path("tree").join(path::MANIFEST), "{}").unwrap();
    let output = bench.flash(&["--to", "stick", "--serial", "stick"]);
    assert!(text(&output).contains("aegis/manifest.json on the medium is damaged"), "{}", text(&output));
    assert!(before == stick());
}

#[test]
fn the_medium_is_no_target_and_without_one_there_is_nothing_to_copy() {
    let bench = Bench::new();
    let output = bench.flash(&["--to", "medium", "--serial", "medium"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("it is the image itself"), "{}", text(&output));
    fs::remove_file(bench.path("run/boot.json")).unwrap();
    let output = bench.flash(&["--to", "stick", "--serial", "stick"]);
    assert!(text(&output).contains("this system does not run from a medium"), "{}", text(&output));
}
