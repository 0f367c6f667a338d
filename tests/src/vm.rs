//! A machine in QEMU: described, started, watched, and ended when dropped.
//!
//! Invariant: the child process that [`Machine::start`] made is the only one that is ever ended, and
//! the files that were given as read-only or as a snapshot are never written.

mod arguments;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    error::Error,
    host::{self, Permit, patience},
    qmp::Qmp,
    serial::Serial,
};

/// The firmware of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF without Secure Boot.
    Uefi,
    /// OVMF with Secure Boot on and Microsoft's keys enrolled.
    SecureBoot,
}

/// How a drive is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// A CD drive on AHCI; always read-only.
    Cdrom,
    /// A removable USB mass storage device on xHCI.
    UsbStick,
    /// The same behind a hub, which QEMU has at full speed only: slow.
    UsbHub,
    /// A USB disk on xHCI by the USB attached SCSI protocol.
    Uas,
    /// A virtio block device.
    Virtio,
    /// A disk of a virtio SCSI controller.
    VirtioScsi,
    /// An NVMe disk.
    Nvme,
    /// An NVMe disk with sectors of 4096 bytes.
    Nvme4096,
    /// An SD card, whose size is a power of two and whose serial number is always the same.
    Sd,
    /// A SATA disk on AHCI.
    Sata,
}

/// What becomes of the guest's writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// They reach the file.
    Kept,
    /// They are lost when the machine ends.
    Discarded,
    /// They are refused.
    Refused,
}

/// A drive of a machine.
#[derive(Clone, Debug)]
pub struct Drive {
    file: PathBuf,
    bus: Bus,
    writes: Writes,
    serial: String,
    boot: bool,
}

impl Drive {
    /// A disk that keeps what is written to it.
    pub fn disk(file: impl Into<PathBuf>, bus: Bus, serial: &str) -> Self {
        Self { file: file.into(), bus, writes: Writes::Kept, serial: serial.to_owned(), boot: false }
    }

    /// A medium that the tests share: a CD, or a stick whose writes are discarded.
    pub fn medium(file: impl Into<PathBuf>, bus: Bus) -> Self {
        let writes = if bus == Bus::Cdrom { Writes::Refused } else { Writes::Discarded };
        Self { file: file.into(), bus, writes, serial: "AEGISMEDIUM".to_owned(), boot: false }
    }

    /// The firmware tries the drives so marked before all others, in their order.
    pub fn bootable(mut self) -> Self {
        self.boot = true;
        self
    }

    /// Says what becomes of writes.
    pub fn writes(mut self, writes: Writes) -> Self {
        self.writes = writes;
        self
    }
}

/// A kernel that QEMU itself loads.
#[derive(Clone, Debug)]
pub struct DirectBoot {
    /// Holds the files `vmlinuz` and `initrd.img`; kept until the machine has ended.
    pub directory: Arc<TempDir>,
    /// The command line.
    pub append: String,
}

/// The description of a machine.
#[derive(Clone, Debug)]
pub struct Machine {
    name: String,
    firmware: Firmware,
    memory_mib: u32,
    cpus: u32,
    drives: Vec<Drive>,
    devices: Vec<String>,
    direct: Option<DirectBoot>,
    state: Option<PathBuf>,
    enrolled: Option<PathBuf>,
}

/// The owner that an enrolled certificate is told to have; any number will do.
const OWNER: &str = "a5b15a5c-0b5c-4c3e-9a10-0123456789ab";

