//! `aegis-server`: site, accounts, API and downloads of Aegis OS.

use std::process::ExitCode;

use aegis_core::report::{self, Hint};

fn main() -> ExitCode {
    ExitCode::from(aegis_server::cli::run().unwrap_or_else(|error| {
        eprintln!("{}", report::render(&error));
        error.exit_code()
    }))
}
