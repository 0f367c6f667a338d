//! `aegis-license`: shows, installs and removes the license of this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    aegis_tools::finish(aegis_tools::license::cli::run())
}
