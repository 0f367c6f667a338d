//! `aegis-installer table` on files, as a technician uses it.
//!
//! Needs sgdisk.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const SIZE: u64 = 64 << 20;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A disk with two partitions, made by another program.
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.path("sys/block")).unwrap();
        fs::create_dir_all(bench.path("proc/self")).unwrap();
        fs::write(bench.path("proc/self/mountinfo"), "1 0 0:1 / / rw - tmpfs tmpfs rw\n").unwrap();
        File::create(bench.disk()).unwrap().set_len(SIZE).unwrap();
        let mut sgdisk = Command::new("/usr/sbin/sgdisk");
        sgdisk.args(["-n", "1:0:+8M", "-t", "1:ef00", "-c", "1:boot", "-n", "2:0:0", "-A", "2:set:63"]);
        assert!(sgdisk.arg(bench.disk()).output().unwrap().status.success());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn disk(&self) -> PathBuf {
        self.path("disk.img")
    }

    fn table(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.arg("table").args(words).arg(self.disk()).stdin(Stdio::null());
        for (option, name) in [
            ("--sysfs-root", "sys"),
            ("--proc-root", "proc"),
            ("--state", "state"),
            ("--lock", "lock"),
            ("--undo-file", "undo"),
        ] {
            command.arg(option).arg(self.path(name));
        }
        command.output().unwrap()
    }

    /// Standard output of a command that must succeed.
    fn good(&self, words: &[&str]) -> String {
        let output = self.table(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit code and standard error of a command that must fail.
    fn bad(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.table(words);
        assert!(!output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        OpenOptions::new().write(true).open(self.disk()).unwrap().write_all_at(bytes, offset).unwrap();
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.disk()).unwrap()
    }
}

fn verify(disk: &Path) {
    let output = Command::new("/usr/sbin/sgdisk").arg("--verify").arg(disk).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("No problems found"), "{output:?}");
}

#[test]
fn a_table_is_shown() {
    let bench = Bench::new();
    let text = bench.good(&["show"]);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].ends_with("disk.img: 64.0 MiB, sectors of 512 bytes"), "{text}");
    assert!(lines[1].starts_with("GPT ") && lines[1].ends_with(", sectors 34 to 131038"), "{text}");
    assert_eq!(lines[2], "  1         2048        18431  esp                  boot");
    assert_eq!(lines[3], "  2        18432       131038  linux                 [no-auto]");
    assert_eq!(lines.len(), 4);
    let json: serde_json::Value = serde_json::from_str(&bench.good(&["show", "--json"])).unwrap();
    assert_eq!(
        (&json["table"]["scheme"], &json["table"]["partitions"][0]["first"]),
        (&"gpt".into(), &2048.into())
    );
    assert_eq!(json["findings"].as_array().unwrap().len(), 0);
    assert_eq!(bench.good(&["repair"]).lines().last(), Some("nothing to repair"));
}

