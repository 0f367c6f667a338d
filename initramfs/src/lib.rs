//! `aegis-init`: PID 1 of the initramfs. Finds the medium or slot that the command line names, verifies it, and hands over
//! to its systemd.
//!
//! Invariant: nothing from a device is used before its signature was verified, and nothing on a disk is changed but the
//! data partition of the installation that is booted. No other program is run until the last step.

use std::{panic, process, process::ExitCode};

use aegis_core::report::{self, Hint};

mod block;
mod console;
mod contents;
mod drivers;
mod error;
mod gpt;
mod handover;
mod hardware;
mod image;
#[cfg(feature = "license")]
mod license;
#[cfg(not(feature = "license"))]
#[path = "license_none.rs"]
mod license;
mod log;
mod modules;
mod persistence;
mod record;
mod release;
mod rescue;
mod root;
mod search;
mod stage;
mod sys;
mod uevent;

use error::Error;

/// Boots the machine when this is PID 1. Otherwise prints the version, or an error, and returns.
pub fn run(argument: Option<&str>) -> ExitCode {
    if process::id() == 1 {
        boot()
    }
    if argument == Some("--version") {
        println!("aegis-init {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    eprintln!("{}", report::render(&Error::NotInit));
    ExitCode::from(Error::NotInit.exit_code())
}

fn boot() -> ! {
    log::start();
    // PID 1 must not end: a defect leads to the menu like any other failure, though without another attempt.
    panic::set_hook(Box::new(|info| {
        rescue::report_failure(&Error::Panic(info.to_string()), &search::Seen::new());
        rescue::end_by_choice();
    }));
    stage::Boot::default().run()
}
