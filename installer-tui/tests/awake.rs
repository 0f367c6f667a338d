//! The lock that keeps the machine awake, against a program in the place of `systemd-inhibit`.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.path("bin")).unwrap();
        for tool in ["cat", "rm", "touch", "sleep", "sh"] {
            let real = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(tool));
            symlink(real.iter().find(|path| path.exists()).unwrap(), bench.path("bin").join(tool)).unwrap();
        }
        File::create(bench.path("device")).unwrap().set_len(64 << 20).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fake(&self, script: &str) {
        let path = self.path("bin/systemd-inhibit");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.args(arguments).args(["--lock", "lock", "--state", "run"]).env("PATH", self.path("bin"));
        command.current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap()
    }
}

const VERBS: [&[&str]; 3] = [
    &["restore-stick", "device", "--serial", "device"],
    &["backup", "device", "a.img", "--overwrite"],
    &["flash", "a.img", "--to", "device", "--serial", "device"],
];

#[test]
fn the_lock_is_held_while_something_is_written_and_given_back() {
    let bench = Bench::new();
    // As the real one: the command runs while the lock is held, which here is a file.
    bench.fake("echo \"$@\" >> asked; touch held; while [ \"${1#--}\" != \"$1\" ]; do shift; done; \"$@\"; rm held; touch given-back");
    for verb in VERBS {
        let output = bench.run(verb);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        assert!(bench.path("given-back").exists() && !bench.path("held").exists(), "{verb:?}");
        fs::remove_file(bench.path("given-back")).unwrap();
        let asked = fs::read_to_string(bench.path("asked")).unwrap();
        let words = "--what=sleep:shutdown:handle-lid-switch --who=aegis-installer --why=";
        assert!(asked.starts_with(words) && asked.trim_end().ends_with("--mode=block cat"), "{asked}");
        fs::remove_file(bench.path("asked")).unwrap();
    }
    // What only looks asks for nothing.
    assert!(bench.run(&["restore-stick", "device", "--plan"]).status.success());
    assert!(!bench.path("asked").exists());
}

#[test]
fn without_the_lock_the_work_is_done_and_the_reason_told_once() {
    for (script, what) in [
        (None, "there is no systemd-inhibit"),
        (
            Some("echo 'Failed to connect to bus: No such file or directory' >&2; exit 1"),
            "Failed to connect to bus",
        ),
        (Some("exit 1"), "ended without a word"),
        (Some("exec sleep 60"), "does not answer"),
    ] {
        let bench = Bench::new();
        script.into_iter().for_each(|script| bench.fake(script));
        let begun = Instant::now();
        let output = bench.run(VERBS[0]);
        assert!(output.status.success(), "{output:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("note: ") && errors.contains(what), "{errors}");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
