//! Keeps the machine awake while something is written, where there is no logind.

use std::{fmt, io};

/// The machine stays awake while this lives.
#[derive(Debug)]
pub struct Awake {
    _system: aegis_hw::Awake,
}

/// Why it may go to sleep.
#[derive(Debug)]
pub struct Reason(io::Error);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Holds off sleep; the system shows nobody why.
///
/// # Errors
/// [`Reason`]. What is to be done can be done without, unless the machine goes to sleep.
pub fn hold(_why: &str) -> Result<Awake, Reason> {
    aegis_hw::Awake::keep().map(|_system| Awake { _system }).map_err(Reason)
}
