//! `aegis-kernel`: compares the running kernel with what the release promises of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    aegis_tools::finish(aegis_tools::kernel::run())
}
