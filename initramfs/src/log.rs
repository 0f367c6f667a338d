//! Messages: to the kernel's log, and to a list in memory that the rescue menu can show.
//!
//! Invariant: logging never fails and never blocks the boot.

use std::{
    collections::VecDeque,
    fs::OpenOptions,
    io::Write,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// Lines that are kept for the rescue menu.
const KEPT: usize = 500;
/// Priority of a failure, as in syslog(3): `quiet` shows what is below 4.
const CRITICAL: u8 = 2;

static LINES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
static START: OnceLock<Instant> = OnceLock::new();

/// Starts the clock of [`since_start`]; later calls do nothing.
pub(crate) fn start() {
    START.get_or_init(Instant::now);
}

/// Time since PID 1 started.
pub(crate) fn since_start() -> Duration {
    START.get_or_init(Instant::now).elapsed()
}

/// A failure: shown on consoles even with `quiet`.
pub(crate) fn critical(text: &str) {
    write(CRITICAL, text);
}

/// Something that a person waits for: shown on consoles even with `quiet`.
pub(crate) fn notice(text: &str) {
    write(3, text);
}

/// Something that a person should know although the boot goes on.
pub(crate) fn warning(text: &str) {
    write(4, text);
}

/// A step of the boot.
pub(crate) fn info(text: &str) {
    write(6, text);
}

/// A detail for whoever studies the log.
pub(crate) fn debug(text: &str) {
    write(7, text);
}

/// Whether the kernel writes [`critical`] messages to its consoles: `loglevel=` can forbid it.
pub(crate) fn is_critical_shown() -> bool {
    let levels = std::fs::read_to_string("/proc/sys/kernel/printk").unwrap_or_default();
    let console = levels.split_ascii_whitespace().next().and_then(|level| level.parse::<u8>().ok());
    console.is_some_and(|console| console > CRITICAL)
}

/// The kept lines, oldest first, each with the milliseconds since PID 1 started.
pub(crate) fn lines() -> Vec<String> {
    kept().iter().cloned().collect()
}

fn kept() -> MutexGuard<'static, VecDeque<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(priority: u8, text: &str) {
    let mut lines = kept();
    if lines.len() == KEPT {
        lines.pop_front();
    }
    lines.push_back(format!("{:>7} ms  {text}", since_start().as_millis()));
    drop(lines);
    // The kernel limits the rate for each open descriptor, so every message gets its own. Before devtmpfs is mounted
    // there is no such file; the line is kept in memory all the same.
    if let Ok(mut kmsg) = OpenOptions::new().write(true).open("/dev/kmsg") {
        for line in text.lines() {
            let _ = kmsg.write_all(format!("<{priority}>aegis-init: {line}\n").as_bytes());
        }
    }
}
