//! `flash` as a program: sessions, several images, and every input that is refused. Regular files stand for sticks, and
//! recorded machines for those that must not be harmed.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// A directory with images and files in place of sticks.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn image(&self, name: &str, length: usize) -> Vec<u8> {
        let mut state = u32::try_from(name.len()).unwrap();
        let content: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        fs::write(self.path(name), &content).unwrap();
        content
    }

    fn stick(&self, name: &str, mib: usize) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, vec![0x5a; mib * MIB]).unwrap();
        path
    }

    /// `aegis-installer` in this directory, away from the machine's own lock.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        let (lock, state) = (self.path("lock"), self.path("no-state"));
        command.current_dir(self.0.path()).arg("--lock").arg(lock).arg("--state").arg(state);
        command.args(arguments).output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(output.stderr));
        text(output.stdout)
    }

    /// What is printed on standard error of a command that fails with an exit code and says what to do next.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains("\n  next: "), "{arguments:?}: {text}");
        text
    }

    /// As [`Desk::fails`], on a recorded machine, without writing.
    fn refused(&self, machine: &str, code: i32, arguments: &[&str]) -> String {
        let machine = format!("{}/../tests/fixtures/{machine}.machine", env!("CARGO_MANIFEST_DIR"));
        let mut all = vec!["--sysroot", &machine, "flash", "--plan"];
        all.extend(arguments);
        self.fails(code, &all)
    }
}

fn is_untouched(stick: &Path) -> bool {
    fs::read(stick).unwrap().iter().all(|byte| *byte == 0x5a)
}

fn holds(stick: &Path, image: &[u8]) -> bool {
    fs::read(stick).unwrap().starts_with(image)
}

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn several_images_go_to_several_devices_in_one_run() {
    let desk = Desk::new();
    let (one, other) = (desk.image("one.img", 3 * MIB), desk.image("another.img", 2 * MIB + 77));
    let (a, b) = (desk.stick("a", 8), desk.stick("b", 8));
    let devices = ["--to", "a", "--to", "b", "--serial", "a", "--serial", "b"];
    let text = desk.succeeds(&[&["flash", "one.img", "another.img"], &devices[..]].concat());
    assert!(holds(&a, &one) && holds(&b, &other));
    assert_eq!(text.matches(": complete and read back").count(), 2, "{text}");
    let table: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("device ")).collect();
    assert_eq!(table.len(), 3, "{text}");
    assert!(table[1].starts_with("a ") && table[1].contains("complete") && table[1].ends_with("one.img"));
    assert!(table.iter().all(|line| line.len() <= 80), "{text}");
    // One image for all of them.
    let text = desk.succeeds(&[&["flash", "another.img", "--json"], &devices[..]].concat());
    assert!(holds(&a, &other) && holds(&b, &other));
    let events = events(&text);
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["complete"]), (&Value::from("end"), &Value::from(2)));
    let order: Vec<_> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "{order:?}");
}

#[test]
fn any_other_number_of_images_is_a_usage_error() {
    let desk = Desk::new();
    for name in ["x", "y", "z"] {
        desk.image(name, MIB);
    }
    let stick = desk.stick("a", 4);
    let other = desk.stick("b", 4);
    for images in [&["x", "y"][..], &["x", "y", "z"]] {
        let text = desk.fails(2, &[&["flash", "--to", "a"], images].concat());
        assert!(text.contains(&format!("{} images for 1 devices", images.len())), "{text}");
    }
    let digest = "0".repeat(64);
    let text = desk.fails(2, &["flash", "x", "y", "--to", "a", "--to", "b", "--sha256", &digest]);
    assert!(text.contains("one --sha256 for several images"), "{text}");
    let text =
        desk.fails(3, &["flash", "x", "y", "--to", "a", "--to", "a", "--serial", "a", "--serial", "a"]);
    assert!(text.contains("it is named twice"), "{text}");
    let text =
        desk.fails(3, &["flash", "x", "y", "--to", "a", "--to", "x", "--serial", "a", "--serial", "x"]);
    assert!(text.contains("it is an image"), "{text}");
    assert!(is_untouched(&stick) && is_untouched(&other));
}

