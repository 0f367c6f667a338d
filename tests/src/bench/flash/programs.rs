//! The programs that write images, and how long each takes.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use serde_json::Value;

use super::{
    super::measure::{run, timed},
    places::Place,
};
use crate::error::Error;

/// Version of the peer that is built from its source, `cargo install`ed by the first run.
const CALIGULA: &str = "0.5.0";

/// What writing took with our installer.
#[derive(Clone, Debug)]
pub(super) struct Flashed {
    /// For each device, seconds until it held everything, and until it was read back and complete.
    pub(super) devices: Vec<(f64, f64)>,
    /// Peak of memory in bytes.
    pub(super) memory: u64,
}

/// Writes an image to places with our installer.
pub(super) fn ours(
    installer: &Path,
    image: &Path,
    places: &[&Place],
    options: &[&str],
) -> Result<Flashed, Error> {
    let mut command = Command::new(installer);
    command.arg("flash").arg(image).arg("--json").args(options).stdin(Stdio::null()).stdout(Stdio::piped());
    for place in places {
        command.arg("--to").arg(&place.path).arg("--serial").arg(place.token());
    }
    let begun = Instant::now();
    let mut child = command.spawn().map_err(Error::io("start", installer))?;
    let followed = follow(&mut child, places, begun);
    let status = child.wait().map_err(Error::io("wait for", installer))?;
    match followed {
        Ok(flashed) if status.success() => Ok(flashed),
        Ok(_) => Err(failed(status.to_string())),
        Err(error) => Err(error),
    }
}

fn failed(output: String) -> Error {
    Error::Program { name: "aegis-installer", output }
}

/// Reads the events of a run to its end.
fn follow(child: &mut Child, places: &[&Place], begun: Instant) -> Result<Flashed, Error> {
    let output = child.stdout.take().ok_or_else(|| failed("it has no output".into()))?;
    let mut devices = vec![(f64::NAN, f64::NAN); places.len()];
    let mut memory = 0;
    for line in BufReader::new(output).lines() {
        let line = line.map_err(Error::io("read the output of", "aegis-installer"))?;
        let now = begun.elapsed().as_secs_f64();
        let event: Value = serde_json::from_str(&line).map_err(|error| failed(format!("{error}: {line}")))?;
        let at = places.iter().position(|place| event["device"].as_str() == place.path.to_str());
        let Some(device) = at.and_then(|at| devices.get_mut(at)) else { continue };
        match (event["event"].as_str(), event["phase"].as_str()) {
            (_, Some("verify")) if device.0.is_nan() => device.0 = now,
            // All buffers are in use by then.
            (_, Some("finish")) => memory = memory.max(peak(child.id())?),
            (Some("complete"), _) => device.1 = now,
            (Some("failed"), _) => return Err(failed(line)),
            _ => {}
        }
    }
    if devices.iter().any(|(written, whole)| written.is_nan() || whole.is_nan()) {
        return Err(failed(format!("a device has no end: {devices:?}")));
    }
    Ok(Flashed { devices, memory })
}

/// The most memory that a process ever had, in bytes.
fn peak(process: u32) -> Result<u64, Error> {
    let file = PathBuf::from(format!("/proc/{process}/status"));
    let text = fs::read_to_string(&file).map_err(Error::io("read", &file))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<u64> = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
    Ok(kib.unwrap_or(0) << 10)
}

/// Writes with dd, past the cache and down to the device; seconds.
pub(super) fn dd_write(image: &Path, to: &Place) -> Result<f64, Error> {
    let mut command = Command::new("dd");
    command.args(["bs=4M", "oflag=direct", "conv=fsync,notrunc", "status=none"]);
    command.arg(format!("if={}", image.display())).arg(format!("of={}", to.path.display()));
    Ok(timed(|| run("dd", &mut command))?.1)
}

/// Reads with dd, past the cache; seconds.
pub(super) fn dd_read(from: &Place, bytes: u64) -> Result<f64, Error> {
    let mut command = Command::new("dd");
    command.args(["of=/dev/null", "bs=4M", "iflag=direct", "status=none"]);
    command.arg(format!("if={}", from.path.display())).arg(format!("count={}", bytes >> 22));
    Ok(timed(|| run("dd", &mut command))?.1)
}

/// Writes with bmaptool; seconds.
pub(super) fn bmaptool(image: &Path, bmap: Option<&Path>, to: &Place) -> Result<f64, Error> {
    let mut command = Command::new("bmaptool");
    command.args(["--quiet", "copy"]);
    match bmap {
        Some(bmap) => command.arg("--bmap").arg(bmap),
        None => command.arg("--nobmap"),
    };
    command.arg(image).arg(&to.path);
    let done = timed(|| run("bmaptool", &mut command)).map_err(|error| match error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Error::Missing { what: "bmaptool".into(), package: "bmap-tools" }
        }
        error => error,
    })?;
    Ok(done.1)
}

/// Builds caligula, unless an earlier run did.
pub(super) fn caligula(work: &Path) -> Result<PathBuf, Error> {
    let root = work.join(format!("caligula-{CALIGULA}"));
    let program = root.join("bin/caligula");
    if !program.exists() {
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "--quiet", "--locked", "caligula", "--version", CALIGULA, "--root"]);
        run("cargo", cargo.arg(&root).arg("--target-dir").arg(work.join("caligula-build")))?;
    }
    Ok(program)
}

/// Writes and verifies with caligula; seconds.
pub(super) fn caligula_burn(program: &Path, image: &Path, to: &Place) -> Result<f64, Error> {
    let mut command = Command::new(program);
    command.arg("burn").arg(image).arg("-o").arg(&to.path);
    command.args(["-f", "-z", "auto", "-s", "skip", "--interactive", "never", "--root", "never"]);
    Ok(timed(|| run("caligula", &mut command))?.1)
}

/// The device must hold the image: some programs end well whatever happened.
pub(super) fn compare(image: &Path, with: &Place) -> Result<(), Error> {
    let bytes = fs::metadata(image).map_err(Error::io("look at", image))?.len();
    let mut command = Command::new("cmp");
    run("cmp", command.arg("-n").arg(bytes.to_string()).arg(image).arg(&with.path)).map(drop)
}
