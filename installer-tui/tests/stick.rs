//! `aegis-installer restore-stick` on files, judged by the programs that check such file systems.
//!
//! Needs sfdisk, sgdisk, fsck.fat (dosfstools), fsck.exfat and dump.exfat (exfatprogs).
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "flash/sick.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod sick;

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use aegis_hw::{Tree, tree::Roots};
use aegis_installer::{
    Error,
    error::DiskState,
    flash::Failure,
    stick::{self, FileSystem, StickPlan, Wishes},
};
use sick::{MIB, Memory};

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A device of so many bytes that held a system: a GPT, and signatures where the partition will begin.
    fn new(size: u64) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.path("sys/block")).unwrap();
        fs::create_dir_all(bench.path("proc/self")).unwrap();
        fs::write(bench.path("proc/self/mountinfo"), "1 0 0:1 / / rw - tmpfs tmpfs rw\n").unwrap();
        let device = File::create(bench.device()).unwrap();
        device.set_len(size).unwrap();
        let sgdisk = tool("/usr/sbin/sgdisk", &["-n", "1:2048:0"], &bench.device());
        assert!(sgdisk.status.success(), "{}", text(&sgdisk));
        for (offset, signature) in [(1080, &b"\x53\xef"[..]), (0x10040, b"_BHRfS_M"), (0x8001, b"CD001")] {
            device.write_all_at(signature, MIB as u64 + offset).unwrap();
            device.write_all_at(signature, offset).unwrap();
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn device(&self) -> PathBuf {
        self.path("device")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.arg("restore-stick").arg(self.device()).args(arguments).stdin(Stdio::null());
        command.arg("--sysfs-root").arg(self.path("sys")).arg("--proc-root").arg(self.path("proc"));
        command.arg("--state").arg(self.path("run")).arg("--lock").arg(self.path("lock"));
        command.output().unwrap()
    }

    /// The partition as a file of its own, with the holes of the device.
    fn partition(&self, start: u64) -> PathBuf {
        let path = self.path("partition");
        let skip = format!("skip={start}");
        let output = Command::new("dd")
            .args(["bs=1M", "iflag=skip_bytes", "conv=sparse", &skip])
            .arg(format!("if={}", self.device().display()))
            .arg(format!("of={}", path.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let length = self.device().metadata().unwrap().len() - start;
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        path
    }

    fn plan(&self, wishes: &Wishes) -> Result<StickPlan, Error> {
        let roots = Roots { sysfs: self.path("sys"), proc: self.path("proc"), ..Roots::default() };
        StickPlan::new(&Tree::live(roots), &self.device(), &BTreeSet::new(), wishes)
    }
}

fn tool(name: &str, arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(name);
    command.args(arguments).arg(file).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(output: &Output) -> String {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{errors}")
}

fn is_in_order(system: FileSystem, partition: &Path) -> String {
    let output = match system {
        FileSystem::Fat32 => tool("/usr/sbin/fsck.fat", &["-n", "-v"], partition),
        FileSystem::Exfat => tool("/usr/sbin/fsck.exfat", &["-n", "-v"], partition),
    };
    assert!(output.status.success(), "{system}: {}", text(&output));
    let report = text(&output);
    assert!(!report.to_lowercase().contains("error") && !report.contains("differ"), "{report}");
    report
}

#[test]
fn a_small_stick_becomes_fat32() {
    let bench = Bench::new(100 << 20);
    let output = bench.run(&["--label", "my stick", "--serial", "device"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("an empty FAT32 of 99.0 MiB, read back"), "{}", text(&output));
    let table = text(&tool("/usr/sbin/sfdisk", &["--dump"], &bench.device()));
    assert!(
        table.contains("label: dos") && table.contains("start=        2048, size=      202752, type=c"),
        "{table}"
    );
    let start = fs::read(bench.device()).unwrap();
    assert!(start[512..MIB].iter().all(|byte| *byte == 0), "nothing of the former table is left");
    assert!(start[start.len() - 4096..].iter().all(|byte| *byte == 0), "nor of its backup");
    let partition = bench.partition(MIB as u64);
    let report = is_in_order(FileSystem::Fat32, &partition);
    assert!(report.contains("1 files, 1/"), "{report}");
    // No other program takes it for what was there.
    let blkid = text(&tool("/usr/sbin/blkid", &["-p", "-o", "export"], &partition));
    for expected in ["TYPE=vfat", "VERSION=FAT32", "LABEL=MY\\ STICK"] {
        assert!(blkid.contains(expected), "{blkid}");
    }
    let bytes = fs::read(&partition).unwrap();
    assert_eq!((&bytes[28..32], &bytes[6 * 512 + 28..6 * 512 + 32]), (&[0, 8, 0, 0][..], &[0, 8, 0, 0][..]));
    let free = u32::from_le_bytes(bytes[512 + 488..512 + 492].try_into().unwrap());
    assert!(free > 190_000, "the free clusters are counted: {free}");
}

#[test]
fn a_large_stick_becomes_exfat() {
    // Sparse: only what is written takes room.
    let bench = Bench::new(64 << 30);
    let output = bench.run(&["--label", "Füße", "--serial", "device", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    let last: serde_json::Value =
        serde_json::from_str(text(&output).lines().rfind(|l| l.starts_with('{')).unwrap()).unwrap();
    assert_eq!(last["event"], "complete");
    let table = text(&tool("/usr/sbin/sfdisk", &["--dump"], &bench.device()));
    assert!(
        table.contains("label: dos") && table.contains("start=        2048, size=   134215680, type=7"),
        "{table}"
    );
    assert!(bench.device().metadata().unwrap().blocks() * 512 < 40 << 20);
}

#[test]
fn exfat_is_in_order() {
    for (size, cluster) in [(8 << 20, 4096), (100 << 20, 4096), (600 << 20, 32_768)] {
        let bench = Bench::new(size);
        let output = bench.run(&["--format", "exfat", "--label", "Füße", "--serial", "device"]);
        assert!(output.status.success(), "{}", text(&output));
        let partition = bench.partition(MIB as u64);
        is_in_order(FileSystem::Exfat, &partition);
        let dump = text(&tool("/usr/sbin/dump.exfat", &[], &partition));
        for expected in ["Volume label: \t\t\t\tFüße", "Upcase table size: \t\t\t5836", "Root Cluster"] {
            assert!(dump.contains(expected), "{dump}");
        }
        assert!(dump.contains(&format!("Cluster size:  \t\t\t\t{cluster}")), "{dump}");
        let blkid = text(&tool("/usr/sbin/blkid", &["-p", "-o", "export"], &partition));
        assert!(blkid.contains("TYPE=exfat"), "{blkid}");
    }
}

#[test]
fn nothing_happens_without_the_right_word() {
    let bench = Bench::new(100 << 20);
    let before = fs::read(bench.device()).unwrap();
    let (long, odd) = ("twelve chars", "a/b");
    for (arguments, code, what) in [
        (&["--plan"][..], 0, "Made       FAT32, 99.0 MiB from 1.0 MiB on, in an MBR"),
        (&["--plan", "--json"], 0, "\"file_system\": \"fat32\""),
        (&[], 3, "is confirmed by `device`, and nothing was given"),
        (&["--serial", "another"], 3, "not by `another`"),
        (&["--serial", "device", "--label", long], 2, "has more than 11 characters"),
        (&["--serial", "device", "--label", odd], 2, "has the character `/`"),
    ] {
        let output = bench.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(text(&output).contains(what), "{}", text(&output));
    }
    OpenOptions::new().write(true).open(bench.device()).unwrap().set_len(20 << 20).unwrap();
    let output = bench.run(&["--format", "fat32", "--serial", "device"]);
    assert!(text(&output).contains("the disk has 20.0 MiB"), "{}", text(&output));
    assert!(bench.run(&["--plan"]).status.success(), "exFAT fits");
    assert!(before[..20 << 20] == fs::read(bench.device()).unwrap());
}

fn memory() -> Memory {
    let memory = Memory::new(64 * MIB, 512);
    memory.sick.lock().unwrap().buffered = true;
    memory
}

/// A plan for a file of the size of the memory.
fn plan_for(memory: &Memory, system: FileSystem) -> StickPlan {
    let bench = Bench::new(memory.content().len() as u64);
    let wishes = Wishes { file_system: Some(system), random: [7; 16], ..Wishes::default() };
    bench.plan(&wishes).unwrap()
}

#[test]
fn a_stick_that_lies_or_breaks_ends_empty() {
    for system in [FileSystem::Fat32, FileSystem::Exfat] {
        for at in [MIB + 3, MIB + 70 * 1024] {
            let memory = memory();
            let plan = plan_for(&memory, system);
            memory.sick.lock().unwrap().sticks = Some(at);
            let error = stick::apply(&plan, &memory, &mut |_| true).unwrap_err();
            let Error::Flash { disk: DiskState::NotInstalled, source, .. } = &error else {
                panic!("{error}")
            };
            assert!(matches!(**source, Failure::ReadBack { .. }), "{source}");
            assert!(memory.content()[..MIB].iter().all(|byte| *byte == 0), "no table");
        }
    }
    let memory = memory();
    let plan = plan_for(&memory, FileSystem::Fat32);
    let error = stick::apply(&plan, &memory, &mut |_| false).unwrap_err();
    assert!(
        matches!(&error, Error::Flash { source, .. } if matches!(**source, Failure::Cancelled)),
        "{error}"
    );
    assert!(memory.content()[..MIB].iter().all(|byte| *byte == 0), "no table");
    stick::apply(&plan, &memory, &mut |_| true).unwrap();
    assert_eq!(memory.content()[510..512], [0x55, 0xaa]);
}
