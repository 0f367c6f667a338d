//! What `aegis-installer hardware` makes of drivers' libraries that behave, and of those that do not. The libraries are made
//! here from C, and found by the dynamic loader where the real ones would be.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

/// A machine with one card, and a directory of libraries.
struct Machine(tempfile::TempDir);

const ADDRESS: &str = "0000:01:00.0";

impl Machine {
    fn new(vendor: &str, device: &str, driver: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let card = place.path().join("sys/bus/pci/devices").join(ADDRESS);
        fs::create_dir_all(card.join("drm/renderD128")).unwrap();
        for (file, content) in [("class", "0x030000"), ("vendor", vendor), ("device", device)] {
            fs::write(card.join(file), format!("{content}\n")).unwrap();
        }
        let drivers = place.path().join("sys/bus/pci/drivers").join(driver);
        fs::create_dir_all(&drivers).unwrap();
        symlink(drivers, card.join("driver")).unwrap();
        fs::create_dir_all(place.path().join("dev/dri")).unwrap();
        fs::write(place.path().join("dev/dri/renderD128"), "").unwrap();
        fs::create_dir(place.path().join("lib")).unwrap();
        Self(place)
    }

    /// An RTX 4090 and NVIDIA's three libraries.
    fn nvidia() -> Self {
        let machine = Self::new("0x10de", "0x2684", "nvidia");
        machine.compile("nvml.c", "libnvidia-ml.so.1", &[]);
        machine.compile("nvenc.c", "libnvidia-encode.so.1", &[]);
        machine.compile("cuda.c", "libcuda.so.1", &[]);
        machine
    }

    /// An RX 7900 XTX and libva.
    fn amd() -> Self {
        let machine = Self::new("0x1002", "0x744c", "amdgpu");
        machine.compile("va.c", "libva.so.2", &[]);
        machine.compile("va.c", "libva-drm.so.2", &[]);
        machine
    }

    fn library(&self, name: &str) -> PathBuf {
        self.0.path().join("lib").join(name)
    }

