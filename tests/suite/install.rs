//! Installations by the screens and by an answer file, the disks that are refused, and what is installed.

mod refusals;
mod screens;

use std::{fs, path::Path, thread};

use aegis_tests::{
    Error, Failure, TestResult, disk, host,
    host::patience,
    shell::Shell,
    vm::{Bus, Drive, Firmware, Machine, Vm, Writes},
};
use tempfile::TempDir;

use crate::{
    answers,
    installed::{self, Expected, Identity},
    live, snapshots,
};

/// The smallest disk that the server edition allows.
pub(crate) const DISK_SIZE: u64 = 8 << 30;

/// A directory below the build products, for disks.
pub(crate) fn workplace(name: &str) -> Result<TempDir, Error> {
    let parent = host::target_directory().join("aegis/machines");
    fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
    TempDir::with_prefix_in(format!("{name}-"), &parent).map_err(Error::io("create", &parent))
}

/// Installs by an answer file that is mounted, and waits for the end.
pub(crate) fn install_unattended(shell: &mut Shell<'_>, file: &str) -> TestResult {
    let command = format!("aegis-installer install --answers {file}");
    let output = shell.run_within(&command, patience(900))?;
    assert!(output.contains(" is installed on /dev/"), "{output}");
    Ok(())
}

/// Switches a live system off.
pub(crate) fn power_off_live(vm: Vm) -> TestResult {
    vm.serial.send("systemctl poweroff\r")?;
    vm.wait_end(patience(180))?;
    Ok(())
}

/// Two at a time, as every machine is; the promise that they differ needs both.
#[test]
fn two_installed_machines_keep_their_promises_and_differ() -> TestResult {
    let (bios, uefi) = thread::scope(|scope| {
        let (bios, uefi) = (scope.spawn(by_screens), scope.spawn(by_answers));
        (bios.join(), uefi.join())
    });
    let (bios, uefi) = match (outcome(bios), outcome(uefi)) {
        (Ok(bios), Ok(uefi)) => (bios, uefi),
        (bios, uefi) => {
            let text =
                |failed: Option<Failure>| failed.map(|failure| format!("{failure:?}\n")).unwrap_or_default();
            return Err(Failure::new(format!("{}{}", text(bios.err()), text(uefi.err()))));
        }
    };
    assert_ne!(bios.machine_id, uefi.machine_id);
    assert_ne!(bios.ssh_key, uefi.ssh_key);
    assert_ne!(bios.slot, uefi.slot);
    Ok(())
}

/// What a thread returned; the message of a panic is printed where it happens.
fn outcome(joined: thread::Result<Result<Identity, Failure>>) -> Result<Identity, Failure> {
    joined.unwrap_or_else(|_panic| Err(Failure::new("a check failed; its message is above")))
}

/// A machine with a BIOS is installed from a CD by the screens on the serial line.
fn by_screens() -> Result<Identity, Failure> {
    let directory = workplace("bios")?;
    let target = directory.path().join("disk.img");
    disk::set_size(&target, DISK_SIZE)?;
    let mut vm = Machine::new("bios-install")
        .memory_mib(1024)
        .drive(Drive::medium(host::iso("server")?, Bus::Cdrom).bootable())
        .drive(Drive::disk(&target, Bus::Virtio, answers::DISK))
        .start()?;
    live::reach_installer(&mut vm)?;
    if snapshots::wanted() {
        screens::photograph(&vm)?;
    }
    screens::install(&mut vm, "bios-box")?;
    vm.wait_end(patience(180))?;
    check_installed(&target, Firmware::Bios, Expected { hostname: "bios-box", layout: "us" })
}

/// A machine with UEFI is installed from a stick by an answer file, after every disk that must not be used was refused.
fn by_answers() -> Result<Identity, Failure> {
    let directory = workplace("uefi")?;
    let at = |name: &str| directory.path().join(name);
    disk::set_size(&at("disk.img"), DISK_SIZE)?;
    disk::set_size(&at("small.img"), DISK_SIZE - (1 << 20))?;
    disk::set_size(&at("locked.img"), DISK_SIZE)?;
    let carrier = answers::carrier(directory.path(), &answers::text("server", "uefi-box", "de"))?;
    let mut vm = Machine::new("uefi-install")
        .firmware(Firmware::Uefi)
        .memory_mib(1024)
        .drive(Drive::medium(host::iso("server")?, Bus::UsbStick).bootable())
        .drive(Drive::disk(at("disk.img"), Bus::Virtio, answers::DISK))
        .drive(Drive::disk(at("small.img"), Bus::Virtio, "SMALL"))
        .drive(Drive::disk(at("locked.img"), Bus::Virtio, "LOCKED").writes(Writes::Refused))
        .drive(answers::drive(&carrier))
        .start()?;
    live::reach_installer(&mut vm)?;
    let mut shell = live::root_shell(&mut vm)?;
    shell.run(answers::MOUNT)?;
    refusals::check(&mut shell)?;
    assert!(!disk::boot_signs(&at("disk.img"))?.any(), "a refusal wrote to the disk");
    install_unattended(&mut shell, answers::FILE)?;
    vm.mark("installed");
    power_off_live(vm)?;
    check_installed(&at("disk.img"), Firmware::Uefi, Expected { hostname: "uefi-box", layout: "de" })
}

fn check_installed(disk: &Path, firmware: Firmware, expected: Expected<'_>) -> Result<Identity, Failure> {
    let identity = installed::check_first_start(disk, firmware, expected)?;
    // What a second start keeps does not depend on the firmware.
    if firmware == Firmware::Bios && std::env::var_os("AEGIS_ALL").is_none() {
        return Ok(identity);
    }
    installed::check_second_start(disk, firmware, expected, &identity)?;
    Ok(identity)
}
