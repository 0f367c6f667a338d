//! Harness for whole-system tests: machines in QEMU, their consoles, screens and disks.
//!
//! Invariant: it writes only below the temporary directories that it made and ends only the processes that
//! it started. A missing program or medium is an error with the name of the package or command that
//! brings it; nothing is ever skipped.
#![forbid(unsafe_code)]

pub mod bench;
pub mod disk;
pub mod error;
pub mod host;
pub mod iso;
pub mod qmp;
pub mod screen;
pub mod serial;
pub mod shell;
pub mod vm;

pub use error::{Error, Failure, TestResult};
