//! `aegis-installer backup` on files, and what it makes as `verify` and `flash` take it.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs::{self, File, OpenOptions},
    io, iter,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use aegis_core::crypto::Sha256;
use aegis_hw::{Bytes, Error as DiskError, Tree, target::Source, tree::Roots};
use aegis_installer::{
    Error,
    backup::{self, BackupPlan, Bad, Wishes},
    flash::Failure,
};

const MIB: usize = 1 << 20;

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// A device of 9 MiB and some sectors, mostly zeros.
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.path("sys/block")).unwrap();
        fs::create_dir_all(bench.path("proc/self")).unwrap();
        fs::write(bench.path("proc/self/mountinfo"), "1 0 0:1 / / rw - tmpfs tmpfs rw\n").unwrap();
        let device = File::create(bench.device()).unwrap();
        device.set_len(9 * MIB as u64 + 1536).unwrap();
        let mut state = 1u32;
        let noise: Vec<u8> = iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(300_000)
        .collect();
        device.write_all_at(&noise, 0).unwrap();
        device.write_all_at(&noise, 5 * MIB as u64 - 777).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn device(&self) -> PathBuf {
        self.path("device")
    }

    fn run(&self, verb: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.arg(verb).args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        command.arg("--sysfs-root").arg(self.path("sys")).arg("--proc-root").arg(self.path("proc"));
        command.arg("--state").arg(self.path("run")).arg("--lock").arg(self.path("lock"));
        command.output().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let known = ["sys", "proc", "device", "lock"];
        let entries = fs::read_dir(self.dir.path()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !known.contains(&name.as_str())).collect();
        names.sort();
        names
    }

    fn tree(&self) -> Tree {
        let root = |name: &str| self.path(name);
        Tree::live(Roots { sysfs: root("sys"), proc: root("proc"), ..Roots::default() })
    }

    fn plan(&self, file: &str, wishes: Wishes) -> Result<BackupPlan, Error> {
        BackupPlan::new(&self.tree(), &self.device(), &self.path(file), wishes)
    }
}

fn text(output: &Output) -> String {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{errors}")
}

#[test]
fn every_format_holds_the_device_and_is_found_right() {
    let bench = Bench::new();
    let device = fs::read(bench.device()).unwrap();
    for (name, content, tool) in [
        ("stick.img", "stick.img", None),
        ("stick.img.zst", "stick.img", Some("zstd")),
        ("stick.img.gz", "stick.img", Some("gzip")),
        ("stick.img.xz", "stick.img", Some("xz")),
    ] {
        let output = bench.run("backup", &["device", name]);
        assert!(output.status.success(), "{}", text(&output));
        let sha256 = Sha256::of(&device).to_string();
        assert!(text(&output).contains(&sha256), "{}", text(&output));
        let sums = fs::read_to_string(bench.path(&format!("{name}.sha256"))).unwrap();
        assert_eq!(sums, format!("{sha256}  {content}\n"));
        match tool {
            None => {
                assert!(fs::read(bench.path(name)).unwrap() == device);
                let stored = bench.path(name).metadata().unwrap().blocks() * 512;
                assert!(stored < 700_000, "zeros are holes: {stored}");
            }
            Some(tool) => {
                let unpacked = Command::new(tool).args(["-dc"]).arg(bench.path(name)).output().unwrap();
                assert!(unpacked.status.success() && unpacked.stdout == device, "{tool}");
            }
        }
        let output = bench.run("verify", &[name, "--device", "device"]);
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains("it is the image that"), "{}", text(&output));
        let other = bench.path("other");
        File::create(&other).unwrap().set_len(device.len() as u64).unwrap();
        let output = bench.run("flash", &[name, "--to", "other", "--serial", "other"]);
        assert!(output.status.success() && fs::read(&other).unwrap() == device, "{}", text(&output));
    }
}

