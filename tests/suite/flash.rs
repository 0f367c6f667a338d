//! The flasher at work in a live system.

mod faults;
mod four;
mod guest;
mod moments;
mod persistence;

use std::process::Command;

use aegis_tests::{Error, Failure, TestResult};

fn run(command: &mut Command) -> TestResult {
    let output = command.output().map_err(Error::io("start", command.get_program()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
}
