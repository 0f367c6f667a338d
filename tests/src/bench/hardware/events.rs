//! Real events of the kernel about a block device, whose properties are read below a directory where they can be changed.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::wrong;
use crate::error::Error;

/// Events.
const EVENTS: u64 = 100;
/// So long the watcher has nothing to do while it is observed.
pub(super) const IDLE: Duration = Duration::from_secs(5);
/// A look at everything is repeated once, a second after the start.
const SETTLED: Duration = Duration::from_secs(2);

/// What was measured.
pub(super) struct Measured {
    /// Whose events: `kernel` or `udev`.
    pub(super) source: String,
    /// Milliseconds from each event to its line.
    pub(super) times: Vec<f64>,
    /// How often the watcher gave the processor up of its own will while nothing happened.
    pub(super) woken: u64,
}

/// Follows events of any block device that this machine has, but a loop device: by its name that is no disk.
pub(super) fn measure(installer: &Path) -> Result<Measured, Error> {
    let devices = fs::read_dir("/sys/block").map_err(Error::io("list", "/sys/block"))?;
    let mut names = devices.flatten().map(|device| device.file_name());
    let name = names.find(|name| !name.to_string_lossy().starts_with("loop"));
    let name = name.ok_or_else(|| wrong("this machine has no block device but loop devices"))?;
    let place = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
    let size = machine(place.path(), Path::new(&name)).map_err(Error::io("write below", place.path()))?;
    let mut watcher = Watcher::start(installer, place.path())?;
    let source = watcher.source()?;
    thread::sleep(SETTLED);
    let before = watcher.switches()?;
    thread::sleep(IDLE);
    let woken = watcher.switches()?.saturating_sub(before);
    let uevent = Path::new("/sys/block").join(&name).join("uevent");
    let mut times = Vec::new();
    for round in 0..EVENTS {
        fs::write(&size, (4096 + round).to_string()).map_err(Error::io("write", &size))?;
        let start = Instant::now();
        fs::write(&uevent, "change").map_err(Error::io("write", &uevent))?;
        let event = watcher.event()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if event["event"] != "changed" || event["disk"]["size"] != (4096 + round) * 512 {
            return Err(wrong(format!("an unexpected line: {event}")));
        }
    }
    Ok(Measured { source, times, woken })
}

/// A disk of this name with a size that can be changed; returns the file with the size.
fn machine(place: &Path, name: &Path) -> std::io::Result<PathBuf> {
    let device = place.join("devices/pci0");
    let disk = device.join("block").join(name);
    fs::create_dir_all(&disk)?;
    fs::create_dir_all(place.join("block"))?;
    symlink(&device, disk.join("device"))?;
    symlink(&disk, place.join("block").join(name))?;
    fs::write(disk.join("size"), "2048")?;
    Ok(disk.join("size"))
}

/// The running program; ended when dropped.
struct Watcher {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watcher {
    fn start(installer: &Path, sysfs: &Path) -> Result<Self, Error> {
        let mut command = Command::new(installer);
        command.args(["devices", "--watch", "--json", "--sysfs-root"]).arg(sysfs);
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(Error::io("start", installer))?;
        let lines = child.stdout.take().ok_or_else(|| wrong("the watcher has no output"))?;
        Ok(Self { child, lines: BufReader::new(lines) })
    }

    fn event(&mut self) -> Result<Value, Error> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(Error::io("read from", "aegis-installer"))?;
        serde_json::from_str(&line).map_err(|error| wrong(format!("{error} in {line:?}")))
    }

    /// Waits until the watcher is ready, and returns whose events it follows.
    fn source(&mut self) -> Result<String, Error> {
        loop {
            let event = self.event()?;
            if event["event"] == "ready" {
                return Ok(event["source"].as_str().unwrap_or_default().to_owned());
            }
        }
    }

    /// How often it has waited for something so far: proc(5), `voluntary_ctxt_switches`.
    fn switches(&self) -> Result<u64, Error> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|number| number.trim().parse().ok()).ok_or_else(|| wrong("no count of switches"))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended by itself, which the measurement has noticed then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
