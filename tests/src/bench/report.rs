//! The text of the report: Markdown tables and whether targets are met.

use std::{fmt::Write as _, fs};

/// A Markdown table.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).ok();
    }
    text
}

/// A target in words. `ratio` is how many times better ours is than theirs; `wanted` is how many times it should be.
pub fn target(what: &str, ratio: f64, wanted: f64) -> String {
    let verdict = if ratio >= wanted { "met" } else { "MISSED" };
    format!("- {what}: {ratio:.1} times better; the target is {wanted:.1}: {verdict}.\n")
}

/// A target in words, of a number that should be so much or more.
pub fn at_least(what: &str, found: f64, wanted: f64) -> String {
    let verdict = if found >= wanted { "met" } else { "MISSED" };
    format!("- {what}: {found:.2}; the target is at least {wanted:.2}: {verdict}.\n")
}

/// A target in words, of a number that should be so much or less.
pub fn at_most(what: &str, found: f64, wanted: f64) -> String {
    let verdict = if found <= wanted { "met" } else { "MISSED" };
    format!("- {what}: {found:.2}; the target is at most {wanted:.2}: {verdict}.\n")
}

/// Bytes as megabytes.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Seconds, with as many digits as mean something; a dash for what was not measured.
pub fn seconds(value: f64) -> String {
    if value.is_nan() {
        return "-".to_owned();
    }
    if value < 10.0 { format!("{value:.2} s") } else { format!("{value:.0} s") }
}

/// The machine and the day, without names of either.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let memory: u64 = read("/proc/meminfo")
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|kibibytes| kibibytes.parse().ok())
        .unwrap_or_default();
    let load = read("/proc/loadavg");
    format!(
        "Machine: {cores} cores, {} GB of memory, Linux {}; load before the first run: {}.\n",
        memory / 1_000_000,
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_limit_and_missed_below() {
        assert!(target("size", 5.0, 5.0).ends_with("met.\n"));
        assert!(target("size", 4.9, 5.0).ends_with("MISSED.\n"));
        assert!(at_least("speed", 0.98, 0.98).ends_with("met.\n"));
        assert!(at_least("speed", 0.97, 0.98).ends_with("MISSED.\n"));
        assert!(at_most("time", 1.05, 1.05).ends_with("met.\n"));
        assert!(at_most("time", f64::NAN, 1.05).ends_with("MISSED.\n"));
    }

    #[test]
    fn a_table_has_one_line_for_each_row() {
        let text = table(&["a", "b"], &[vec!["1".into(), "2".into()]]);
        assert_eq!(text, "| a | b |\n|---|---|\n| 1 | 2 |\n");
    }
}
