//! The data partition: ext4 by mke2fs, filled from a directory.

use std::{
    ffi::OsString,
    io::Read,
    process::{Command, Stdio},
    time::Duration,
};

use aegis_core::install::Role;
use aegis_hw::target::Target;

use super::staging::Staged;
use crate::{error::Error, plan::InstallPlan, progress::Meter};

const NAME: &str = "mke2fs";
/// How often a person can stop the installation while mke2fs runs.
const POLL: Duration = Duration::from_millis(200);

/// Makes the file system; the target is synchronised afterwards.
pub(super) fn write(
    plan: &InstallPlan,
    staged: &Staged,
    target: &dyn Target,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let (start, size) = plan.partitions.place(Role::Data);
    // What the kernel still holds of this range must not overwrite what mke2fs writes by another path.
    target.sync()?;
    let window = target.window(start, size)?;
    let uuid = plan.install.partition_guid(Role::Data);
    let mut command = Command::new(NAME);
    command
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-L", "data", "-U", &uuid.to_string()])
        .arg("-E")
        .arg(format!("offset={},root_owner=0:0", window.offset))
        .arg("-d")
        .arg(staged.path())
        .arg(&window.path)
        // Blocks of 4096 bytes.
        .arg((window.size.0 / 4096).to_string())
        .env("PATH", search_path())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    run(command, meter)?;
    drop(window);
    Ok(target.sync()?)
}

/// The directories of administration programs are not in everyone's path.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
    path
}

/// Waits for the program while a person can still stop it.
fn run(mut command: Command, meter: &mut Meter<'_>) -> Result<(), Error> {
    let mut child = command.spawn().map_err(Error::io("run", NAME))?;
    let mut pipe = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let result = pipe.as_mut().map(|pipe| pipe.read_to_end(&mut text));
        result.transpose().map(|_| text)
    });
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::io("wait for", NAME))? {
            break status;
        }
        if let Err(stopped) = meter.tick() {
            child.kill().map_err(Error::io("stop", NAME))?;
            child.wait().map_err(Error::io("wait for", NAME))?;
            return Err(stopped);
        }
        std::thread::sleep(POLL);
    };
    if status.success() {
        return Ok(());
    }
    let text = reader.join().unwrap_or_else(|_panic| Ok(Vec::new()));
    let text = text.map_err(Error::io("read messages of", NAME))?;
    let text = String::from_utf8_lossy(&text);
    let last: Vec<&str> = text.lines().rev().take(3).collect();
    let output = last.into_iter().rev().collect::<Vec<_>>().join("; ");
    Err(Error::Program { name: NAME, status, output })
}
