//! PID 1 of the Aegis OS initramfs.

use std::process::ExitCode;

fn main() -> ExitCode {
    aegis_init::run(std::env::args().nth(1).as_deref())
}