#[test]
fn a_saved_session_repeats_itself() {
    let desk = Desk::new();
    let (one, other) = (desk.image("one.img", 3 * MIB), desk.image("another.img", 2 * MIB));
    let (a, b) = (desk.stick("a", 8), desk.stick("b", 8));
    let paths = ["one.img", "another.img"].map(|name| desk.path(name).to_str().unwrap().to_owned());
    let plan = ["flash", &paths[0], &paths[1], "--to", "a", "--to", "b", "--wait-return", "5", "--update"];
    desk.succeeds(&[&plan[..], &["--plan", "--save-answers", "session.toml"]].concat());
    assert!(is_untouched(&a) && is_untouched(&b));
    let session = fs::read_to_string(desk.path("session.toml")).unwrap();
    assert!(session.contains("wait_return = 5") && session.contains("update = true"), "{session}");
    assert_eq!(session.matches("[[image.device]]\nfile = ").count(), 2, "{session}");
    let text = desk.succeeds(&["check-answers", "session.toml"]);
    assert!(text.contains("a session of writing, 2 images to 2 devices"), "{text}");
    let plans = ["flash", "--answers", "session.toml", "--plan"];
    assert_eq!(desk.succeeds(&plans), desk.succeeds(&[&plan[..], &["--plan"]].concat()));
    assert!(is_untouched(&a) && is_untouched(&b));
    let output = desk.run(&[&plan[..], &["--save-answers", "session.toml", "--plan"]].concat());
    assert_eq!(output.status.code(), Some(1), "an existing file is not overwritten");
    assert_eq!(fs::read_to_string(desk.path("session.toml")).unwrap(), session);
    desk.succeeds(&["flash", "--answers", "session.toml"]);
    assert!(holds(&a, &one) && holds(&b, &other));
    // What is not there any more is no reason to write to anything else.
    fs::remove_file(&b).unwrap();
    let text = desk.fails(1, &["flash", "--answers", "session.toml"]);
    assert!(text.contains("is neither a disk nor a file"), "{text}");
}

#[test]
fn a_session_that_breaks_rules_is_refused_with_all_of_them() {
    let desk = Desk::new();
    fs::write(
        desk.path("bad.toml"),
        "wait_return = 0\n[[image]]\npath = \"\"\n[auto]\ncount = 0\nsize = \"x\"\nconfirm = \"\"\n",
    )
    .unwrap();
    for verb in [&["check-answers", "bad.toml"][..], &["flash", "--answers", "bad.toml"]] {
        let text = desk.fails(2, verb);
        for field in ["wait_return", "image number 1", "auto.count", "auto.size"] {
            assert!(text.contains(&format!("\n  {field}")), "{field}: {text}");
        }
    }
    fs::write(desk.path("bad.toml"), "[[image]]\npath = \"x\"\nwhatever = 1\n").unwrap();
    let text = desk.fails(2, &["check-answers", "bad.toml"]);
    assert!(text.contains("unknown field `whatever`"), "{text}");
}

#[test]
fn sessions_name_sticks_by_what_they_are() {
    let desk = Desk::new();
    desk.image("x.img", MIB);
    let machine = format!("{}/../tests/fixtures/usb-hub-20.machine", env!("CARGO_MANIFEST_DIR"));
    let list: Value =
        serde_json::from_str(&desk.succeeds(&["--sysroot", &machine, "devices", "--json"])).unwrap();
    let sticks: Vec<&Value> = list["disks"].as_array().unwrap().iter().map(|one| &one["disk"]).collect();
    let free = |disk: &&&Value| disk["usb"].is_object() && disk["uses"].as_array().unwrap().is_empty();
    let nodes: Vec<&str> = sticks.iter().filter(free).map(|disk| disk["node"].as_str().unwrap()).collect();
    assert!(nodes.len() >= 10, "{nodes:?}");
    let image = desk.path("x.img").to_str().unwrap().to_owned();
    let mut plan = vec!["--sysroot", &machine, "flash", &image, "--plan", "--save-answers", "hub.toml"];
    nodes.iter().for_each(|node| plan.extend(["--to", node]));
    let printed = desk.succeeds(&plan);
    let again = desk.succeeds(&["--sysroot", &machine, "flash", "--plan", "--answers", "hub.toml"]);
    assert_eq!(printed, again);
    let session = fs::read_to_string(desk.path("hub.toml")).unwrap();
    assert!(!session.contains("/dev/"), "{session}");
}

