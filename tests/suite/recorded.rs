//! Machines in QEMU that the installer on them records: what is replayed is what was there.
//!
//! `UPDATE_SNAPSHOTS=1` keeps the recordings as `tests/fixtures/qemu-*.machine`.

use std::{collections::BTreeSet, fs, path::Path};

use aegis_tests::{
    Error, Failure, TestResult, disk,
    host::patience,
    shell::Shell,
    vm::{Bus, Drive, Machine},
};

use crate::live::{self, Medium};

/// Serial numbers that must not be in a recording.
const SERIALS: [&str; 3] = ["AEGISMEDIUM", "RECORDED0001", "RECORDED0002"];

#[test]
#[ignore = "the other machine is recorded in every run; make test-all"]
fn a_machine_with_sata_and_nvme_is_recorded() -> TestResult {
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    let machine = Medium::of_edition("server")?.disk_machine("qemu-sata-nvme");
    let machine = machine.drive(drive(directory.path(), Bus::Sata, SERIALS[1])?).drive(drive(
        directory.path(),
        Bus::Nvme,
        SERIALS[2],
    )?);
    record("qemu-sata-nvme", &machine, "sda", "nvme0n1")
}

#[test]
fn a_machine_with_usb_and_virtio_is_recorded() -> TestResult {
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    let machine = Medium::of_edition("server")?.disk_machine("qemu-usb-virtio");
    let machine = machine.drive(drive(directory.path(), Bus::UsbStick, SERIALS[1])?).drive(drive(
        directory.path(),
        Bus::Virtio,
        SERIALS[2],
    )?);
    record("qemu-usb-virtio", &machine, "sda", "vda")
}

/// A disk with one partition in an MBR; the live system has no program that makes tables.
fn drive(directory: &Path, bus: Bus, serial: &str) -> Result<Drive, Error> {
    let file = directory.join(serial);
    let mut sector = [0u8; 512];
    // Type 0x83, from sector 2048 on, 131072 sectors.
    sector[450] = 0x83;
    sector[454..458].copy_from_slice(&2048u32.to_le_bytes());
    sector[458..462].copy_from_slice(&131_072u32.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    fs::write(&file, sector).map_err(Error::io("write", &file))?;
    disk::set_size(&file, 256 << 20)?;
    Ok(Drive::disk(&file, bus, serial))
}

/// Fills the disks, records the machine, and compares what the recording shows with what the machine shows.
fn record(name: &str, machine: &Machine, first: &str, second: &str) -> TestResult {
    let mut vm = machine.start()?;
    live::reach_installer(&mut vm)?;
    let mut shell = live::root_shell(&mut vm)?;
    // A file system in a partition, and one in place of a table.
    shell.run(&format!("mkfs.ext4 -q -L data /dev/{first}1 && mkfs.ext4 -q -F -L whole /dev/{second}"))?;
    shell.run(&format!("udevadm settle; mkdir /tmp/m && mount /dev/{second} /tmp/m"))?;
    shell.run("aegis-installer hardware --save /tmp/this.machine")?;
    let (status, output) = shell.status("aegis-installer hardware --save /tmp/this.machine", patience(60))?;
    assert_eq!(status, 1, "an existing file is overwritten: {output}");
    let live = seen(&mut shell, "")?;
    assert_eq!(seen(&mut shell, "--sysroot /tmp/this.machine")?, live);
    let uses = format!("{second}: {second} is mounted at /tmp/m");
    assert!(live.contains(&uses) && live.contains(&format!("{first}1: ext4 data")), "{live:#?}");
    let text = shell.run_within("cat /tmp/this.machine", patience(240))?.replace('\r', "");
    for serial in SERIALS {
        assert!(!text.contains(serial), "{serial} is in the recording:\n{text}");
    }
    keep(name, &text)
}

/// What `devices` says of each disk, without what a recording masks.
fn seen(shell: &mut Shell<'_>, options: &str) -> Result<BTreeSet<String>, Failure> {
    let text = shell.run(&format!("aegis-installer {options} devices --json"))?;
    let all: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("{error}: {text}")))?;
    let mut seen = BTreeSet::new();
    for entry in all["disks"].as_array().into_iter().flatten() {
        let disk = &entry["disk"];
        let name = disk["name"].as_str().unwrap_or_default();
        seen.insert(format!("{name}: {} {} {}", disk["size"], disk["transport"], disk["model"]));
        for partition in disk["partitions"].as_array().into_iter().flatten() {
            let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let content = &partition["content"];
            seen.insert(format!(
                "{}: {} {}",
                word(&partition["name"]),
                word(&content["kind"]),
                word(&content["label"])
            ));
        }
        for usage in disk["uses"].as_array().into_iter().flatten() {
            let device = usage["device"].as_str().unwrap_or_default();
            let at = usage["at"].as_str().unwrap_or("?");
            seen.insert(format!("{name}: {device} is mounted at {at}"));
        }
        let reasons = entry["refused"].as_array().into_iter().flatten();
        seen.extend(reasons.map(|reason| format!("{name} not offered: {}", reason["reason"])));
    }
    Ok(seen)
}

/// Keeps the recording as a fixture when that is asked for.
fn keep(name: &str, text: &str) -> TestResult {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.machine"));
        fs::write(&file, format!("{text}\n")).map_err(Error::io("write", &file))?;
    }
    Ok(())
}