#[test]
fn a_plan_changes_nothing() {
    let bench = Bench::new();
    let output = bench.run("backup", &["device", "a.img.xz", "--plan"]);
    assert!(output.status.success() && text(&output).contains("compressed by xz"), "{}", text(&output));
    let output = bench.run("backup", &["device", "a.img", "--plan", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((plan["format"].as_str(), plan["overwrite"].as_bool()), (Some("raw"), Some(false)));
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn json_is_a_value_a_line() {
    let bench = Bench::new();
    let output = bench.run("backup", &["device", "a.img", "--json"]);
    let events: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let phases: Vec<_> = events.iter().filter_map(|event| event["phase"].as_str()).collect();
    assert!(phases.contains(&"copy") && phases.contains(&"verify"), "{events:?}");
    let last = events.last().unwrap();
    assert_eq!(
        (last["event"].as_str(), last["bytes"].as_u64()),
        (Some("complete"), Some(9 * MIB as u64 + 1536))
    );
    for (seq, event) in events.iter().filter(|event| event["event"] == "progress").enumerate() {
        assert_eq!(event["seq"].as_u64(), Some(seq as u64));
    }
    let output = bench.run("backup", &["device", "a.img", "--json"]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn nothing_is_replaced_unasked() {
    let bench = Bench::new();
    for taken in ["a.img", "a.img.sha256"] {
        fs::write(bench.path(taken), "mine").unwrap();
        let output = bench.run("backup", &["device", "a.img"]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains("--overwrite"));
        assert_eq!(
            (bench.names(), fs::read(bench.path(taken)).unwrap()),
            (vec![taken.into()], b"mine".to_vec())
        );
        fs::remove_file(bench.path(taken)).unwrap();
    }
    fs::write(bench.path("a.img"), "mine").unwrap();
    assert!(bench.run("backup", &["device", "a.img", "--overwrite"]).status.success());
    assert_eq!(bench.path("a.img").metadata().unwrap().len(), 9 * MIB as u64 + 1536);
    assert_eq!(bench.names(), ["a.img", "a.img.sha256"]);
}

#[test]
fn bad_places_for_a_file() {
    let bench = Bench::new();
    fs::create_dir(bench.path("directory")).unwrap();
    std::os::unix::fs::symlink("device", bench.path("link.img")).unwrap();
    fs::hard_link(bench.device(), bench.path("same.img")).unwrap();
    let before = bench.names();
    for (file, what) in [
        ("device", "would be on the device that is read"),
        ("same.img", "would be on the device that is read"),
        ("directory", "is no regular file"),
        ("link.img", "is no regular file"),
        ("a.img.bz2", "the ending of a format that is not written"),
        ("nowhere/a.img", "No such file or directory"),
        ("/dev/null", "is no regular file"),
    ] {
        for overwrite in [&[][..], &["--overwrite"]] {
            let output = bench.run("backup", &[&["device", file], overwrite].concat());
            assert!(!output.status.success() && text(&output).contains(what), "{file}: {}", text(&output));
        }
    }
    let output = bench.run("backup", &["device", "a", "--format", "zst"]);
    assert!(text(&output).contains("its name has no ending"), "{}", text(&output));
    let output = bench.run("backup", &["/dev/null", "a.img"]);
    assert!(!output.status.success(), "{}", text(&output));
    File::create(bench.path("empty")).unwrap();
    let output = bench.run("backup", &["empty", "a.img"]);
    assert!(text(&output).contains("has no size"), "{}", text(&output));
    fs::remove_file(bench.path("empty")).unwrap();
    assert_eq!(bench.names(), before);
}

/// A device with bad places.
struct Worn {
    file: File,
    bad: Vec<u64>,
}

impl Source for Worn {
    fn path(&self) -> &Path {
        Path::new("/dev/worn")
    }

    fn size(&self) -> Bytes {
        Bytes(self.file.metadata().unwrap().len())
    }

    fn sector_size(&self) -> u32 {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let end = offset + buffer.len() as u64;
        let error = |source| DiskError::Io { operation: "read", path: self.path().into(), source };
        if self.bad.iter().any(|at| (offset..end).contains(at)) {
            return Err(error(io::Error::from_raw_os_error(libc::EIO)));
        }
        self.file.read_exact_at(buffer, offset).map_err(error)
    }
}

#[test]
fn a_bad_place_ends_the_copy_and_leaves_no_file() {
    let bench = Bench::new();
    let at = 5 * MIB as u64 + 5000;
    let worn = Worn { file: File::open(bench.device()).unwrap(), bad: vec![at] };
    let plan = bench.plan("a.img", Wishes::default()).unwrap();
    let error = backup::copy(&plan, &worn, &mut |_| true).unwrap_err();
    let Error::Backup { source, .. } = &error else { panic!("{error}") };
    assert!(
        matches!(**source, Failure::Device { operation: "read", offset, .. } if offset == at / 4096 * 4096)
    );
    assert_eq!(bench.names(), [""; 0]);

    let plan = bench.plan("a.img", Wishes { skip_errors: true, ..Wishes::default() }).unwrap();
    let done = backup::copy(&plan, &worn, &mut |_| true).unwrap();
    let offset = at / 4096 * 4096;
    assert_eq!(done.bad, [Bad { offset, length: 4096 }]);
    let mut expected = fs::read(bench.device()).unwrap();
    let start = usize::try_from(offset).unwrap();
    expected[start..start + 4096].fill(0);
    assert!(fs::read(bench.path("a.img")).unwrap() == expected);
    assert_eq!(done.sha256, Sha256::of(&expected));
}

#[test]
fn stopping_leaves_no_file_and_the_former_one_as_it_was() {
    let bench = Bench::new();
    fs::write(bench.path("a.img"), "mine").unwrap();
    let source = Worn { file: File::open(bench.device()).unwrap(), bad: Vec::new() };
    let plan = bench.plan("a.img", Wishes { overwrite: true, ..Wishes::default() }).unwrap();
    let error = backup::copy(&plan, &source, &mut |_| false).unwrap_err();
    assert!(
        matches!(&error, Error::Backup { source, .. } if matches!(**source, Failure::Cancelled)),
        "{error}"
    );
    assert_eq!(
        (bench.names(), fs::read(bench.path("a.img")).unwrap()),
        (vec!["a.img".into()], b"mine".to_vec())
    );
}

/// As Ctrl-C does it.
#[test]
fn a_signal_ends_the_copy_and_leaves_no_file() {
    let bench = Bench::new();
    let device = OpenOptions::new().write(true).open(bench.device()).unwrap();
    device.set_len(200 << 30).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_aegis-installer"))
        .args(["backup", "device", "a.img", "--state", "run"])
        .current_dir(bench.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Before it is asked, it has said what it thinks of sleep, or made its file.
    while !bench.names().iter().any(|name| name.ends_with(".partial")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        thread::sleep(Duration::from_millis(20));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("stopped on request"), "{}", text(&output));
    assert_eq!(bench.names(), [""; 0]);
}

/// The limit on the size of files stands for a full disk: writing fails in its midst.
#[test]
fn a_file_that_cannot_be_written_leaves_nothing() {
    let bench = Bench::new();
    let program = env!("CARGO_BIN_EXE_aegis-installer");
    let script = format!("trap '' XFSZ; ulimit -f 1024; exec {program} backup device a.img --state run");
    let output = Command::new("bash").args(["-c", &script]).current_dir(bench.dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("takes no file so large"), "{}", text(&output));
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn a_device_that_changed_is_not_read() {
    let bench = Bench::new();
    let plan = bench.plan("a.img", Wishes::default()).unwrap();
    OpenOptions::new().write(true).open(bench.device()).unwrap().set_len(MIB as u64).unwrap();
    let error = backup::run(&plan, &mut |_| true).unwrap_err();
    assert!(matches!(error, Error::Disk(DiskError::Identity { .. })), "{error}");
    assert_eq!(bench.names(), [""; 0]);
}
