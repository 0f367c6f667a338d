//! Installs Aegis OS to a disk, by screens or by an answer file.

use std::process::ExitCode;

fn main() -> ExitCode {
    match aegis_installer::cli::run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            use aegis_core::report::{Hint, render};
            eprintln!("{}", render(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
