//! `aegis`: builds, signs, verifies and runs media of Aegis OS.

use std::process::ExitCode;

use aegis_core::report;

fn main() -> ExitCode {
    match aegis_boot::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", report::render(&error));
            ExitCode::from(report::Hint::exit_code(&error))
        }
    }
}
