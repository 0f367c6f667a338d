//! The server medium starts by every firmware, from a CD and from a stick.

use aegis_tests::{
    TestResult, host,
    host::patience,
    shell::Shell,
    vm::{Bus, Drive, Firmware, Machine, Vm},
};

use crate::live;

fn start(name: &str, firmware: Firmware, bus: Bus) -> Result<Vm, aegis_tests::Failure> {
    let medium = Drive::medium(host::iso("server")?, bus).bootable();
    let mut vm = Machine::new(name).firmware(firmware).memory_mib(1024).drive(medium).start()?;
    vm.serial.expect("check this medium, then start", patience(180))?;
    vm.mark("menu");
    live::reach_installer(&mut vm)?;
    Ok(vm)
}

#[test]
fn a_bios_starts_a_cd() -> TestResult {
    Ok(start("bios-cd", Firmware::Bios, Bus::Cdrom)?.cut_power()?)
}

#[test]
#[ignore = "a stick that the flasher wrote starts by the BIOS in every run; make test-all"]
fn a_bios_starts_a_stick() -> TestResult {
    Ok(start("bios-stick", Firmware::Bios, Bus::UsbStick)?.cut_power()?)
}

#[test]
#[ignore = "with Secure Boot it starts in every run; make test-all"]
fn uefi_starts_a_cd() -> TestResult {
    Ok(start("uefi-cd", Firmware::Uefi, Bus::Cdrom)?.cut_power()?)
}

#[test]
fn uefi_starts_a_stick() -> TestResult {
    Ok(start("uefi-stick", Firmware::Uefi, Bus::UsbStick)?.cut_power()?)
}

#[test]
fn secure_boot_starts_a_cd_and_the_system_is_sealed() -> TestResult {
    let mut vm = start("secure-boot-cd", Firmware::SecureBoot, Bus::Cdrom)?;
    let mut shell = live::root_shell(&mut vm)?;
    shell.run("dmesg | grep -i 'secure boot enabled'")?;
    // The variable's four bytes of attributes come before its one byte of value.
    let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    assert_eq!(shell.run(&format!("od -An -tu1 -j4 {variable}"))?, "1");
    shell.run("grep -q 'integrity\\|confidentiality' /sys/kernel/security/lockdown")?;
    check_seal(&mut shell)?;
    Ok(vm.cut_power()?)
}

/// The root is a layer in memory over an image that dm-verity checks.
fn check_seal(shell: &mut Shell<'_>) -> TestResult {
    let parameters = shell.run("cat /proc/cmdline")?;
    assert!(parameters.contains("aegis.medium="), "{parameters}");
    assert_eq!(shell.run("cat /sys/block/dm-0/dm/name")?, "aegis-root");
    assert_eq!(shell.run("cat /sys/block/dm-0/ro")?, "1");
    let mounts = shell.run("cat /proc/mounts")?;
    let mount = |at: &str| mounts.lines().find(|line| line.split(' ').nth(1) == Some(at)).unwrap_or_default();
    assert!(mount("/").contains(" overlay rw"), "{mounts}");
    assert!(mount("/run/aegis/image").contains(" squashfs ro"), "{mounts}");
    assert!(mount("/run/aegis/medium").contains(" iso9660 ro"), "{mounts}");
    let boot = shell.run("cat /run/aegis/boot.json")?;
    assert!(boot.contains("\"mode\":\"live\"") && boot.contains("\"stage\":\"verity\""), "{boot}");
    Ok(())
}
