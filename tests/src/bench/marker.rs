//! The whole userland of the image that the initramfs benchmark boots: tells when it was started, then ends the machine.
//!
//! Both times are the kernel's own, from its log: when it started PID 1 and when this program wrote its first message.
//! Standard library only, so that `rustc` alone makes it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    thread,
    time::Duration,
};

/// `O_NONBLOCK` of Linux on x86-64: reading ends with the last record in place of waiting for the next.
const O_NONBLOCK: i32 = 0o4000;
const STARTED: &str = "Run /init as init process";
const ARRIVED: &str = "aegis-bench: arrived";

fn main() {
    let line = match report() {
        Ok((started, arrived)) => format!("BENCH {started} {arrived} END"),
        Err(error) => format!("BENCH failed: {error} END"),
    };
    if let Ok(mut console) = OpenOptions::new().write(true).open("/dev/console") {
        let _ = console.write_all(format!("\r\n{line}\r\n").as_bytes());
    }
    // The serial port empties its buffer slowly, and a restart does not wait for it.
    thread::sleep(Duration::from_millis(500));
    let _ = fs::write("/proc/sysrq-trigger", "b");
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

/// The two times in microseconds since the kernel's start.
fn report() -> io::Result<(u64, u64)> {
    OpenOptions::new().write(true).open("/dev/kmsg")?.write_all(format!("<6>{ARRIVED}\n").as_bytes())?;
    let mut log = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open("/dev/kmsg")?;
    let (mut started, mut arrived) = (None, None);
    while let Some(record) = next(&mut log)? {
        let time = || record.split(',').nth(2).and_then(|text| text.parse().ok());
        if record.contains(STARTED) {
            started = time();
        } else if record.contains(ARRIVED) {
            arrived = time();
        }
    }
    started.zip(arrived).ok_or_else(|| io::Error::other("the kernel's log lacks a message"))
}

/// One record: priority, number, microseconds and flags before a semicolon, then the text.
fn next(log: &mut File) -> io::Result<Option<String>> {
    let mut buffer = [0; 8192];
    loop {
        match log.read(&mut buffer) {
            Ok(length) => return Ok(Some(String::from_utf8_lossy(&buffer[..length]).into_owned())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            // Records were overwritten; reading goes on with the oldest that is left.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error),
        }
    }
}
