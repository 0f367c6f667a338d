//! What the host provides: programs, firmware, media, and how many machines it can carry at a time.

use std::{
    env,
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::error::Error;

/// Programs that the harness starts, with the Debian package of each.
const PROGRAMS: [(&str, &str); 5] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("xorriso", "xorriso"),
    ("setpriv", "util-linux"),
    ("mcopy", "mtools"),
    ("mke2fs", "e2fsprogs"),
];

/// Firmware files with the Debian package of each.
const FIRMWARE_DIRECTORY: &str = "/usr/share/OVMF";

/// The path of a program of [`PROGRAMS`].
pub fn program(name: &str) -> Result<PathBuf, Error> {
    let package = PROGRAMS.iter().find(|(n, _)| *n == name).map_or("coreutils", |(_, package)| package);
    // Debian keeps some of them out of a user's PATH; the last place is that of `tests/setup firmware`.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), target_directory().join("aegis/virt-firmware/bin")])
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::Missing { what: name.to_owned(), package })
}

/// Runs a program to its end and returns what it printed on stdout.
pub fn output_of<I, S>(name: &'static str, arguments: I) -> Result<String, Error>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let path = program(name)?;
    let output = Command::new(&path).args(arguments).output().map_err(Error::io("start", &path))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Program { name, output: String::from_utf8_lossy(&output.stderr).into_owned() })
}

/// The path of a file of OVMF, such as `OVMF_CODE_4M.fd`.
pub fn firmware(name: &str) -> Result<PathBuf, Error> {
    let path = Path::new(FIRMWARE_DIRECTORY).join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::Missing { what: path.display().to_string(), package: "ovmf" })
}

/// The directory of the workspace's build products.
pub fn target_directory() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    workspace.join("target")
}

/// The medium of an edition: `AEGIS_ISO_<EDITION>` where it is set, else what `make iso` left.
pub fn iso(edition: &str) -> Result<PathBuf, Error> {
    let variable = format!("AEGIS_ISO_{}", edition.to_uppercase().replace('-', "_"));
    let directory = target_directory().join("aegis").join(edition);
    let named = env::var_os(&variable).map(PathBuf::from);
    let found = match named {
        Some(path) => path.is_file().then_some(path),
        None => newest_iso(&directory, &format!("aegis-{edition}-")),
    };
    found.ok_or_else(|| Error::NoIso { searched: directory, edition: edition.to_owned(), variable })
}

fn newest_iso(directory: &Path, prefix: &str) -> Option<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(prefix) && name.ends_with(".iso")
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path)
}

/// A time limit in seconds, multiplied by `AEGIS_PATIENCE` where a machine is slower than most.
///
/// The limits are several times what software emulation on two idle cores needs; they end a test that
/// hangs and measure nothing.
pub fn patience(seconds: u64) -> Duration {
    let factor = env::var("AEGIS_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0_f64);
    Duration::from_secs(seconds).mul_f64(factor.clamp(0.1, 100.0))
}

/// Prints a duration and appends it to the file that `AEGIS_DURATIONS` names, from which `tests/run` makes its table.
pub fn record_duration(machine: &str, what: &str, duration: Duration) {
    let line = format!("{:>7.1} s  {machine}: {what}", duration.as_secs_f64());
    println!("{line}");
    let Some(file) = env::var_os("AEGIS_DURATIONS") else { return };
    let kept = OpenOptions::new().create(true).append(true).open(&file);
    if let Err(error) = kept.and_then(|mut file| writeln!(file, "{line}")) {
        eprintln!("cannot write {}: {error}", file.display());
    }
}

/// Leave to run one machine; given back when dropped.
#[derive(Debug)]
pub struct Permit(());

static RUNNING: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// Waits until another machine may run: as many as `AEGIS_MACHINES` says, or two.
pub fn permit() -> Permit {
    let limit = env::var("AEGIS_MACHINES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_usize).max(1);
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut running =
        FREED.wait_while(running, |running| *running >= limit).unwrap_or_else(PoisonError::into_inner);
    *running += 1;
    Permit(())
}

impl Drop for Permit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
