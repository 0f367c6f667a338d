//! The builder on real packages: same inputs, same bytes, also after a build that was cut off.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use aegis_tests::host;

/// Copies a tree by hard links where it can: packages are large and never change.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("the tree can be read").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source).expect("a link"), target)
                .expect("a link can be made");
        } else if source.is_dir() {
            copy_tree(&source, &target);
        } else if fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target).expect("a file can be copied");
        }
    }
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("aegis")
}

/// Starts a build and kills it, with everything that it started, when it begins a stage.
fn cut_off(build: &mut Command, stage: &str) {
    let mut child = build.arg("--json").stdout(Stdio::piped()).spawn().expect("aegis can be started");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let begun = format!("\"stage\":\"{stage}\"");
    let seen =
        lines.map_while(Result::ok).any(|line| line.contains("\"event\":\"stage\"") && line.contains(&begun));
    assert!(seen, "the build ended before the stage {stage}");
    let group = format!("-{}", child.id());
    let killed = Command::new("kill").args(["-KILL", "--", &group]).status().expect("kill can be started");
    assert!(killed.success());
    assert!(!child.wait().expect("it was started").success());
}

/// A second person, with another directory, umask, language, time zone and an empty cache of stages, builds from the
/// lock beside the ISO and gets the same bytes, although the first try is killed half-way.
#[test]
fn another_person_builds_the_same_bytes() {
    let iso = host::iso("server").expect("the server ISO is built");
    let lock = iso.with_extension("lock.json");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let place = tempfile::tempdir_in(root.join("target")).expect("a directory can be made");
    let overlays = "buildroot-external/board/aegis/rootfs-overlay";
    copy_tree(&root.join(overlays), &place.path().join("checkout").join(overlays));
    copy_tree(&cache().join("debs"), &place.path().join("cache/debs"));
    let mut build = Command::new("sh");
    build
        .process_group(0)
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(root.join("target/release/aegis"));
    build.args(["iso", "build", "--edition", "server", "--offline", "--locked"]).arg(&lock);
    build.arg("--cache").arg(place.path().join("cache"));
    build.arg("--workspace").arg(place.path().join("checkout"));
    build.arg("--binaries").arg(root.join("target"));
    build.arg("--out").arg(place.path().join("out"));
    build.env("LANG", "tr_TR.UTF-8").env("LC_ALL", "tr_TR.UTF-8").env("TZ", "Asia/Kathmandu");
    cut_off(&mut build, "rootfs");
    assert!(!place.path().join("out").exists(), "a build that was cut off leaves nothing");
    let output = build.output().expect("aegis can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ranges = format!("{}.ranges.json", iso.file_name().expect("a name").display());
    let signature = format!("{ranges}.sig");
    for name in ["manifest.json", "manifest.json.sig", "SHA256SUMS", &ranges, &signature] {
        let ours = fs::read(iso.with_file_name(name)).expect("the first build has it");
        let theirs = fs::read(place.path().join("out").join(name)).expect("the second build has it");
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs), "{name}");
    }
}

/// `aegis` with the arguments; its exit code and what it said.
fn aegis(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program can be started");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn program() -> PathBuf {
    host::target_directory().join("release/aegis")
}

/// A medium of somebody else, however well made.
#[test]
fn a_medium_is_refused_under_another_key() {
    let iso = host::iso("server").expect("the server ISO is built");
    let keys = tempfile::tempdir().expect("a directory can be made");
    let (code, text) = aegis(Command::new(program()).args(["keys", "generate", "--dir"]).arg(keys.path()));
    assert_eq!(code, Some(0), "{text}");
    let mut verify = Command::new(program());
    let (code, text) = aegis(verify.args(["iso", "verify"]).arg(&iso).arg("--keys").arg(keys.path()));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("which is not a trusted key") && text.contains("next: "), "{text}");
}

/// The disk of the outputs fills up at the last step: the error says so, and there is nothing under a final name.
#[test]
fn a_full_disk_is_named_and_nothing_is_published() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let script = "mount -t tmpfs -o size=16m none \"$1\" && { \"$2\" iso build --edition server --offline --out \"$1\"; \
                  code=$?; ls -A \"$1\" >&2; exit \"$code\"; }";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(place.path()).arg(program());
    let (code, text) = aegis(&mut command);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("error: copying ") && text.contains("No space left on device"), "{text}");
    assert!(
        text.ends_with("next: free some space, or choose other directories with --out and --cache\n"),
        "{text}"
    );
}