impl Machine {
    /// A machine with a BIOS, one processor, 1.5 GiB of memory and no drives; `name` is for logs.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            firmware: Firmware::Bios,
            memory_mib: 1536,
            cpus: 1,
            drives: Vec::new(),
            devices: Vec::new(),
            direct: None,
            state: None,
            enrolled: None,
        }
    }

    /// Adds a certificate, in a PEM file, to those that Secure Boot trusts, as its owner can in the firmware's menu.
    pub fn enrolled(mut self, certificate: PathBuf) -> Self {
        self.enrolled = Some(certificate);
        self
    }

    /// Changes the name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Sets the firmware.
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = firmware;
        self
    }

    /// Sets the memory in MiB.
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// Sets the number of processors.
    pub fn cpus(mut self, count: u32) -> Self {
        self.cpus = count;
        self
    }

    /// Adds a drive.
    pub fn drive(mut self, drive: Drive) -> Self {
        self.drives.push(drive);
        self
    }

    /// Adds a device that has no drive, such as a controller for drives that are plugged in later, in QEMU's own words.
    pub fn device(mut self, properties: &str) -> Self {
        self.devices.push(properties.to_owned());
        self
    }

    /// Lets QEMU load the kernel.
    pub fn direct(mut self, direct: DirectBoot) -> Self {
        self.direct = Some(direct);
        self
    }

    /// Lets the machine go on from a state that [`Qmp::save_state`] wrote, in place of a start.
    pub fn resume(mut self, state: impl Into<PathBuf>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Starts the machine, once fewer machines run than the host can carry.
    pub fn start(&self) -> Result<Vm, Error> {
        let permit = host::permit();
        let directory = self.directory()?;
        // A path of a socket may have at most 107 bytes, so it lives where paths are short.
        let socket = TempDir::with_prefix("aegis-qmp-").map_err(Error::io("create", std::env::temp_dir()))?;
        let place = arguments::Place {
            qmp: socket.path().join("qmp"),
            firmware: self.copy_firmware(directory.path())?,
        };
        let (child, mut serial) = self.spawn(&place, directory.path())?;
        serial.refuse(&["Kernel panic - not syncing"]);
        let vm = Vm {
            serial,
            name: self.name.clone(),
            child,
            qmp: place.qmp,
            logs: Some(directory),
            _direct: self.direct.clone(),
            _socket: socket,
            _permit: permit,
        };
        if self.state.is_some() {
            // What is typed before would be lost with the state that the machine starts with.
            vm.qmp()?.wait_running()?;
        }
        Ok(vm)
    }

    fn directory(&self) -> Result<TempDir, Error> {
        let parent = host::target_directory().join("aegis/machines");
        fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        TempDir::with_prefix_in(format!("{}-", self.name), &parent).map_err(Error::io("create", &parent))
    }

    /// The code and a copy of the variables, which the firmware writes.
    fn copy_firmware(&self, directory: &Path) -> Result<Option<(PathBuf, PathBuf)>, Error> {
        let (code, variables) = match self.firmware {
            Firmware::Bios => return Ok(None),
            Firmware::Uefi => ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
            Firmware::SecureBoot => ("OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd"),
        };
        let copy = directory.join("variables.fd");
        fs::copy(host::firmware(variables)?, &copy).map_err(Error::io("create", &copy))?;
        if let Some(certificate) = &self.enrolled {
            let add = [
                "--inplace".as_ref(),
                copy.as_os_str(),
                "--add-db".as_ref(),
                OWNER.as_ref(),
                certificate.as_os_str(),
            ];
            host::output_of("virt-fw-vars", add)?;
        }
        Ok(Some((host::firmware(code)?, copy)))
    }

    fn spawn(&self, place: &arguments::Place, directory: &Path) -> Result<(Child, Serial), Error> {
        let qemu = host::program("qemu-system-x86_64")?;
        let stderr = directory.join("qemu.log");
        let stderr_file = File::create(&stderr).map_err(Error::io("create", &stderr))?;
        // setpriv lets the kernel end QEMU when the test that started it dies, however it dies.
        let mut child = Command::new(host::program("setpriv")?)
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&qemu)
            .args(arguments::of(self, place))
            .env("TMPDIR", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr_file)
            .spawn()
            .map_err(Error::io("start", &qemu))?;
        match (child.stdout.take(), child.stdin.take()) {
            (Some(output), Some(input)) => {
                let serial = Serial::new(output, input, &directory.join("serial.log"))?;
                Ok((child, serial))
            }
            _ => Err(Error::Program { name: "qemu-system-x86_64", output: "it has no console".to_owned() }),
        }
    }
}

/// A running machine. Dropped, it loses its power; its logs stay unless its end was the expected one.
#[derive(Debug)]
pub struct Vm {
    /// The serial console.
    pub serial: Serial,
    name: String,
    child: Child,
    qmp: PathBuf,
    logs: Option<TempDir>,
    _direct: Option<DirectBoot>,
    _socket: TempDir,
    _permit: Permit,
}

impl Vm {
    /// Connects to QEMU's monitor; one connection at a time.
    pub fn qmp(&self) -> Result<Qmp, Error> {
        Qmp::connect(&self.qmp, patience(30))
    }

    /// Waits until the guest has switched the machine off or restarted it by itself. The machine is gone then, so that
    /// another one may run.
    pub fn wait_end(mut self, limit: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        self.serial.expect_end(limit)?;
        let status = self.reap(limit.saturating_sub(begun.elapsed()).max(Duration::from_secs(5)))?;
        if status.success() {
            self.mark("off");
            self.logs = None;
            return Ok(());
        }
        Err(Error::Status { status, stderr: self.stderr() })
    }

    /// Cuts the power at once.
    pub fn cut_power(mut self) -> Result<(), Error> {
        self.kill()?;
        self.logs = None;
        Ok(())
    }

    /// Prints what was reached and after how many seconds, and keeps it for the table of durations.
    pub fn mark(&self, what: &str) {
        host::record_duration(&self.name, what, self.serial.elapsed());
    }

    /// Keeps a duration that the guest itself measured.
    pub fn record(&self, what: &str, duration: Duration) {
        host::record_duration(&self.name, what, duration);
    }

    fn reap(&mut self, limit: Duration) -> Result<ExitStatus, Error> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) =
                self.child.try_wait().map_err(Error::io("wait for", "qemu-system-x86_64"))?
            {
                return Ok(status);
            }
            if Instant::now() > deadline {
                let reason = "its console is closed but it still runs".to_owned();
                return Err(Error::Program { name: "qemu-system-x86_64", output: reason });
            }
            // The console closes when the process ends; what is left is the kernel's clean-up.
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn stderr(&self) -> String {
        let log = self.logs.as_ref().map(|directory| directory.path().join("qemu.log"));
        log.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    }

    fn kill(&mut self) -> Result<(), Error> {
        self.child.kill().map_err(Error::io("end", "qemu-system-x86_64"))?;
        self.child.wait().map_err(Error::io("wait for", "qemu-system-x86_64")).map(|_status| ())
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{}", aegis_core::report::render(&error));
        }
        if let Some(directory) = self.logs.take() {
            println!("logs: {}", directory.keep().display());
        }
    }
}
