//! `aegis run`: QEMU in the user's terminal.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    error::{Error, Result},
    host,
};

/// Firmware of the virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF without Secure Boot.
    Uefi,
    /// OVMF with Microsoft's keys enrolled and Secure Boot on.
    SecureBoot,
}

/// A virtual machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The medium, as a CD.
    pub iso: Option<PathBuf>,
    /// A disk, made sparse with 16 GiB when it does not exist.
    pub disk: Option<PathBuf>,
    /// The firmware.
    pub firmware: Firmware,
    /// MiB of memory.
    pub memory_mib: u32,
    /// A window in place of the terminal.
    pub window: bool,
    /// No KVM even where it is there; some machines have the device and hang on it.
    pub emulate: bool,
}

const DISK_SIZE: u64 = 16 << 30;
const OVMF: &str = "/usr/share/OVMF";

/// Starts the machine and waits for its end.
pub fn run(machine: &Machine) -> Result<()> {
    let qemu = host::find("qemu-system-x86_64", "qemu-system-x86")?;
    if let Some(iso) = &machine.iso {
        fs::metadata(iso).map_err(Error::io("opening", iso))?;
    }
    if let Some(disk) = machine.disk.as_ref().filter(|disk| !disk.exists()) {
        let file = fs::File::create_new(disk).map_err(Error::io("creating", disk))?;
        file.set_len(DISK_SIZE).map_err(Error::io("enlarging", disk))?;
    }
    let variables = tempfile::tempdir().map_err(Error::io("creating", "a directory for UEFI variables"))?;
    let mut command = Command::new(qemu);
    command.args(arguments(machine, !machine.emulate && Path::new("/dev/kvm").exists(), variables.path()));
    if machine.firmware != Firmware::Bios {
        let source = Path::new(OVMF).join(variables_file(machine.firmware));
        if !source.exists() {
            return Err(Error::MissingTool { program: "OVMF", package: "ovmf" });
        }
        fs::copy(&source, variables.path().join("vars.fd")).map_err(Error::io("copying", source))?;
    }
    let status = command.status().map_err(Error::io("starting", "qemu-system-x86_64"))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Tool {
        program: "qemu-system-x86_64".into(),
        purpose: "running the machine".into(),
        output: status.to_string(),
    })
}

fn variables_file(firmware: Firmware) -> &'static str {
    if firmware == Firmware::SecureBoot { "OVMF_VARS_4M.ms.fd" } else { "OVMF_VARS_4M.fd" }
}

/// The command line. `kvm` is tried first and falls back to emulation.
fn arguments(machine: &Machine, kvm: bool, variables: &Path) -> Vec<String> {
    let mut args: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    let machine_type = if machine.firmware == Firmware::SecureBoot { "q35,smm=on" } else { "q35" };
    add(&["-machine", machine_type, "-m", &machine.memory_mib.to_string(), "-smp", "2"]);
    if kvm {
        add(&["-accel", "kvm"]);
    }
    // Before QEMU 8.0 an interrupt beside an emulated cmpxchg16b can corrupt EFLAGS and the guest with them.
    add(&["-accel", "tcg,thread=multi", "-cpu", "max,-cx16"]);
    let code = match machine.firmware {
        Firmware::Bios => None,
        Firmware::Uefi => Some("OVMF_CODE_4M.fd"),
        Firmware::SecureBoot => Some("OVMF_CODE_4M.secboot.fd"),
    };
    if let Some(code) = code {
        add(&["-drive", &format!("if=pflash,format=raw,unit=0,readonly=on,file={OVMF}/{code}")]);
        add(&[
            "-drive",
            &format!("if=pflash,format=raw,unit=1,file={}", variables.join("vars.fd").display()),
        ]);
    }
    if machine.firmware == Firmware::SecureBoot {
        add(&["-global", "driver=cfi.pflash01,property=secure,value=on"]);
    }
    if let Some(disk) = &machine.disk {
        add(&["-drive", &format!("if=none,id=disk,format=raw,file={}", disk.display())]);
        add(&["-device", "virtio-blk-pci,drive=disk,serial=AEGISDISK,bootindex=2"]);
    }
    if let Some(iso) = &machine.iso {
        add(&["-drive", &format!("if=none,id=cd,media=cdrom,readonly=on,format=raw,file={}", iso.display())]);
        add(&["-device", "ide-cd,drive=cd,bootindex=1"]);
    }
    add(&["-nic", "user,model=virtio-net-pci", "-device", "virtio-rng-pci"]);
    if machine.window {
        add(&["-serial", "vc"]);
    } else {
        add(&["-nographic", "-serial", "mon:stdio"]);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secure_boot_needs_smm_and_its_own_variables() {
        let machine = Machine {
            iso: Some("a.iso".into()),
            disk: None,
            firmware: Firmware::SecureBoot,
            memory_mib: 1024,
            window: false,
            emulate: true,
        };
        let line = arguments(&machine, false, Path::new("/v")).join(" ");
        assert!(line.contains("q35,smm=on") && line.contains("property=secure,value=on"), "{line}");
        assert!(line.contains("file=/v/vars.fd") && !line.contains("kvm"), "{line}");
    }
}
