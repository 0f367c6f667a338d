//! What a person or a program sees of a build: stage, speed, time.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use serde_json::json;

/// Reports stages on standard error, or as one JSON object a line on standard output.
pub struct Progress {
    json: bool,
    terminal: bool,
    total: usize,
    index: usize,
    stage: &'static str,
    started: Instant,
    printed: Option<Instant>,
}

impl Progress {
    /// A report of `total` stages.
    pub fn new(json: bool, total: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { json, terminal, total, index: 0, stage: "", started: Instant::now(), printed: None }
    }

    /// A stage begins.
    pub fn stage(&mut self, name: &'static str) {
        self.index += 1;
        (self.stage, self.started, self.printed) = (name, Instant::now(), None);
        if self.json {
            self.event(json!({"event": "stage", "stage": name, "index": self.index, "of": self.total}));
        } else if self.terminal {
            eprint!("\r\x1b[K[{}/{}] {name} …", self.index, self.total);
        }
    }

    /// The stage has done `done` of `total` bytes.
    pub fn bytes(&mut self, done: u64, total: u64) {
        let now = Instant::now();
        let due = self.printed.is_none_or(|last| now - last > Duration::from_millis(250));
        if !due || total == 0 {
            return;
        }
        self.printed = Some(now);
        let seconds = (now - self.started).as_secs_f64().max(0.001);
        let rate = done as f64 / seconds;
        let left = (total.saturating_sub(done)) as f64 / rate.max(1.0);
        if self.json {
            self.event(json!({
                "event": "bytes", "stage": self.stage, "bytes": done, "total": total,
                "rate": rate.round(), "eta": left.round(),
            }));
        } else if self.terminal {
            let percent = done.saturating_mul(100) / total;
            eprint!(
                "\r\x1b[K[{}/{}] {} {percent:3} %  {:.1} MB/s  {left:.0} s left",
                self.index,
                self.total,
                self.stage,
                rate / 1e6
            );
        }
    }

    /// The stage has done `done` files; how many there will be is known when it was done before.
    pub fn files(&mut self, done: u64, expected: Option<u64>) {
        let now = Instant::now();
        if self.printed.is_some_and(|last| now - last < Duration::from_millis(250)) {
            return;
        }
        self.printed = Some(now);
        let seconds = (now - self.started).as_secs_f64().max(0.001);
        let rate = done as f64 / seconds;
        let left = expected.map(|all| (all.saturating_sub(done) as f64 / rate.max(0.01)).round());
        if self.json {
            self.event(json!({
                "event": "files", "stage": self.stage, "files": done, "expected": expected,
                "rate": rate.round(), "eta": left,
            }));
        } else if self.terminal {
            let left = left.map_or(String::new(), |left| format!("  {} min left", (left / 60.0).ceil()));
            eprint!("\r\x1b[K[{}/{}] {} {done} files  {rate:.0}/s{left}", self.index, self.total, self.stage);
        }
    }

    /// The stage is complete; `detail` says what came out of it.
    pub fn done(&mut self, cached: bool, detail: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        if self.json {
            self.event(json!({
                "event": "done", "stage": self.stage, "cached": cached, "detail": detail,
                "seconds": (seconds * 1000.0).round() / 1000.0,
            }));
            return;
        }
        let start = if self.terminal { "\r\x1b[K" } else { "" };
        let how = if cached { "unchanged".into() } else { format!("{seconds:.1} s") };
        eprintln!("{start}[{}/{}] {:<10} {how:>10}  {detail}", self.index, self.total, self.stage);
    }

    fn event(&self, value: serde_json::Value) {
        // A reader that closed the pipe does not stop the build.
        writeln!(std::io::stdout(), "{value}").ok();
    }
}