#[test]
fn images_that_are_none_are_refused() {
    let desk = Desk::new();
    let stick = desk.stick("a", 4);
    fs::create_dir(desk.path("directory")).unwrap();
    File::create(desk.path("empty")).unwrap();
    for (image, said) in [
        ("directory", "it is no regular file"),
        ("/dev/null", "it is no regular file"),
        ("empty", "it is empty"),
        ("missing", "cannot open"),
    ] {
        let text = desk.fails(1, &["flash", image, "--to", "a", "--serial", "a"]);
        assert!(text.contains(said), "{image}: {text}");
    }
    desk.image("large", 5 * MIB);
    let text = desk.fails(3, &["flash", "large", "--to", "a", "--serial", "a"]);
    assert!(text.contains("it is too small, the image has 5.0 MiB"), "{text}");
    fs::write(desk.path("broken.gz"), b"\x1f\x8b\x08\0\0\0\0\0\0\x03nothing of deflate").unwrap();
    let text = desk.fails(1, &["flash", "broken.gz", "--to", "a", "--serial", "a"]);
    assert!(text.contains("the image is not readable at byte 0"), "{text}");
    assert!(is_untouched(&stick));
}

#[test]
fn targets_that_are_none_are_refused() {
    let desk = Desk::new();
    desk.image("x.img", MIB);
    // A directory with the name of a disk is not that disk.
    for name in ["sda", "vda", "nvme0n1", "loop0"] {
        fs::create_dir(desk.path(name)).unwrap();
        let text = desk.fails(1, &["flash", "x.img", "--to", name]);
        assert!(text.contains(&format!("{name} is neither a disk nor a file")), "{text}");
    }
    let text = desk.fails(1, &["flash", "x.img", "--to", "/dev/null"]);
    assert!(text.contains("/dev/null is neither a disk nor a file"), "{text}");
    let text = desk.fails(1, &["flash", "x.img", "--to", "missing"]);
    assert!(text.contains("cannot look at missing"), "{text}");
    let text = desk.fails(3, &["flash", "x.img", "--to", "x.img"]);
    assert!(text.contains("it is the image itself"), "{text}");
    let stick = desk.stick("a", 4);
    let text = desk.fails(3, &["flash", "x.img", "--to", "a", "--serial", "b"]);
    assert!(text.contains("is confirmed by `a`, not by `b`"), "{text}");
    assert!(is_untouched(&stick));
}

#[test]
fn a_link_leads_to_what_it_names_and_is_no_second_device() {
    let desk = Desk::new();
    let image = desk.image("x.img", MIB);
    let stick = desk.stick("real", 4);
    symlink("real", desk.path("link")).unwrap();
    let text = desk.fails(3, &["flash", "x.img", "--to", "link", "--serial", "link"]);
    assert!(text.contains("is confirmed by `real`"), "{text}");
    let both = ["flash", "x.img", "--to", "link", "--to", "real", "--serial", "real", "--serial", "real"];
    assert!(desk.fails(3, &both).contains("it is named twice"));
    symlink("x.img", desk.path("image-again")).unwrap();
    let text = desk.fails(3, &["flash", "x.img", "--to", "image-again", "--serial", "x.img"]);
    assert!(text.contains("it is the image itself"), "{text}");
    assert!(is_untouched(&stick));
    desk.succeeds(&["flash", "x.img", "--to", "link", "--serial", "real"]);
    assert!(holds(&stick, &image));
}

#[test]
fn a_busy_device_is_told_with_the_program_that_has_it() {
    use nix::fcntl::{Flock, FlockArg};
    let desk = Desk::new();
    desk.image("x.img", MIB);
    let stick = desk.stick("a", 4);
    let held = Flock::lock(File::open(&stick).unwrap(), FlockArg::LockExclusive).unwrap();
    let text = desk.fails(3, &["flash", "x.img", "--to", "a", "--serial", "a"]);
    let own = format!("(process {})", std::process::id());
    assert!(text.contains("a is in use by flash_lines") && text.contains(&own), "{text}");
    drop(held);
    assert!(is_untouched(&stick));
}