    fn compile(&self, source: &str, library: &str, more: &[&str]) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(source);
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(self.library(library)).arg(source).args(more);
        assert!(cc.status().unwrap().success());
    }

    fn run(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        command.args(["hardware", "--drivers", "always", "--pci-ids", "/none"]).args(arguments);
        for (root, directory) in [("--sysfs-root", "sys"), ("--dev-root", "dev")] {
            command.arg(root).arg(self.0.path().join(directory));
        }
        command.env("LD_LIBRARY_PATH", self.0.path().join("lib")).envs(environment.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// What JSON says of the card when the libraries behave like this.
    fn card(&self, environment: &[(&str, &str)]) -> Value {
        let output = self.run(environment, &["--json", "--limit", "30"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["gpus"][0].clone()
    }

    /// What a source answered or why it did not.
    fn asked(&self, source: &str, environment: &[(&str, &str)]) -> Value {
        let card = self.card(environment);
        let all = card["asked"].as_array().unwrap();
        all.iter().find(|asked| asked["source"] == source).unwrap_or_else(|| panic!("{card:#}")).clone()
    }

    /// What is shown of the card, without the breaks of lines that are too long for a terminal.
    fn text(&self, environment: &[(&str, &str)]) -> String {
        let text = String::from_utf8(self.run(environment, &[]).stdout).unwrap();
        let (_machine, card) = text.split_once("\n\n").unwrap();
        card.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn names(codecs: &Value) -> Vec<&str> {
    codecs.as_array().unwrap().iter().map(|codec| codec["name"].as_str().unwrap()).collect()
}

#[test]
fn a_card_whose_encoder_was_opened() {
    let machine = Machine::nvidia();
    let text = machine.text(&[]);
    assert_eq!(
        text,
        "0000:01:00.0 10de:2684 driver nvidia, memory 24.0 GiB chip AD102, Ada; best driver: open \
         encoder ready, confirmed by probe (NVENC); 2 encode h264, h264-444, hevc, hevc-10, hevc-444, hevc-b, av1, \
         av1-10 at most 8 sessions in the system (driver 550, 2024-01)"
    );
    let card = machine.card(&[]);
    assert_eq!(card["encoder"]["evidence"], json!({ "by": "probe", "source": "nvenc" }));
    assert_eq!(card["encoder"]["codecs"][2], json!({ "name": "hevc", "largest": [8192, 8192] }));
    assert_eq!(card["encoder"]["disagreements"], json!([]));
    assert_eq!(card["asked"][0]["answer"]["version"], "550.163.01");
    assert_eq!(card["asked"][1]["answer"]["version"], "12.1");
}

#[test]
fn the_interface_is_negotiated() {
    let machine = Machine::nvidia();
    let newer = machine.asked("nvenc", &[("FAKE_NVENC", "new")]);
    assert_eq!(newer["answer"]["version"], "13.0", "{newer}");
    let older = machine.asked("nvenc", &[("FAKE_NVENC", "old")]);
    assert_eq!(older["failure"], json!({ "kind": "too-old", "version": "7.0" }));
}

#[test]
fn sessions_that_are_refused() {
    let machine = Machine::nvidia();
    for (mode, code) in [("memory", 10), ("key", 21)] {
        let card = machine.card(&[("FAKE_NVENC", mode)]);
        assert_eq!(card["encoder"]["state"], "failed");
        assert_eq!(card["encoder"]["failure"], json!({ "kind": "limit", "code": code }));
    }
    let text = machine.text(&[("FAKE_NVENC", "key")]);
    assert!(text.contains("not usable: NVENC: limit of sessions reached, or refused (code 21)"), "{text}");
    let generic = machine.asked("nvenc", &[("FAKE_NVENC", "generic")]);
    let expected = json!({ "kind": "refused", "call": "nvEncOpenEncodeSessionEx", "code": 20 });
    assert_eq!(generic["failure"], expected);
}

#[test]
fn the_driver_wins_against_the_table() {
    let machine = Machine::nvidia();
    let none = machine.card(&[("FAKE_NVENC", "none")]);
    assert_eq!(none["encoder"]["state"], "none");
    let expected = json!([{ "about": "encoder", "table": "1-3", "found": "none" }]);
    assert_eq!(none["encoder"]["disagreements"], expected);
    let engines = machine.text(&[("FAKE_NVENC", "engines")]);
    assert!(engines.contains(" engines: the table says 1-3, found 9"), "{engines}");
    // An H200 has no encoder, whatever NVML has for a number.
    let machine = Machine::new("0x10de", "0x2335", "nvidia");
    machine.compile("nvml.c", "libnvidia-ml.so.1", &[]);
    machine.compile("nvenc.c", "libnvidia-encode.so.1", &[]);
    machine.compile("cuda.c", "libcuda.so.1", &[]);
    let h200 = machine.card(&[("FAKE_NVENC", "none")]);
    assert_eq!((&h200["encoder"]["state"], &h200["encoder"]["disagreements"]), (&json!("none"), &json!([])));
    assert_eq!(h200["encoder"]["evidence"]["by"], "probe");
}

#[test]
fn what_nvml_says_counts_where_nothing_can_be_opened() {
    let machine = Machine::nvidia();
    fs::remove_file(machine.library("libnvidia-encode.so.1")).unwrap();
    machine.compile("nvml.c", "libnvidia-encode.so.1", &[]);
    let card = machine.card(&[]);
    let failure = json!({
        "kind": "library", "problem": "incomplete", "library": "libnvidia-encode.so.1",
        "function": "NvEncodeAPIGetMaxSupportedVersion",
    });
    assert_eq!(card["asked"][1]["failure"], failure);
    assert_eq!(names(&machine.asked("nvml", &[])["answer"]["codecs"]), ["h264", "hevc", "av1"]);
    // A busy encoder has no capacity left, and is one; a library that is older than a codec says nothing about it.
    assert_eq!(names(&machine.asked("nvml", &[("FAKE_NVML", "busy")])["answer"]["codecs"]).len(), 3);
    assert_eq!(names(&machine.asked("nvml", &[("FAKE_NVML", "old")])["answer"]["codecs"]), ["h264", "hevc"]);
    assert_eq!(machine.asked("nvml", &[("FAKE_NVML", "none")])["answer"]["codecs"], json!([]));
}

#[test]
fn versions_that_do_not_fit_together() {
    let machine = Machine::nvidia();
    let both = [("FAKE_NVML", "mismatch"), ("FAKE_CUDA", "mismatch")];
    let card = machine.card(&both);
    for asked in card["asked"].as_array().unwrap() {
        assert_eq!(asked["failure"], json!({ "kind": "mismatch" }));
    }
    let text = machine.text(&both);
    let reason = "the library and the kernel's module have different versions";
    assert!(text.contains(&format!("not usable: NVENC: {reason}")), "{text}");
    let absent = machine.asked("nvml", &[("FAKE_NVML", "not-loaded")]);
    assert_eq!(absent["failure"], json!({ "kind": "not-loaded" }));
}

#[test]
fn calls_that_hang_or_end_the_program() {
    let machine = Machine::nvidia();
    let output = machine.run(&[("FAKE_NVML", "hang")], &["--json", "--limit", "1"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["gpus"][0]["asked"][0]["failure"], json!({ "kind": "timed-out", "seconds": 1 }));
    for (mode, how) in [("crash", "signal: 11"), ("exit", "exit status: 0")] {
        let failure = machine.asked("nvml", &[("FAKE_NVML", mode)])["failure"].clone();
        assert_eq!(failure["kind"], "died");
        assert!(failure["how"].as_str().unwrap().starts_with(how), "{failure}");
    }
    // The answer was complete before; other sources are not touched by any of this.
    let noise = machine.card(&[("FAKE_NVML", "noise")]);
    assert_eq!(noise["asked"][0]["answer"]["name"], "NVIDIA GeForce RTX 4090");
    assert_eq!(noise["encoder"]["state"], "ready");
}

#[test]
fn libraries_that_lie() {
    let machine = Machine::nvidia();
    for (variable, source, mode, told) in [
        ("FAKE_NVML", "nvml", "lying", "4000000000 percent of capacity for h264"),
        ("FAKE_NVENC", "nvenc", "many", "1000000 codecs"),
        ("FAKE_NVENC", "nvenc", "lying", "60 codecs where there were 4"),
        ("FAKE_NVENC", "nvenc", "empty", "a function that was not filled in"),
        ("FAKE_NVENC", "nvenc", "no-handle", "a session without a handle"),
    ] {
        let failure = machine.asked(source, &[(variable, mode)])["failure"].clone();
        assert_eq!(failure, json!({ "kind": "nonsense", "what": told }), "{mode}");
    }
    let negative = machine.card(&[("FAKE_NVENC", "negative")]);
    assert_eq!(negative["encoder"]["codecs"][0], json!({ "name": "h264" }));
    let endless = machine.asked("nvml", &[("FAKE_NVML", "no-end")]);
    assert_eq!(endless["answer"]["name"].as_str().unwrap(), "x".repeat(96));
    let hostile = machine.asked("nvml", &[("FAKE_NVML", "hostile")]);
    assert_eq!(hostile["answer"]["name"], "\u{202e}0904 XTR\u{1b}[2J\u{fffd}");
    let text = machine.text(&[("FAKE_NVML", "hostile")]);
    assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn files_that_are_no_libraries() {
    let machine = Machine::nvidia();
    fs::write(machine.library("libnvidia-ml.so.1"), "not a library").unwrap();
    let failure = machine.asked("nvml", &[])["failure"].clone();
    assert_eq!((&failure["kind"], &failure["problem"]), (&json!("library"), &json!("unloadable")));
    machine.compile("nvml.c", "libnvidia-ml.so.1", &["-DWITHOUT_CAPACITY"]);
    let failure = machine.asked("nvml", &[])["failure"].clone();
    assert_eq!(failure["function"], "nvmlDeviceGetEncoderCapacity");
}

#[test]
fn va_api() {
    let machine = Machine::amd();
    let card = machine.card(&[]);
    let [kernel, va] = card["asked"].as_array().unwrap().as_slice() else { panic!("{card:#}") };
    // The file in place of the render node knows no ioctl.
    assert_eq!((&kernel["source"], &kernel["failure"]["kind"]), (&json!("kernel"), &json!("refused")));
    assert_eq!(names(&va["answer"]["codecs"]), ["av1", "h264", "hevc", "hevc-10"]);
    assert_eq!(card["encoder"]["evidence"], json!({ "by": "probe", "source": "va-api" }));
    assert!(va["answer"]["name"].as_str().unwrap().starts_with("Mesa Gallium driver"));
    let decodes = machine.card(&[("FAKE_VA", "decodes")]);
    assert_eq!(decodes["encoder"]["state"], "none");
    assert_eq!(machine.asked("va-api", &[("FAKE_VA", "nameless")])["answer"]["name"], Value::Null);
}

#[test]
fn va_api_that_fails() {
    let machine = Machine::amd();
    for (mode, failure) in [
        ("no-display", json!({ "kind": "refused", "call": "vaGetDisplayDRM", "code": 0 })),
        ("unknown", json!({ "kind": "refused", "call": "vaInitialize", "code": -1 })),
        ("negative", json!({ "kind": "nonsense", "what": "room for -1 is asked for" })),
        ("many", json!({ "kind": "nonsense", "what": "room for 1000000 is asked for" })),
        ("lying", json!({ "kind": "nonsense", "what": "41 where 40 is the most" })),
    ] {
        assert_eq!(machine.asked("va-api", &[("FAKE_VA", mode)])["failure"], failure, "{mode}");
    }
    fs::remove_file(machine.0.path().join("dev/dri/renderD128")).unwrap();
    assert_eq!(machine.asked("va-api", &[])["failure"], json!({ "kind": "no-node" }));
}

#[test]
fn drivers_that_cannot_encode_are_not_asked() {
    for driver in ["nouveau", "vfio-pci"] {
        let machine = Machine::new("0x10de", "0x2684", driver);
        let card = machine.card(&[]);
        assert_eq!((&card["asked"], &card["encoder"]["state"]), (&json!([]), &json!("unusable")), "{driver}");
        assert_eq!(card["encoder"]["evidence"], json!({ "by": "table" }));
    }
}
