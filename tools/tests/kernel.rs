//! `aegis-kernel` as a program, on a system in a directory.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Output},
};

use flate2::{Compression, write::GzEncoder};

const CONTRACT: &str = r#"{
    "format": 1, "edition": "server", "source": "6.12.118", "hardening": [212, 250], "floor": 170,
    "requests": {
        "OVERLAY_FS": {"value": "y", "layer": "feature/live"},
        "DRM_AMDGPU": {"value": "n", "layer": "hardware/server"},
        "LSM": {"value": "\"landlock,apparmor\"", "layer": "feature/hardening"}
    }
}"#;

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory can be made");
    fs::write(path, bytes).expect("a file can be written");
}

fn config(root: &Path, text: &str) {
    write(root, "proc/config.gz", b"");
    let mut file = GzEncoder::new(
        File::create(root.join("proc/config.gz")).expect("a file can be made"),
        Compression::fast(),
    );
    file.write_all(text.as_bytes()).expect("a file can be written");
    file.finish().expect("a file can be written");
}

fn run(root: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-kernel"));
    let Output { status, stdout, stderr } =
        command.arg("--root").arg(root).args(args).output().expect("the program can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_kernel_that_keeps_every_promise() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "usr/lib/aegis/kernel.json", CONTRACT.as_bytes());
    config(
        root.path(),
        "CONFIG_OVERLAY_FS=y\nCONFIG_LSM=\"landlock,apparmor\"\n# CONFIG_DRM_AMDGPU is not set\n",
    );
    let (code, out, _) = run(root.path(), &["check"]);
    assert_eq!((code, out.as_str()), (Some(0), "all 3 promises of Linux 6.12.118 for server are kept\n"));
}

#[test]
fn every_broken_promise_is_named() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "usr/lib/aegis/kernel.json", CONTRACT.as_bytes());
    config(root.path(), "CONFIG_OVERLAY_FS=m\nCONFIG_LSM=\"apparmor\"\nCONFIG_DRM_AMDGPU=m\n");
    let (code, out, _) = run(root.path(), &["check"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("CONFIG_OVERLAY_FS is m, promised is y (feature/live)"), "{out}");
    assert_eq!(out.lines().count(), 3);
    let (code, out, _) = run(root.path(), &["check", "--json"]);
    assert!(code == Some(1) && out.contains(r#""promises":3"#) && out.contains(r#""found":"m""#), "{out}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let root = tempfile::tempdir().unwrap();
    let refused = |words: &str| {
        let (code, out, err) = run(root.path(), &["check"]);
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.contains(words), "{err}");
    };
    refused("promises nothing of its kernel");
    write(
        root.path(),
        "usr/lib/aegis/kernel.json",
        CONTRACT.replace("\"format\": 1", "\"format\": 2").as_bytes(),
    );
    refused("format 2 is unknown");
    write(root.path(), "usr/lib/aegis/kernel.json", b"{");
    refused("cannot be used");
    write(root.path(), "usr/lib/aegis/kernel.json", CONTRACT.as_bytes());
    refused("does not tell its configuration");
    write(root.path(), "proc/config.gz", b"no gzip");
    refused("reading");
}