#[test]
fn disks_that_must_not_be_written_are_refused_by_every_name() {
    let desk = Desk::new();
    desk.image("x.img", MIB);
    let text = desk.refused("workstation-raid", 3, &["x.img", "--to", "/dev/nvme0n1"]);
    assert!(text.contains("is mounted at /, through md0, vg0-root"), "{text}");
    let text = desk.refused("workstation-raid", 3, &["x.img", "--to", "/dev/nvme0n1p2"]);
    assert!(text.contains("/dev/nvme0n1p2 is no disk of its own, it is on nvme0n1"), "{text}");
    let text = desk.refused("card-reader", 3, &["x.img", "--to", &empty_slot(&desk)]);
    assert!(text.contains("there is no medium in it"), "{text}");
}

/// A drive without a medium of the machine with a card reader.
fn empty_slot(desk: &Desk) -> String {
    let machine = format!("{}/../tests/fixtures/card-reader.machine", env!("CARGO_MANIFEST_DIR"));
    let list: Value =
        serde_json::from_str(&desk.succeeds(&["--sysroot", &machine, "devices", "--json"])).unwrap();
    let empty = list["disks"].as_array().unwrap().iter().find(|one| one["disk"]["size"] == 0).unwrap();
    empty["disk"]["node"].as_str().unwrap().into()
}

#[test]
fn a_table_for_other_sectors_is_refused() {
    let desk = Desk::new();
    let mut image = desk.image("gpt.img", MIB);
    image[512..520].copy_from_slice(b"EFI PART");
    fs::write(desk.path("gpt.img"), &image).unwrap();
    let machine = format!("{}/../tests/fixtures/disks-4kn.machine", env!("CARGO_MANIFEST_DIR"));
    let list: Value =
        serde_json::from_str(&desk.succeeds(&["--sysroot", &machine, "devices", "--json"])).unwrap();
    let disks = list["disks"].as_array().unwrap();
    let free = |one: &&Value| one["disk"]["logical_sector"] == 4096 && one["refused"] == Value::Array(vec![]);
    let node = disks.iter().find(free).unwrap()["disk"]["node"].as_str().unwrap().to_owned();
    let text = desk.refused("disks-4kn", 3, &["gpt.img", "--to", &node]);
    let said = "its sectors have 4096 bytes, the partition table of the image is for sectors of 512";
    assert!(text.contains(said), "{text}");
    image[4096..4104].copy_from_slice(b"EFI PART");
    fs::write(desk.path("gpt.img"), &image).unwrap();
    desk.succeeds(&["--sysroot", &machine, "flash", "--plan", "gpt.img", "--to", &node]);
}

#[test]
fn sticks_are_not_taken_without_limits_and_consent() {
    let desk = Desk::new();
    desk.image("x.img", MIB);
    let output = desk.run(&["flash", "x.img", "--auto", "2"]);
    assert_eq!(output.status.code(), Some(2));
    for consent in [&[][..], &["--serial", "1 blank"], &["--serial", "2"]] {
        let arguments = [&["flash", "x.img", "--auto", "2", "--auto-size", "1GB..64GB"], consent].concat();
        let text = desk.fails(3, &arguments);
        assert!(text.contains("is confirmed by `2 blank`"), "{text}");
    }
    let text = desk.succeeds(&["flash", "x.img", "--auto", "2", "--auto-size", "1GB..64GB", "--plan"]);
    assert!(text.contains("the next 2 blank USB sticks of 953.6 MiB to 59.6 GiB"), "{text}");
    assert!(text.contains("confirmed by `2 blank`"), "{text}");
}

/// The receipts of a directory, without signatures.
fn receipts(directory: &Path) -> Vec<Value> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

