//! A medium that is not as signed does not start: aegis-init says why and offers its menu.

use std::{fs, path::PathBuf};

use aegis_core::manifest::path;
use aegis_tests::{
    Error, Failure, TestResult, disk, host,
    host::patience,
    iso,
    serial::Key,
    vm::{Bus, Drive, Machine, Vm},
};
use tempfile::TempDir;

use crate::live::Medium;

/// A copy of the server medium that can be damaged.
struct Copy {
    iso: PathBuf,
    _directory: TempDir,
}

impl Copy {
    fn make() -> Result<Self, Error> {
        let parent = host::target_directory().join("aegis/machines");
        fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        let directory = TempDir::with_prefix_in("copy-", &parent).map_err(Error::io("create", &parent))?;
        let (from, iso) = (host::iso("server")?, directory.path().join("copy.iso"));
        fs::copy(&from, &iso).map_err(Error::io("copy", from))?;
        Ok(Self { iso, _directory: directory })
    }

    /// Inverts a byte of a file, at a fraction of its size.
    fn damage(&self, file: &str, numerator: u64, denominator: u64) -> Result<(), Error> {
        let extent = iso::extent(&self.iso, file)?;
        disk::flip_byte(&self.iso, extent.offset + extent.size * numerator / denominator)
    }
}

/// Each of the texts comes on the console, in this order, and then the menu; the system never starts.
fn expect_refusal(mut vm: Vm, texts: &[&str]) -> TestResult {
    vm.serial.refuse(&["aegis-init: switch_root after"]);
    for text in texts {
        vm.serial.expect(text, patience(240))?;
    }
    vm.serial.expect("1  try again", patience(60))?;
    vm.serial.expect("5  power off\n> ", patience(30))?;
    vm.mark("rescue menu");
    vm.serial.send("5")?;
    Ok(vm.wait_end(patience(60))?)
}

/// Starts kernel and initramfs of the whole medium with the damaged one in the drive.
fn start_direct(name: &str, iso: PathBuf) -> Result<Vm, Failure> {
    let medium = Medium::of_edition("server")?.with_image(iso);
    Ok(medium.machine(name).memory_mib(512).start()?)
}

#[test]
fn a_changed_byte_at_the_start_of_the_image() -> TestResult {
    let copy = Copy::make()?;
    let image = iso::extent(&copy.iso, path::IMAGE)?;
    disk::flip_byte(&copy.iso, image.offset + 100)?;
    let vm = start_direct("tamper-image-start", copy.iso.clone())?;
    expect_refusal(vm, &["error: the image on sr0 is damaged or was changed", "write the medium again"])
}

#[test]
fn a_changed_byte_in_the_middle_is_found_by_the_check_of_the_menu() -> TestResult {
    let copy = Copy::make()?;
    copy.damage(path::IMAGE, 1, 2)?;
    let drive = Drive::medium(&copy.iso, Bus::Cdrom).bootable();
    let mut vm = Machine::new("tamper-image-middle").memory_mib(512).drive(drive).start()?;
    vm.serial.expect_screen("check this medium, then start", patience(120))?;
    vm.serial.press(&[Key::Down, Key::Enter])?;
    let digest = "error: aegis/root.img on sr0 was changed: its SHA-256 is ";
    expect_refusal(vm, &["aegis.check=full", "checking aegis/root.img on sr0", digest])
}

#[test]
fn a_changed_byte_in_the_manifest() -> TestResult {
    let copy = Copy::make()?;
    copy.damage(path::MANIFEST, 1, 2)?;
    let vm = start_direct("tamper-manifest", copy.iso.clone())?;
    expect_refusal(vm, &["error: the manifest on sr0 is not trusted", "from a trusted source"])
}

#[test]
fn a_medium_that_lacks_its_last_third() -> TestResult {
    let copy = Copy::make()?;
    let whole = fs::metadata(&copy.iso).map_err(Error::io("read", &copy.iso))?.len();
    disk::set_size(&copy.iso, whole / 3 * 2)?;
    let vm = start_direct("tamper-truncated", copy.iso.clone())?;
    let has = format!("has {}, ", whole / 3 * 2 / 2048 * 2048);
    expect_refusal(vm, &["error: the medium on sr0 is incomplete: it needs ", &has, "write the medium again"])
}

#[test]
fn a_medium_that_is_not_there() -> TestResult {
    let medium = Medium::of_edition("server")?;
    let machine = Machine::new("tamper-missing").memory_mib(512).direct(medium.direct("aegis.wait=5"));
    let directory = TempDir::new().map_err(Error::io("create", "a directory"))?;
    let other = directory.path().join("disk.img");
    disk::set_size(&other, 16 << 20)?;
    host::output_of("mke2fs", ["-q", "-t", "ext4", "-L", "backup", &other.to_string_lossy()])?;
    let vm = machine.drive(Drive::disk(&other, Bus::Virtio, "OTHER")).start()?;
    let reasons = ["was not found within 5 s", "check that the medium or disk is connected"];
    let disk = "vda (16.0 MiB): no ISO 9660 file system; holds ext4 `backup`";
    expect_refusal(vm, &[reasons[0], reasons[1], disk])
}
