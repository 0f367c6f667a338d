//! `aegis-installer persistence` on an image as xorriso makes it, judged by the programs that check tables and file systems.
//!
//! Needs xorriso, sgdisk, sfdisk, mke2fs and e2fsck.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 300 * MIB;

struct Bench {
    dir: tempfile::TempDir,
    image: Vec<u8>,
}

impl Bench {
    /// A stick with a hybrid image whose boot record has code, as ours.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for directory in ["sys/block", "proc/self", "run", "tree"] {
            fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        fs::write(dir.path().join("proc/self/mountinfo"), "1 0 0:1 / / rw - tmpfs tmpfs rw\n").unwrap();
        fs::write(dir.path().join("tree/file"), vec![7; 900_000]).unwrap();
        fs::write(dir.path().join("esp"), vec![3; 1 << 20]).unwrap();
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
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let mut image = fs::read(dir.path().join("image.iso")).unwrap();
        image[..440].fill(0xcd);
        let stick = File::create(dir.path().join("stick")).unwrap();
        stick.set_len(SIZE).unwrap();
        stick.write_all_at(&image, 0).unwrap();
        Self { dir, image }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.args(["persistence", "stick"]).args(arguments).stdin(Stdio::null());
        command.arg("--sysfs-root").arg(self.path("sys")).arg("--proc-root").arg(self.path("proc"));
        command.arg("--state").arg(self.path("run")).arg("--lock").arg(self.path("lock"));
        command.current_dir(self.dir.path()).output().unwrap()
    }

    fn sgdisk(&self, arguments: &[&str]) -> String {
        text(&Command::new("/usr/sbin/sgdisk").args(arguments).arg(self.path("stick")).output().unwrap())
    }

    fn stick(&self) -> Vec<u8> {
        fs::read(self.path("stick")).unwrap()
    }
}

fn text(output: &Output) -> String {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{errors}")
}

#[test]
fn the_table_is_valid_the_image_is_whole_and_the_file_system_is_in_order() {
    let bench = Bench::new();
    let before = bench.sgdisk(&["-i", "2"]);
    let output = bench.run(&["--size", "200MiB", "--serial", "stick"]);
    assert!(output.status.success(), "{}", text(&output));
    let verdict = bench.sgdisk(&["-v"]);
    assert!(verdict.contains("No problems found"), "{verdict}");
    let sfdisk = Command::new("/usr/sbin/sfdisk").arg("--verify").arg(bench.path("stick")).output().unwrap();
    assert!(sfdisk.status.success(), "{}", text(&sfdisk));
    assert_eq!(bench.sgdisk(&["-i", "2"]), before, "the partitions of the image are as they were");
    let ours = bench.sgdisk(&["-i", "4"]).to_lowercase() + &bench.sgdisk(&["-i", "3"]).to_lowercase();
    assert!(
        ours.contains("739d92df-ad41-4ab5-885f-d22a0427c571") && ours.contains("aegis-persistence"),
        "{ours}"
    );

    let stick = bench.stick();
    // Tables alone differ, in the room before the file system of the image.
    assert!(stick[..446] == bench.image[..446], "the boot code is as it was");
    assert_eq!(stick[446..458], bench.image[446..458], "and the protective entry, but for its length");
    assert_eq!(
        u32::from_le_bytes(stick[458..462].try_into().unwrap()),
        u32::try_from(SIZE / 512 - 1).unwrap()
    );
    assert!(stick[32768..bench.image.len()] == bench.image[32768..]);

    let start = bench.image.len().next_multiple_of(1 << 20);
    fs::write(bench.path("partition"), &stick[start..start + (200 << 20)]).unwrap();
    let check =
        Command::new("/usr/sbin/e2fsck").args(["-f", "-n"]).arg(bench.path("partition")).output().unwrap();
    assert!(check.status.success(), "{}", text(&check));

    let again = bench.run(&["--serial", "stick"]);
    assert_eq!(again.status.code(), Some(3), "{}", text(&again));
    assert!(text(&again).contains("it has a partition for changes already"), "{}", text(&again));
}

#[test]
fn what_the_image_leaves_is_taken() {
    let bench = Bench::new();
    let plan = bench.run(&["--plan"]);
    assert!(text(&plan).contains("Kept       the image \"TEST\""), "{}", text(&plan));
    assert!(bench.stick()[..bench.image.len()] == bench.image, "a plan changes nothing");
    let output = bench.run(&["--serial", "stick", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(bench.sgdisk(&["-v"]).contains("No problems found"));
    let size = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["size"].as_u64().unwrap();
    let room = SIZE - bench.image.len() as u64;
    assert!(size <= room && room - size < 3 * MIB, "{size} of {room}");
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let bench = Bench::new();
    let before = bench.stick();
    for (arguments, code, what) in [
        (&[][..], 3, "is confirmed by `stick`, and nothing was given"),
        (&["--serial", "other"], 3, "not by `other`"),
        (&["--serial", "stick", "--size", "299MiB"], 3, "are needed"),
        (&["--serial", "stick", "--size", "1MiB"], 3, "are needed"),
        (&["--serial", "stick", "--size", "lots"], 2, "such as 8GiB"),
    ] {
        let output = bench.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(text(&output).contains(what), "{}", text(&output));
    }
    assert!(bench.stick() == before);
    let stick = OpenOptions::new().write(true).open(bench.path("stick")).unwrap();
    stick.write_all_at(&[0; 8], 32768).unwrap();
    let output = bench.run(&["--serial", "stick"]);
    assert!(text(&output).contains("it holds no live image"), "{}", text(&output));
}