#[test]
fn a_repair_is_shown_confirmed_done_and_undone() {
    let bench = Bench::new();
    let whole = bench.content();
    bench.write(512, &[0; 4096]);
    let damaged = bench.content();
    let text = bench.good(&["show"]);
    assert!(text.contains("damage: the primary table is not usable: it is missing"), "{text}");
    assert!(
        text.contains("read from its backup") && text.contains("repair") && text.contains("--plan"),
        "{text}"
    );

    let plan = bench.good(&["repair", "--plan"]);
    assert!(
        plan.contains("restore the primary table from the backup\n1. partition entries: 16.0 KiB"),
        "{plan}"
    );
    let json: serde_json::Value = serde_json::from_str(&bench.good(&["repair", "--plan", "--json"])).unwrap();
    assert_eq!(json["change"]["steps"][1]["offset"], 512);
    for words in [&["repair"][..], &["repair", "--serial", "other.img"]] {
        let (code, text) = bench.bad(words);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("is confirmed by `disk.img`, "), "{text}");
    }
    assert!(bench.content() == damaged, "nothing was written before it was confirmed");
    assert!(!bench.path("undo").exists());

    let text = bench.good(&["repair", "--serial", "disk.img"]);
    assert!(text.contains("kept what is replaced in") && text.ends_with("repaired\n"), "{text}");
    assert!(bench.content() == whole);
    verify(&bench.disk());

    let text = bench.good(&["undo", "--plan"]);
    assert!(text.contains("are put back"), "{text}");
    bench.good(&["undo", "--serial", "disk.img"]);
    assert!(bench.content() == damaged);
    assert_eq!(bench.good(&["undo", "--serial", "disk.img"]), "nothing to undo: the disk is as it was\n");
    // The file of the former repair is not overwritten.
    let (code, text) = bench.bad(&["repair", "--serial", "disk.img"]);
    assert!(code == Some(3) && text.contains("it exists") && text.contains("next: "), "{text}");

    bench.write(700, b"somebody else");
    let (code, text) = bench.bad(&["undo", "--serial", "disk.img"]);
    assert_eq!(code, Some(3));
    assert!(
        text.contains("something else was written to the disk since: 1 sectors, the first at byte 512"),
        "{text}"
    );
}

#[test]
fn a_file_of_large_sectors_is_recognised_by_its_table() {
    use aegis_hw::{
        Bytes,
        tables::{Attributes, DiskFacts, DiskId, PartitionType, Size, Wanted, WantedTable, encode},
        units::SectorSize,
    };
    let bench = Bench::new();
    let guid = |number: u8| serde_json::from_value(format!("{number:032x}").into()).unwrap();
    let wanted = WantedTable {
        id: DiskId::Guid(guid(1)),
        partitions: vec![Wanted {
            kind: PartitionType::LINUX,
            guid: Some(guid(2)),
            size: Size::Rest(Bytes(1)),
            name: "a\u{1b}[2J".into(),
            attributes: Attributes(0),
        }],
    };
    let plan = wanted.plan(DiskFacts::plain(Bytes(SIZE), SectorSize::S4096)).unwrap();
    bench.write(0, &vec![0; 1 << 20]);
    encode(&plan, None).unwrap().regions.iter().for_each(|region| bench.write(region.offset, &region.bytes));
    let text = bench.good(&["show"]);
    assert!(text.contains("sectors of 4096 bytes") && text.contains("a\\u{1b}[2J"), "{text}");
    let text = bench.good(&["show", "--sector-size", "512"]);
    assert!(text.contains("no partition table") && text.contains("made for sectors of 4096 bytes"), "{text}");
    bench.write(4096, &[0; 64]);
    bench.good(&["repair", "--serial", "disk.img", "--sector-size", "4096"]);
    assert!(!bench.good(&["show"]).contains("damage"));
}

#[test]
fn what_is_no_disk_has_a_reason() {
    let bench = Bench::new();
    File::create(bench.disk()).unwrap();
    let (code, text) = bench.bad(&["show"]);
    assert!(code == Some(1) && text.contains("disk.img has no size") && text.contains("next: "), "{text}");
    fs::write(bench.disk(), [0; 4096]).unwrap();
    assert!(bench.good(&["show"]).contains("no partition table"));
    let (code, text) = bench.bad(&["repair"]);
    assert!(code == Some(3) && text.contains("there is no partition table"), "{text}");
    fs::write(bench.path("undo"), "{}\n").unwrap();
    let (code, text) = bench.bad(&["undo"]);
    assert!(code == Some(3) && text.contains("it is no undo file"), "{text}");
    fs::remove_file(bench.disk()).unwrap();
    fs::create_dir(bench.disk()).unwrap();
    let (code, text) = bench.bad(&["show"]);
    assert!(code == Some(1) && text.contains("is neither a disk nor a file"), "{text}");
}
