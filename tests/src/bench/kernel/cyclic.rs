//! The first program of the image that the latency benchmark boots: runs `cyclictest` beside `hackbench`, tells how late
//! threads were woken, then ends the machine.
//!
//! Standard library only, so that `rustc` alone makes it.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// Microseconds; what is later is counted here.
const LATEST: u32 = 200_000;

fn main() {
    let said = match measure() {
        Ok(counts) => counts.iter().map(|(late, count)| format!("{late}:{count} ")).collect(),
        Err(error) => format!("failed: {error} "),
    };
    if let Ok(mut console) = OpenOptions::new().write(true).open("/dev/console") {
        let _ = console.write_all(format!("\r\nBENCH {said}END\r\n").as_bytes());
    }
    // The serial port empties its buffer slowly, and a restart does not wait for it.
    thread::sleep(Duration::from_millis(500));
    let _ = fs::write("/proc/sysrq-trigger", "b");
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

/// How many wakings were late by how many microseconds.
fn measure() -> io::Result<BTreeMap<u32, u64>> {
    let mut load = Command::new("/usr/bin/hackbench")
        .args(["--groups=2", "--loops=100000000"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let options = ["--smp", "--mlockall", "--priority=90", "--interval=1000", "--quiet"];
    let sizes = ["--loops=10000".to_owned(), format!("--histogram={LATEST}")];
    let output = Command::new("/usr/bin/cyclictest").args(options).args(sizes).stdin(Stdio::null()).output()?;
    let _ = load.kill();
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let mut counts = BTreeMap::new();
    // A line of the histogram: microseconds, and how often in each thread.
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let latest = line.strip_prefix("# Histogram Overflows:").map(|rest| format!("{LATEST} {rest}"));
        let line = latest.as_deref().unwrap_or(line);
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let Some(late) = numbers.next().and_then(|late| u32::try_from(late).ok()) else { continue };
        let count: u64 = numbers.sum();
        if count > 0 {
            *counts.entry(late).or_default() += count;
        }
    }
    if counts.is_empty() { Err(io::Error::other("cyclictest printed no histogram")) } else { Ok(counts) }
}
