//! The harness against guests whose behaviour is known to the byte: a boot sector, and firmware alone.
//!
//! A harness that reports success of a machine that did nothing would make every other test worthless.

mod sector;

use std::{fs, path::Path};

use aegis_tests::{
    Error, Failure, TestResult, disk,
    host::patience,
    iso,
    vm::{Bus, Drive, Firmware, Machine},
};

/// The sector greets, repeats what it is sent, and switches the machine off.
fn talk_to_sector(name: &str, drive: Drive) -> TestResult {
    let mut vm = Machine::new(name).memory_mib(64).drive(drive.bootable()).start()?;
    vm.serial.expect(sector::GREETING.trim_end(), patience(60))?;
    vm.mark("greeting");
    vm.serial.send("Hello")?;
    vm.serial.expect_screen("Hello", patience(20))?;
    let picture = vm.qmp()?.picture()?;
    assert!(picture.statistics().colours >= 2, "the greeting is not on the VGA screen");
    vm.serial.send(sector::POWER_OFF)?;
    vm.wait_end(patience(20))?;
    Ok(())
}

fn sector_iso(directory: &Path) -> Result<std::path::PathBuf, Failure> {
    let (tree, image) = (directory.join("tree"), directory.join("sector.iso"));
    fs::create_dir_all(&tree).map_err(Error::io("create", &tree))?;
    let loader = tree.join("boot.bin");
    fs::write(&loader, sector::bytes()).map_err(Error::io("write", &loader))?;
    let loader = loader.display().to_string();
    let boot = ["-b", "boot.bin", "-no-emul-boot", "-boot-load-size", "4", "-G", &loader];
    iso::make(&tree, "SECTOR", &image, &boot)?;
    // SeaBIOS reads a disk only from one cylinder on.
    disk::set_size(&image, 16 << 20)?;
    Ok(image)
}

#[test]
fn a_hybrid_image_starts_from_every_bus() -> TestResult {
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    let image = sector_iso(directory.path())?;
    for (name, bus) in [
        ("sector-cd", Bus::Cdrom),
        ("sector-usb", Bus::UsbStick),
        ("sector-virtio", Bus::Virtio),
        ("sector-nvme", Bus::Nvme),
        ("sector-sata", Bus::Sata),
    ] {
        println!("{name}");
        talk_to_sector(name, Drive::medium(&image, bus))?;
    }
    Ok(())
}

#[test]
fn a_damaged_boot_sector_is_noticed() -> TestResult {
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    let image = directory.path().join("disk.img");
    fs::write(&image, sector::bytes()).map_err(Error::io("write", &image))?;
    disk::set_size(&image, 16 << 20)?;
    assert!(disk::boot_signs(&image)?.boot_code);
    disk::flip_byte(&image, 510)?;
    assert!(!disk::boot_signs(&image)?.any());
    let drive = Drive::disk(&image, Bus::Virtio, "DAMAGED").bootable();
    let vm = Machine::new("sector-damaged").memory_mib(64).drive(drive).start()?;
    let mut qmp = vm.qmp()?;
    let quiet = std::time::Duration::from_secs(3);
    aegis_tests::screen::wait_still(&mut qmp, quiet, patience(60), |p| p.statistics().colours > 1)?;
    assert_eq!(vm.serial.text(), "");
    vm.cut_power()?;
    Ok(())
}

#[test]
fn an_expectation_in_vain_says_what_was_there() -> TestResult {
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    let image = sector_iso(directory.path())?;
    let drive = Drive::medium(&image, Bus::Virtio).bootable();
    let mut vm = Machine::new("sector-in-vain").memory_mib(64).drive(drive).start()?;
    vm.serial.expect(sector::GREETING.trim_end(), patience(60))?;
    vm.serial.send("seen")?;
    vm.serial.expect("seen", patience(20))?;
    let Err(error) = vm.serial.expect("never", std::time::Duration::from_secs(1)) else {
        return Err(Failure::new("an expectation of what never came was met"));
    };
    let text = format!("{:?}", Failure::from(error));
    assert!(text.contains("in vain for \"never\" on the console"), "{text}");
    assert!(text.contains("--- screen ---\nsector") && text.contains("seen"), "{text}");

    vm.serial.refuse(&["forbidden"]);
    vm.serial.send("forbidden")?;
    let refused = vm.serial.expect("never", patience(20));
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");

    vm.qmp()?.quit()?;
    let ended = vm.serial.expect("never after", patience(20));
    assert!(matches!(ended, Err(Error::Refused { .. } | Error::Ended { .. })), "{ended:?}");
    vm.wait_end(patience(20))?;
    Ok(())
}

#[test]
fn firmware_reports_no_boot_device() -> TestResult {
    for (name, firmware) in [("uefi", Firmware::Uefi), ("secure-boot", Firmware::SecureBoot)] {
        let mut vm = Machine::new(name).firmware(firmware).memory_mib(256).start()?;
        vm.serial.expect_any(&["Shell>", "No bootable option or device was found"], patience(180))?;
        vm.mark(name);
        vm.qmp()?.quit()?;
        vm.wait_end(patience(20))?;
    }
    Ok(())
}