#[test]
fn every_stick_has_a_receipt_that_says_what_became_of_it() {
    let desk = Desk::new();
    desk.image("aegis-server-0.1.0.iso", 3 * MIB);
    // Of the second image the end is missing, after its start was found good.
    let whole =
        Command::new("gzip").arg("-c").arg(desk.path("aegis-server-0.1.0.iso")).output().unwrap().stdout;
    fs::write(desk.path("short.img.gz"), &whole[..whole.len() - 100]).unwrap();
    let (a, b) = (desk.stick("a", 8), desk.stick("b", 8));
    let arguments = [
        "flash",
        "aegis-server-0.1.0.iso",
        "short.img.gz",
        "--to",
        "a",
        "--to",
        "b",
        "--serial",
        "a",
        "--serial",
        "b",
        "--receipts",
        "out/receipts",
        "--save-answers",
        "session.toml",
    ];
    let output = desk.run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("aegis-server-0.1.0 | ") && line.len() <= 80), "{text}");
    let found = receipts(&desk.path("out/receipts"));
    let of = |node: &Path| {
        found.iter().find(|receipt| receipt["device"]["node"] == node.to_str().unwrap()).unwrap()
    };
    let (good, bad) = (of(&a), of(&b));
    assert_eq!((&good["outcome"], &good["verified"]), (&"complete".into(), &(3 * MIB).into()), "{good:#}");
    assert_eq!((&good["device"]["size"], &good["format"]), (&(8 * MIB).into(), &1.into()));
    assert!(good["label"].as_str().unwrap().starts_with("aegis-server-0.1.0 | "));
    assert_eq!(bad["outcome"], "not-bootable", "{bad:#}");
    assert!(bad["error"].as_str().unwrap().contains("the image is not readable"), "{bad:#}");
    assert!(bad["label"].as_str().unwrap().contains("NOT BOOTABLE"));
    // The session writes receipts again.
    let session = fs::read_to_string(desk.path("session.toml")).unwrap();
    assert!(session.contains("out/receipts"), "{session}");
    desk.run(&["flash", "--answers", "session.toml"]);
    assert_eq!(receipts(&desk.path("out/receipts")).len(), 4);
}

#[test]
fn without_room_for_receipts_nothing_is_begun() {
    let desk = Desk::new();
    desk.image("x.img", MIB);
    let stick = desk.stick("a", 4);
    File::create(desk.path("file")).unwrap();
    let arguments = ["flash", "x.img", "--to", "a", "--serial", "a", "--receipts"];
    let output = desk.run(&[&arguments[..], &["file"]].concat());
    assert_eq!(output.status.code(), Some(1));
    // No file may have more than a few kilobytes.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let mut command = Command::new("sh");
    command.current_dir(desk.path("")).args(["-c", script, "sh", env!("CARGO_BIN_EXE_aegis-installer")]);
    command.arg("--lock").arg(desk.path("lock")).args(arguments).arg("out");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot write receipts to ") && text.contains("next: "), "{text}");
    assert!(is_untouched(&stick));
}

#[test]
fn ctrl_c_ends_a_run_with_what_became_of_each_device() {
    use std::io::{BufRead, BufReader, Read};

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    let desk = Desk::new();
    let length = 1 << 30;
    File::create(desk.path("large.img")).unwrap().set_len(length).unwrap();
    let stick = desk.stick("a", 1);
    File::options().write(true).open(&stick).unwrap().set_len(length).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_aegis-installer"))
        .current_dir(desk.path(""))
        .arg("--lock")
        .arg(desk.path("lock"))
        .args(["flash", "large.img", "--to", "a", "--serial", "a", "--json", "--receipts", "out"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.find(|line| line.as_ref().unwrap().contains(r#""phase":"write""#)).unwrap().unwrap();
    assert!(first.contains("progress"), "{first}");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let rest: Vec<Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let of =
        |name: &str| rest.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("{rest:?}"));
    of("stopping");
    assert_eq!(
        (&of("failed")["error"], &of("end")["failed"]),
        (&"error: stopped on request".into(), &1.into())
    );
    assert_eq!(receipts(&desk.path("out"))[0]["outcome"], "not-bootable");
    let mut first = [1; 512];
    File::open(&stick).unwrap().read_exact(&mut first).unwrap();
    assert_eq!(first, [0; 512], "it looks like a medium");
}
