//! The live system in which images are written, with the sticks that are plugged into it while it runs.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use aegis_core::crypto::Sha256;
use aegis_tests::{Error, Failure, TestResult, disk, host::patience, qmp::Qmp, shell::Shell};
use serde_json::{Value, json};

/// Where the guest finds the images.
pub(super) const IMAGES: &str = "/run/images";

/// The digest of a whole file.
pub(super) fn digest(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if n == 0 {
            return Ok(hasher.finish().to_string());
        }
        hasher.update(&buffer[..n]);
    }
}

/// The device node of each disk, by their serial numbers.
pub(super) fn nodes(shell: &mut Shell<'_>, serials: &[&str]) -> Result<Vec<String>, Failure> {
    let list: Value = serde_json::from_str(&shell.run("aegis-installer devices --json")?)
        .map_err(|error| Failure::new(format!("devices: {error}")))?;
    let node = |serial: &&str| {
        let disks = list["disks"].as_array().into_iter().flatten();
        let found = disks.map(|entry| &entry["disk"]).find(|disk| disk["serial"] == *serial);
        let node = found.and_then(|disk| disk["node"].as_str()).map(str::to_owned);
        node.ok_or_else(|| Failure::new(format!("{serial} is not listed: {list:#}")))
    };
    serials.iter().map(node).collect()
}

/// A stick, as it is plugged in.
#[derive(Clone, Debug)]
pub(super) struct Stick {
    /// Serial number, which is also its id in QEMU.
    pub(super) serial: String,
    /// Port of the hub-less controller `sticks`.
    pub(super) port: usize,
    /// Bytes a second that it reads and writes; `None` for no limit.
    pub(super) limit: Option<(u64, u64)>,
    /// Errors that QEMU's driver blkdebug makes, in its own form.
    pub(super) errors: Vec<Value>,
}

/// A controller with room for many sticks.
pub(super) const CONTROLLER: &str = "qemu-xhci,id=sticks,p2=15,p3=15";

/// The guest's shell, QEMU's monitor, and the files of the sticks.
pub(super) struct Guest<'a> {
    pub(super) shell: Shell<'a>,
    pub(super) qmp: Qmp,
    pub(super) directory: PathBuf,
}

impl Guest<'_> {
    /// The file of a stick.
    pub(super) fn file(&self, serial: &str) -> PathBuf {
        self.directory.join(serial)
    }

    /// Makes the file of a stick, which looks as if it could start a system, as a used one does.
    pub(super) fn make(&self, serial: &str, size: u64) -> TestResult {
        let file = self.file(serial);
        disk::set_size(&file, size)?;
        Ok(disk::imitate_system(&file)?)
    }

    /// Plugs a stick in; `id` tells those apart that have the same serial number.
    pub(super) fn plug(&mut self, stick: &Stick, id: &str) -> Result<(), Error> {
        let (read, write) = stick.limit.unwrap_or((0, 0));
        let group = format!("limit-{id}");
        self.qmp.limit_group(&group, read, write)?;
        let file = json!({ "driver": "file", "filename": self.file(id), "locking": "off" });
        let mut errors = json!({ "driver": "blkdebug", "image": file });
        // It does not take an empty list.
        if !stick.errors.is_empty() {
            errors["inject-error"] = stick.errors.clone().into();
        }
        let raw = json!({ "driver": "raw", "file": errors });
        let nodes = json!({ "driver": "throttle", "node-name": format!("node-{id}"), "throttle-group": group, "file": raw });
        let device = json!({
            "driver": "usb-storage", "id": id, "serial": stick.serial, "removable": true,
            "bus": "sticks.0", "port": stick.port.to_string(),
        });
        self.qmp.plug_nodes(device, nodes)
    }

    /// Waits until the guest lists these disks.
    pub(super) fn wait_for(&mut self, serials: &[&str]) -> Result<Vec<String>, Failure> {
        let all: Vec<_> = serials.iter().map(|serial| format!("-e '\"{serial}\"'")).collect();
        let count = serials.len();
        self.shell.run_within(
            &format!(
                "until test $(aegis-installer devices --json | grep -o {} | sort -u | wc -l) -ge {count}; do sleep 0.3; done",
                all.join(" ")
            ),
            patience(180),
        )?;
        self.shell.run("udevadm settle")?;
        nodes(&mut self.shell, serials)
    }

    /// Runs the flasher to its end. Each event is handed over as it comes; returns the exit status and the last event of each
    /// device.
    pub(super) fn flash(
        &mut self,
        command: &str,
        mut each: impl FnMut(&mut Qmp, &Value) -> TestResult,
    ) -> Result<(i32, BTreeMap<String, Value>), Failure> {
        let mut ends = BTreeMap::new();
        let qmp = &mut self.qmp;
        let status = self.shell.follow(command, patience(180), |line| {
            // Errors are on the console too, in words.
            let Ok(event) = serde_json::from_str::<Value>(line) else { return Ok::<_, Failure>(()) };
            each(qmp, &event)?;
            if let Some(device) = event["device"].as_str() {
                ends.insert(device.to_owned(), event);
            }
            Ok(())
        })?;
        Ok((status, ends))
    }
}

/// The first bytes of a file.
pub(super) fn start_of(path: &Path, length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("open", path))?;
    file.take(length as u64).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// Whether a device's file begins with an image.
pub(super) fn holds(path: &Path, image: &Path) -> Result<bool, Error> {
    let image = fs::read(image).map_err(Error::io("read", image))?;
    Ok(start_of(path, image.len())? == image)
}
