//! Whole installations onto files, by the program itself, from a medium made here.
//!
//! Needs e2fsprogs, mtools, dosfstools, gdisk and GRUB's script checker, and to run as root (or in fakeroot), because files of several owners are copied.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "install/faults.rs"]
mod faults;
#[path = "install/fixture.rs"]
mod fixture;

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use fixture::{Fixture, GIB};

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text
}

/// The partitions by an independent program: number, first sector, last sector, GUID.
fn partition(disk: &Path, number: u32) -> (u64, u64, String, String) {
    let text = run(Command::new("sgdisk").arg("-i").arg(number.to_string()).arg(disk));
    let field = |name: &str| {
        let line =
            text.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.trim().split(' ').next().unwrap().to_lowercase()
    };
    let number = |name| field(name).parse().unwrap();
    (
        number("First sector:"),
        number("Last sector:"),
        field("Partition GUID code:"),
        field("Partition unique GUID:"),
    )
}

fn debugfs(disk: &Path, offset: u64, command: &str) -> String {
    // The option `offset` of the I/O layer, as e2fsck has it.
    run(Command::new("debugfs").args(["-R", command]).arg(format!("{}?offset={offset}", disk.display())))
}

#[test]
fn an_installation_is_complete_and_consistent() {
    let fixture = Fixture::new();
    let disk = fixture.disk("aegis-test.img", 8 * GIB);
    let license = fixture.license("server");
    let named = format!(
        "license_key = \"serv abcd 2345 678w\"\nlicense_file = \"{}\"\nhostname = ",
        license.display()
    );
    let output = fixture.install_with(&disk, &[("hostname = ", &named)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let verdict = run(Command::new("sgdisk").arg("-v").arg(&disk));
    assert!(verdict.contains("No problems found"), "{verdict}");
    let (esp, _, kind, _) = partition(&disk, 2);
    assert_eq!(kind, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    let (root, root_end, _, _) = partition(&disk, 3);
    let (data, data_end, _, guid) = partition(&disk, 5);

    check_boot_sector(&disk, partition(&disk, 1).0);
    check_slot(&fixture, &disk, root * 512, (root_end + 1) * 512);
    check_boot_files(&fixture, &disk, esp * 512);
    check_ext4(&disk, data * 512);
    let stats = debugfs(&disk, data * 512, "stats -h");
    let field = |name: &str| stats.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_string();
    assert_eq!(field("Block count:"), ((data_end + 1 - data) / 8).to_string());
    assert_eq!(field("Filesystem UUID:"), guid);
    check_data(&disk, data * 512);
    let cat = |path: &str| debugfs(&disk, data * 512, &format!("cat {path}"));
    assert_eq!(cat("/etc/upper/aegis/license-key"), "SERV-ABCD-2345-678W\n");
    assert_eq!(cat("/etc/upper/aegis/license.txt"), fs::read_to_string(license).unwrap());
    let mode = debugfs(&disk, data * 512, "stat /etc/upper/aegis/license-key");
    assert!(mode.contains("Mode:  0600"), "{mode}");
}

fn read_at(disk: &Path, offset: u64, length: usize) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; length];
    fs::File::open(disk).unwrap().read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

fn check_boot_sector(disk: &Path, bios_boot: u64) {
    let sector = read_at(disk, 0, 512);
    assert_eq!(sector[..4], [0xeb, 0x63, 0x90, 0x90], "the boot code of boot.img");
    assert_eq!(sector[0x5c..0x64], bios_boot.to_le_bytes());
    assert_eq!(sector[450], 0xee, "protective entry");
    let core = read_at(disk, bios_boot * 512, fixture::CORE.len());
    assert_eq!(core[0x1f4..0x1fc], (bios_boot + 1).to_le_bytes());
    assert_eq!(core[512..], fixture::CORE[512..]);
}

fn check_slot(fixture: &Fixture, disk: &Path, start: u64, end: u64) {
    use aegis_core::slot::{TRAILER_SIZE, Trailer};
    let image = fs::read(fixture.path("medium/aegis/root.img")).unwrap();
    assert!(read_at(disk, start, image.len()) == image);
    let trailer = Trailer::decode(&read_at(disk, end - TRAILER_SIZE as u64, TRAILER_SIZE)).unwrap();
    assert_eq!(trailer.manifest, fs::read(fixture.path("state/manifest.json")).unwrap());
    assert_eq!(trailer.signature, fs::read(fixture.path("state/manifest.json.sig")).unwrap());
}

fn check_boot_files(fixture: &Fixture, disk: &Path, offset: u64) {
    let image = format!("{}@@{offset}", disk.display());
    let read = |path: &str| run(Command::new("mtype").args(["-i", &image]).arg(format!("::{path}")));
    for (on_disk, on_medium) in [
        ("aegis/a/vmlinuz", "aegis/boot/vmlinuz"),
        ("aegis/a/initrd.img", "aegis/boot/initrd.img"),
        ("EFI/BOOT/BOOTX64.EFI", "aegis/loader/shimx64.efi"),
        ("EFI/BOOT/grubx64.efi", "aegis/loader/grubx64.efi"),
        ("EFI/BOOT/mmx64.efi", "aegis/loader/mmx64.efi"),
    ] {
        assert!(
            read(on_disk) == fs::read_to_string(fixture.path("medium").join(on_medium)).unwrap(),
            "{on_disk}"
        );
    }
    let config = read("grub/grub.cfg");
    assert_eq!(config, read("EFI/debian/grub.cfg"));
    assert!(config.contains("aegis.slot=a ro console=ttyS0,115200 console=tty0"), "{config}");
    assert!(
        run(Command::new("grub-script-check").arg("/dev/stdin").stdin({
            let path = fixture.path("grub.cfg");
            fs::write(&path, &config).unwrap();
            fs::File::open(path).unwrap()
        }))
        .is_empty()
    );
    check_fat(fixture, disk, offset);
}

fn check_fat(fixture: &Fixture, disk: &Path, offset: u64) {
    let path = fixture.path("esp.img");
    fs::write(&path, read_at(disk, offset, 1 << 30)).unwrap();
    run(Command::new("fsck.fat").arg("-n").arg(path));
}

fn check_ext4(disk: &Path, offset: u64) {
    let file = format!("{}?offset={offset}", disk.display());
    run(Command::new("e2fsck").args(["-f", "-n"]).arg(file));
}

fn check_data(disk: &Path, offset: u64) {
    let cat = |path: &str| debugfs(disk, offset, &format!("cat {path}"));
    let stat = |path: &str| debugfs(disk, offset, &format!("stat {path}"));
    assert_eq!(cat("/etc/upper/hostname"), "aegis-box\n");
    assert!(cat("/etc/upper/passwd").ends_with("ada:x:1000:1000:Ada Lovelace,,,:/home/ada:/bin/bash\n"));
    assert!(cat("/etc/upper/group").contains("sudo:x:27:ada\n"));
    let shadow = cat("/etc/upper/shadow");
    assert!(shadow.contains("\nada:$6$") && !shadow.contains("correct horse"), "{shadow}");
    assert!(stat("/etc/upper/shadow").contains("Mode:  0640"));
    assert!(stat("/etc/upper/shadow").contains("Group:    42"));
    assert!(stat("/etc/upper/localtime").contains("/usr/share/zoneinfo/Europe/Berlin"));
    assert_eq!(cat("/etc/upper/machine-id").len(), 33);
    assert!(stat("/home/ada").contains("Mode:  0700") && stat("/home/ada").contains("User:  1000"));
    assert_eq!(cat("/home/ada/.profile"), "# profile\n");
    assert!(stat("/home/ada/.profile").contains("User:  1000"));
    assert!(stat("/home/ada/.ssh/authorized_keys").contains("Mode:  0600"));
    let game = stat("/var/games/score");
    assert!(
        game.contains("Mode:  02755") && game.contains("User:     5") && game.contains("Group:    60"),
        "{game}"
    );
    assert!(game.contains("user.note"), "{game}");
    assert!(stat("/var/run").contains("Fast link dest: \"/run\""));
    assert!(stat("/var/fifo").contains("Type: FIFO"));
    assert!(stat("/var/tmp").contains("Mode:  01777"));
    assert!(stat("/root").contains("Mode:  0700"));
    assert!(stat("/etc/upper/NetworkManager/system-connections").contains("Mode:  0700"));
    assert!(
        cat("/etc/upper/NetworkManager/system-connections/wired.nmconnection")
            .contains("address1=192.0.2.10/24,192.0.2.1")
    );
    assert!(cat("/etc/upper/aegis/install.json").contains("\"edition\": \"server\""));
}

#[test]
fn a_plan_changes_nothing() {
    let fixture = Fixture::new();
    let disk = fixture.disk("aegis-test.img", 8 * GIB);
    let output = fixture.command(&disk).arg("--plan").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("ERASE file") && text.contains("5 data"), "{text}");
    assert!(!text.contains("$6$"), "the hash is nobody's business: {text}");
    assert_eq!(fs::metadata(&disk).unwrap().blocks(), 0, "still a hole");
    let json = fixture.command(&disk).args(["--plan", "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["partitions"]["entries"][4]["role"], "data");
    assert!(!json.to_string().contains("$6$"));
}

#[test]
fn a_damaged_medium_leaves_no_partition_table() {
    for (file, message) in [
        ("aegis/root.img", "copying the system failed"),
        ("aegis/boot/initrd.img", "writing the boot files failed"),
        ("aegis/loader/core.img", "writing the partition table failed"),
        ("aegis/loader/boot.img", "writing the partition table failed"),
    ] {
        let fixture = Fixture::new();
        let disk = fixture.disk("aegis-test.img", 8 * GIB);
        fixture.former_table(&disk);
        let mut bytes = fs::read(fixture.path("medium").join(file)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(fixture.path("medium").join(file), bytes).unwrap();
        let output = fixture.install(&disk, "");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(message) && text.contains(file), "{text}");
        assert!(text.contains("does not look installed"), "{text}");
        assert!(read_at(&disk, 0, 34 * 512).iter().all(|b| *b == 0), "{file}: no table at the start");
        assert!(
            read_at(&disk, 8 * GIB - 33 * 512, 33 * 512).iter().all(|b| *b == 0),
            "{file}: none at the end"
        );
    }
}

#[test]
fn refusals_leave_the_disk_as_it_was() {
    let fixture = Fixture::new();
    let check = |name: &str, size: u64, answers: (&str, &str), code: i32, message: &str| {
        let disk = fixture.disk(name, size);
        fixture.former_table(&disk);
        let before = read_at(&disk, 0, 1 << 20);
        let output = fixture.install_with(&disk, &[answers]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(message), "{text}");
        assert!(before == read_at(&disk, 0, 1 << 20));
    };
    check("aegis-test.img", 4 * GIB, ("", ""), 3, "the disk has 4.0 GiB");
    check("other.img", 8 * GIB, ("", ""), 3, "the disk is confirmed by `other.img`, not by `aegis-test.img`");
    check("aegis-test.img", 8 * GIB, ("confirm = \"aegis-test.img\"", ""), 2, "confirm is missing");
    check("aegis-test.img", 8 * GIB, ("hostname", "hostnam"), 2, "unknown field");
    check(
        "aegis-test.img",
        8 * GIB,
        ("name = \"ada\"", "name = \"www-data\""),
        2,
        "`www-data` exists already",
    );
    check(
        "aegis-test.img",
        8 * GIB,
        ("hostname", "edition = \"gamer\"\nhostname"),
        2,
        "edition is gamer, but the medium holds server",
    );
    check(
        "aegis-test.img",
        8 * GIB,
        ("hostname", "license_key = \"WORK-ABCD-2345-678R\"\nhostname"),
        2,
        "license_key is for the edition workplace, not for server",
    );
    check(
        "aegis-test.img",
        8 * GIB,
        ("hostname", "license_key = \"SERV-ABCD-2345-6789\"\nhostname"),
        2,
        "license_key is not accepted: the license key is mistyped",
    );
    check(
        "aegis-test.img",
        8 * GIB,
        ("hostname", "license_file = \"/missing\"\nhostname"),
        2,
        "license_file cannot be used: there is no file /missing",
    );
    let foreign = format!("license_file = \"{}\"\nhostname", fixture.license("gamer").display());
    check(
        "aegis-test.img",
        8 * GIB,
        ("hostname", &foreign),
        2,
        "license_file is for the edition gamer, not for server",
    );
}

#[test]
fn a_selector_must_match_exactly_one_disk() {
    let fixture = Fixture::new();
    for name in ["vda", "vdb"] {
        fixture.fake_disk(name, 8 * GIB, "same");
    }
    fixture.fake_disk("vdc", 8 * GIB, "other");
    let attempt = |serial: &str| {
        let answers =
            fixture.answers(&[("hostname = ", &format!("disk.serial = \"{serial}\"\nhostname = "))]);
        fixture.program().arg("install").arg("--answers").arg(answers).arg("--plan").output().unwrap()
    };
    for (serial, count) in [("none", 0), ("same", 2)] {
        let output = attempt(serial);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(&format!("{count} disks have serial `{serial}`, exactly one must")), "{text}");
        assert!(text.contains("serial other (vdc)"), "{text}");
    }
    let output = attempt("other");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("serial other (vdc)"), "{text}");
}

#[test]
fn partitions_begin_where_the_disk_likes_them() {
    let fixture = Fixture::new();
    let (grain, offset) = (3 << 19, 3584);
    fixture.fake_disk("vda", 8 * GIB, "aligned");
    fixture.alignment("vda", grain, offset);
    let answers = fixture.answers(&[("hostname = ", "disk.serial = \"aligned\"\nhostname = ")]);
    let mut command = fixture.program();
    let output = command.arg("install").arg("--answers").arg(answers).args(["--plan", "--json"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let entries = plan["partitions"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 5);
    for entry in entries {
        assert_eq!(entry["first"].as_u64().unwrap() * 512 % grain, offset, "{entry}");
    }
}

#[test]
fn the_disk_of_the_medium_is_refused() {
    let fixture = Fixture::new();
    fixture.fake_disk("vda", 8 * GIB, "stick");
    fs::write(fixture.path("state/boot.json"), "{\"mode\":\"live\",\"medium_device\":\"/dev/vda\"}").unwrap();
    let answers = fixture.answers(&[]);
    let output =
        fixture.program().arg("install").arg("--answers").arg(answers).arg("--plan").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("this system runs from it"), "{text}");
    let list = fixture.program().arg("devices").output().unwrap();
    assert!(String::from_utf8_lossy(&list.stdout).contains("not offered: this system runs from it"));
}

#[test]
fn too_little_room_for_temporary_files_is_found_before_the_disk_is_touched() {
    let fixture = Fixture::new();
    let disk = fixture.disk("aegis-test.img", 8 * GIB);
    fixture.former_table(&disk);
    // A sparse file of the image claims more than the temporary directory has.
    fs::File::create(fixture.path("image/var/huge")).unwrap().set_len(1 << 43).unwrap();
    let before = read_at(&disk, 0, 1 << 20);
    let output = fixture.install(&disk, "");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("are needed for a while") && text.contains("the disk was not changed"), "{text}");
    assert!(before == read_at(&disk, 0, 1 << 20));
}

#[test]
fn a_machine_that_reads_gets_every_step_and_the_end() {
    let fixture = Fixture::new();
    let disk = fixture.disk("aegis-test.img", 8 * GIB);
    let events = |output: std::process::Output| -> Vec<serde_json::Value> {
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let seen = events(fixture.install(&disk, "--json"));
    let steps: Vec<_> =
        seen.iter().filter(|e| e["event"] == "done").map(|e| e["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["prepare", "wipe", "image", "boot-files", "data", "verify", "slot", "table"]);
    assert_eq!(seen.last().unwrap()["event"], "installed");
    fs::write(fixture.path("medium/aegis/root.img"), vec![0; 5 << 20]).unwrap();
    let seen = events(fixture.install(&disk, "--json"));
    let last = seen.last().unwrap();
    assert_eq!(
        (&last["event"], &last["disk"], &last["code"]),
        (&"failed".into(), &"not-installed".into(), &1.into())
    );
}

#[test]
fn one_installer_at_a_time() {
    let fixture = Fixture::new();
    let disk = fixture.disk("aegis-test.img", 8 * GIB);
    let _held = aegis_hw::Lock::take(&fixture.path("lock")).unwrap();
    let output = fixture.install(&disk, "");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("is in use by another program"), "{text}");
}

#[test]
fn graphics_devices_are_listed_with_what_they_encode() {
    let fixture = Fixture::new();
    for (address, class, ids, driver) in [
        ("0000:00:02.0", "0x030000", ("0x8086", "0x46a6"), "i915"),
        ("0000:01:00.0", "0x030200", ("0x10de", "0x2335"), "nvidia"),
        ("0000:02:00.0", "0x030000", ("0x1002", "0x73bf"), "vfio-pci"),
    ] {
        let at = fixture.path("sys/bus/pci/devices").join(address);
        fs::create_dir_all(&at).unwrap();
        for (file, content) in [("class", class), ("vendor", ids.0), ("device", ids.1)] {
            fs::write(at.join(file), content).unwrap();
        }
        std::os::unix::fs::symlink(Path::new("../drivers").join(driver), at.join("driver")).unwrap();
    }
    fs::write(fixture.path("pci.ids"), "10de  NVIDIA Corporation\n\t2335  GH100 [H200 SXM 141GB]\n").unwrap();
    let hardware = |more: &[&str]| {
        let mut command = fixture.program();
        let output = command
            .arg("hardware")
            .args(more)
            .arg("--pci-ids")
            .arg(fixture.path("pci.ids"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = hardware(&[]);
    assert!(text.starts_with("machine  ") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(
        text.ends_with(
            "
0000:00:02.0  8086:46a6
    driver i915
    chip Tiger Lake to Raptor Lake, DG1, Xe LP; best driver: i915
    encoder ready, by table; 1 encode h264, hevc, hevc-10, vp9
0000:01:00.0  NVIDIA Corporation GH100 [H200 SXM 141GB] [10de:2335]
    driver nvidia
    chip GH100, Hopper; best driver: open
    no encoder, by table
0000:02:00.0  1002:73bf
    driver vfio-pci
    chip Navi 21, VCN 3; best driver: amdgpu
    encoder present, not usable: vfio-pci drives it, amdgpu is needed, by table;
    2 encode h264, hevc
"
        ),
        "{text}"
    );
    assert!(!hardware(&["--encoders"]).contains("H200"));
    let json: serde_json::Value = serde_json::from_str(&hardware(&["--json"])).unwrap();
    assert_eq!(json["gpus"][1]["encoder"]["state"], "none");
    assert_eq!(json["gpus"][2]["encoder"]["needs"][0], "amdgpu");
}
