//! The `aegis-*` utilities of the installed system: one module for each program.
//!
//! Invariant: every program reads below a root that is an argument, prints JSON with `--json`, and changes only what its
//! verb says.
#![forbid(unsafe_code)]

pub mod error;
pub mod kernel;
pub mod license;
pub mod system;

use std::process::ExitCode;

use aegis_core::report::{self, Hint};

pub use error::Error;

/// Prints a line for a person or program. A reader that closed the pipe has what it wanted.
macro_rules! say {
    ($($part:tt)*) => {{ use std::io::Write; writeln!(std::io::stdout(), $($part)*).ok(); }};
}
pub(crate) use say;

/// The end of every program: an error on stderr, and the exit code.
pub fn finish(result: Result<u8, Error>) -> ExitCode {
    ExitCode::from(result.unwrap_or_else(|error| {
        eprintln!("{}", report::render(&error));
        error.exit_code()
    }))
}
