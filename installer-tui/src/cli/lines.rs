//! Progress and results as lines of text or of JSON.

#[cfg(target_os = "linux")]
mod installation;

use std::io::{self, Write};

#[cfg(target_os = "linux")]
pub(super) use installation::{Observer, failed, installed};

use crate::inhibit::{self, Awake};

/// Prints to standard output; a reader that went away is no error.
pub(super) fn out(text: &str) {
    // A question does not end its line, and would be kept back.
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Keeps the machine awake while the lock lives; that this is not possible is told once and is no failure.
pub(super) fn stay_awake(why: &str) -> Option<Awake> {
    inhibit::hold(why)
        .inspect_err(|reason| eprintln!("note: the machine may go to sleep meanwhile: {reason}"))
        .ok()
}
