//! An installed server, as its first user meets it on the serial line.

use std::{path::Path, time::Duration};

use aegis_tests::{
    Failure, TestResult,
    host::patience,
    screen,
    shell::Shell,
    vm::{Bus, Drive, Firmware, Machine, Vm},
};

use crate::{
    answers::{DISK, PASSWORD, USER},
    license, live, snapshots,
};

/// What must differ between two installations.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// machine-id(5).
    pub(crate) machine_id: String,
    /// Public host key of the SSH server.
    pub(crate) ssh_key: String,
    /// GUID of slot A's partition.
    pub(crate) slot: String,
}

/// What the answers were, as far as the checks need it.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// Host name.
    pub(crate) hostname: &'a str,
    /// Keyboard layout.
    pub(crate) layout: &'a str,
}

/// Starts the disk without any medium and waits for the login prompt.
pub(crate) fn start(name: &str, firmware: Firmware, disk: &Path) -> Result<Vm, Failure> {
    let drive = Drive::disk(disk, Bus::Virtio, DISK).bootable();
    let mut vm = Machine::new(name).firmware(firmware).memory_mib(1024).drive(drive).start()?;
    live::reach_handover(&mut vm)?;
    vm.serial.expect(" login: ", patience(300))?;
    vm.mark("login prompt");
    Ok(vm)
}

/// Logs in as the first user, who can become root without being asked again.
pub(crate) fn log_in(vm: &mut Vm) -> Result<Shell<'_>, Failure> {
    let mut shell = Shell::log_in(&mut vm.serial, USER, PASSWORD)?;
    shell.run(&format!("printf '%s\\n' '{PASSWORD}' | sudo -S -p '' -v"))?;
    Ok(shell)
}

/// Switches the machine off from within.
pub(crate) fn power_off(vm: Vm) -> TestResult {
    vm.serial.send("sudo -n systemctl poweroff\r")?;
    vm.wait_end(patience(180))?;
    Ok(())
}

/// Everything that an installation promises, at its first start; leaves files behind for the second.
pub(crate) fn check_first_start(
    disk: &Path,
    firmware: Firmware,
    expected: Expected<'_>,
) -> Result<Identity, Failure> {
    let name = format!("{}-first", expected.hostname);
    let mut vm = start(&name, firmware, disk)?;
    if snapshots::wanted() && firmware == Firmware::Bios {
        let console = screen::wait_still(&mut vm.qmp()?, Duration::from_secs(2), patience(60), |_| true)?;
        snapshots::keep(&console, "server-console")?;
    }
    let mut shell = log_in(&mut vm)?;
    // First: what a start makes only once, such as host keys, is there when the start is over.
    check_health(&mut shell)?;
    check_firmware(&mut shell, firmware)?;
    check_settings(&mut shell, expected)?;
    check_seal(&mut shell)?;
    let identity = identity(&mut shell)?;
    license::install(&mut shell)?;
    for file in FILES {
        shell.run(&format!("echo kept-{} | sudo -n tee {file}", expected.hostname))?;
    }
    vm.mark("checked");
    power_off(vm)?;
    Ok(identity)
}

/// What was written at the first start is there at the second, and the machine is the same one.
pub(crate) fn check_second_start(
    disk: &Path,
    firmware: Firmware,
    expected: Expected<'_>,
    first: &Identity,
) -> TestResult {
    let name = format!("{}-second", expected.hostname);
    let mut vm = start(&name, firmware, disk)?;
    let mut shell = log_in(&mut vm)?;
    for file in FILES {
        assert_eq!(
            shell.run(&format!("sudo -n cat {file}"))?,
            format!("kept-{}", expected.hostname),
            "{file}"
        );
    }
    assert_eq!(&identity(&mut shell)?, first);
    license::check(&mut shell)?;
    power_off(vm)
}

/// Files that must outlive a restart.
const FILES: [&str; 4] = ["/home/ada/kept", "/etc/kept", "/var/lib/kept", "/root/kept"];

fn check_firmware(shell: &mut Shell<'_>, firmware: Firmware) -> TestResult {
    let (status, _) = shell.status("test -d /sys/firmware/efi", patience(30))?;
    assert_eq!(status == 0, firmware != Firmware::Bios);
    Ok(())
}

fn check_settings(shell: &mut Shell<'_>, expected: Expected<'_>) -> TestResult {
    assert_eq!(shell.run("id -un; id -u; pwd")?, "ada\n1000\n/home/ada");
    assert_eq!(shell.run("sudo -n id -u")?, "0");
    assert_eq!(shell.run("uname -n; cat /etc/hostname")?, [expected.hostname; 2].join("\n"));
    let keyboard = shell.run("cat /etc/default/keyboard")?;
    assert!(keyboard.contains(&format!("XKBLAYOUT=\"{}\"", expected.layout)), "{keyboard}");
    assert_eq!(
        shell.run("readlink /etc/localtime; date +%Z | cut -c 1-2")?,
        "/usr/share/zoneinfo/Europe/Berlin\nCE"
    );
    shell.run("grep -qx VARIANT_ID=server /etc/os-release")?;
    Ok(())
}

/// The root is the image itself, which dm-verity checks; only the data partition takes writes.
fn check_seal(shell: &mut Shell<'_>) -> TestResult {
    assert_eq!(shell.run("cat /sys/block/dm-0/dm/name; cat /sys/block/dm-0/ro")?, "aegis-root\n1");
    let (status, output) = shell.status("sudo -n touch /x", patience(60))?;
    assert!(status == 1 && output.contains("Read-only file system"), "{status}: {output}");
    assert_eq!(shell.run("stat -c '%a %u %g' / /etc /var /home")?, ["755 0 0"; 4].join("\n"));
    let mounts = shell.run("cat /proc/mounts")?;
    let mount = |at: &str| mounts.lines().find(|line| line.split(' ').nth(1) == Some(at)).unwrap_or_default();
    assert!(mount("/").contains(" squashfs ro"), "{mounts}");
    assert!(mount("/etc").contains(" overlay rw"), "{mounts}");
    for at in ["/home", "/root", "/var"] {
        assert!(mount(at).contains(" ext4 rw"), "{at}: {mounts}");
    }
    let boot = shell.run("cat /run/aegis/boot.json")?;
    assert!(boot.contains("\"mode\":\"installed\"") && boot.contains("\"slot\":\"a\""), "{boot}");
    Ok(())
}

fn identity(shell: &mut Shell<'_>) -> Result<Identity, Failure> {
    Ok(Identity {
        machine_id: shell.run("cat /etc/machine-id")?,
        ssh_key: shell.run("cut -d ' ' -f 2 /etc/ssh/ssh_host_ed25519_key.pub")?,
        slot: shell.run("lsblk -ndo PARTUUID /dev/vda3")?,
    })
}

/// Every unit is up once the start is over.
fn check_health(shell: &mut Shell<'_>) -> TestResult {
    let (_, state) = shell.status("systemctl is-system-running --wait", patience(180))?;
    let failed = shell.run("systemctl --failed --plain --no-legend --no-pager")?;
    assert!(state.trim() == "running" && failed.is_empty(), "{}: {failed}", state.trim());
    Ok(())
}
