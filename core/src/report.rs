//! The one shape of an error that reaches a person: what happened, then what to do next.

use alloc::{format, string::String};
use core::error::Error;

/// Exit codes of every binary.
pub mod exit {
    /// Everything was done.
    pub const OK: u8 = 0;
    /// Something failed.
    pub const FAILED: u8 = 1;
    /// The command line was wrong.
    pub const USAGE: u8 = 2;
    /// Refused, because going on could destroy something or trust something forged.
    pub const REFUSED: u8 = 3;
}

/// An error that knows the next step for the person who reads it.
pub trait Hint: Error {
    /// What to do next, as a sentence without a full stop; `None` when nothing can be advised.
    fn hint(&self) -> Option<String>;

    /// The exit code of a binary that ends with this error; see [`exit`].
    fn exit_code(&self) -> u8 {
        exit::FAILED
    }
}

/// `error: a: b: c` over the chain of sources, then `  next: …`, without a final line feed.
pub fn render(error: &dyn Hint) -> String {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n  next: {hint}"));
    }
    text
}
