//! What images are written to: a regular file, a loop device, and a loop device that is as slow as a stick.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::Command,
};

use super::super::measure::run;
use crate::{disk, error::Error};

/// The kernel's limits for block devices: the first hierarchy of control groups has them for all processes, and for the
/// kernel's own writes.
const LIMITS: &str = "/sys/fs/cgroup/blkio";

/// A place that images are written to.
pub(super) struct Place {
    /// Node or file.
    pub(super) path: PathBuf,
    device: Option<Loop>,
}

impl Place {
    /// A regular file.
    pub(super) fn file(path: PathBuf, size: u64) -> Result<Self, Error> {
        allocate(&path, size)?;
        Ok(Self { path, device: None })
    }

    /// A loop device over a file, past the cache.
    pub(super) fn device(file: &Path, size: u64) -> Result<Self, Error> {
        allocate(file, size)?;
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show", "--direct-io=on"]).arg(file);
        let node = PathBuf::from(run("losetup", &mut losetup)?.trim());
        let name = node.file_name().unwrap_or_default().to_owned();
        let number = Path::new("/sys/block").join(name).join("dev");
        let mut device = Loop { node: node.clone(), number: String::new(), is_limited: false };
        let text = fs::read_to_string(&number).map_err(Error::io("read", &number))?;
        text.trim().clone_into(&mut device.number);
        Ok(Self { path: node, device: Some(device) })
    }

    /// Limits what is read and written in a second.
    pub(super) fn limited(mut self, bytes: u64) -> Result<Self, Error> {
        if let Some(device) = &mut self.device {
            device.is_limited = true;
            device.limit(bytes)?;
        }
        Ok(self)
    }

    /// What confirms that it is to be erased.
    pub(super) fn token(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The place of every byte is decided before, so that no run pays for it.
fn allocate(path: &Path, size: u64) -> Result<(), Error> {
    disk::set_size(path, size)?;
    let file = OpenOptions::new().write(true).open(path).map_err(Error::io("open", path))?;
    let mut zeros = Command::new("dd");
    zeros.args(["if=/dev/zero", "bs=4M", "oflag=direct", "conv=notrunc", "status=none"]);
    zeros.arg(format!("count={}", size >> 22)).arg(format!("of={}", path.display()));
    run("dd", &mut zeros)?;
    file.sync_all().map_err(Error::io("flush", path))
}

/// A loop device; dropped, it is gone, and its limits before.
struct Loop {
    node: PathBuf,
    /// Major and minor number.
    number: String,
    is_limited: bool,
}

impl Loop {
    /// Bytes a second; 0 for no limit.
    fn limit(&self, bytes: u64) -> Result<(), Error> {
        for direction in ["read", "write"] {
            let file = Path::new(LIMITS).join(format!("blkio.throttle.{direction}_bps_device"));
            fs::write(&file, format!("{} {bytes}", self.number))
                .map_err(Error::io("set a limit in", &file))?;
        }
        Ok(())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if self.is_limited
            && let Err(error) = self.limit(0)
        {
            eprintln!("{error}");
        }
        if let Err(error) = run("losetup", Command::new("losetup").arg("-d").arg(&self.node)) {
            eprintln!("{error}");
        }
    }
}
