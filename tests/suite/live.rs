//! The live system of a medium, as a person meets it on the serial line.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aegis_core::manifest::path;
use aegis_tests::{
    Error, Failure, host,
    host::patience,
    iso,
    serial::Key,
    shell::Shell,
    vm::{Bus, DirectBoot, Drive, Machine, Vm},
};
use tempfile::TempDir;

/// What only the installer's first screen shows.
pub(crate) const WELCOME: &str = "Welcome to Aegis OS";

/// Waits until aegis-init hands over, and records how long it took from its start.
pub(crate) fn reach_handover(vm: &mut Vm) -> Result<(), Failure> {
    const MARK: &str = "aegis-init: switch_root after ";
    let line = vm.serial.expect_line(MARK, patience(240))?;
    let rest = line.split_once(MARK).map_or("", |(_, rest)| rest);
    let ms = rest.split(' ').next().and_then(|number| number.parse().ok());
    let ms = ms.ok_or_else(|| Failure::new(format!("no milliseconds in {line:?}")))?;
    vm.mark("switch_root");
    vm.record("from PID 1 to switch_root", Duration::from_millis(ms));
    Ok(())
}

/// Waits for the installer's first screen on the serial line.
pub(crate) fn reach_installer(vm: &mut Vm) -> Result<(), Failure> {
    reach_handover(vm)?;
    vm.serial.expect_screen(WELCOME, patience(240))?;
    vm.mark("installer");
    Ok(())
}

/// Leaves the installer's first screen for a root shell, which begins when udev has seen every device.
///
/// The installer shows itself sooner: drivers that were not needed to find the medium, such as the one
/// of disks behind USB, are loaded by udev, and disks of theirs come later.
pub(crate) fn root_shell(vm: &mut Vm) -> Result<Shell<'_>, Error> {
    vm.serial.press(&[Key::Control('c')])?;
    vm.serial.expect_screen("> Stay here", patience(60))?;
    vm.serial.press(&[Key::Down, Key::Down, Key::Down])?;
    vm.serial.expect_screen("> Open a shell", patience(60))?;
    vm.serial.press(&[Key::Enter])?;
    vm.serial.expect("# ", patience(60))?;
    let mut shell = Shell::attach(&mut vm.serial)?;
    shell.run_within("udevadm settle", patience(180))?;
    Ok(shell)
}

/// Services that a test of disks does without.
const NOT_FOR_DISKS: [&str; 8] = [
    "apparmor",
    "auditd",
    "fail2ban",
    "nftables",
    "systemd-networkd",
    "systemd-networkd-persistent-storage",
    "systemd-resolved",
    "systemd-timesyncd",
];

/// A medium whose kernel QEMU can load itself, where neither firmware nor loader is what is tested.
pub(crate) struct Medium {
    iso: PathBuf,
    /// Parameters of the menu's first entry.
    parameters: String,
    directory: Arc<TempDir>,
}

impl Medium {
    /// The medium of an edition.
    pub(crate) fn of_edition(edition: &str) -> Result<Self, Error> {
        Self::open(&host::iso(edition)?)
    }

    /// Takes kernel, initramfs and parameters from an image.
    pub(crate) fn open(iso: &Path) -> Result<Self, Error> {
        let directory = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
        for (file, name) in [(path::KERNEL, "vmlinuz"), (path::INITRAMFS, "initrd.img")] {
            let target = directory.path().join(name);
            fs::write(&target, iso::read(iso, file)?).map_err(Error::io("write", &target))?;
        }
        let menu = iso::read(iso, "boot/grub/grub.cfg")?;
        let parameters = parameters(&String::from_utf8_lossy(&menu)).ok_or_else(|| Error::Format {
            what: format!("grub.cfg of {}", iso.display()),
            problem: "no entry loads the kernel".to_owned(),
        })?;
        Ok(Self { iso: iso.to_path_buf(), parameters, directory: directory.into() })
    }

    /// The same kernel and initramfs with another image in the drive.
    pub(crate) fn with_image(self, iso: PathBuf) -> Self {
        Self { iso, ..self }
    }

    /// Kernel and initramfs, with parameters behind those of the menu's first entry.
    pub(crate) fn direct(&self, more: &str) -> DirectBoot {
        DirectBoot { directory: self.directory.clone(), append: format!("{} {more}", self.parameters) }
    }

    /// A machine that starts this medium from its CD drive, without firmware and loader.
    pub(crate) fn machine(&self, name: &str) -> Machine {
        self.machine_with(name, "")
    }

    /// The same without what has nothing to do with disks, a quarter or more of the start in emulation.
    pub(crate) fn disk_machine(&self, name: &str) -> Machine {
        let masks = NOT_FOR_DISKS.map(|unit| format!("systemd.mask={unit}.service"));
        self.machine_with(name, &masks.join(" "))
    }

    fn machine_with(&self, name: &str, more: &str) -> Machine {
        Machine::new(name).direct(self.direct(more)).drive(Drive::medium(&self.iso, Bus::Cdrom))
    }
}

/// The parameters in `if linux /aegis/boot/vmlinuz PARAMETERS; then` of the first entry.
fn parameters(menu: &str) -> Option<String> {
    let line = menu.lines().find_map(|line| line.split_once(path::KERNEL))?.1;
    Some(line.split(';').next()?.trim().to_owned())
}
