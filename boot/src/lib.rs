//! Builds, signs, verifies and runs media of Aegis OS.
//!
//! Invariant: an output appears under its final name only when it is complete. A build is a sequence of
//! stages, each a function of its inputs' digests; a stage whose inputs did not change is not run again.
#![forbid(unsafe_code)]

pub mod cache;
pub mod cli;
pub mod date;
pub mod drivers;
pub mod error;
pub mod esp;
pub mod host;
pub mod image;
pub mod initramfs;
pub mod iso;
pub mod isofs;
pub mod kernel;
pub mod keys;
pub mod license;
pub mod loader;
pub mod lock;
pub mod overlay;
pub mod pipeline;
pub mod programs;
pub mod progress;
pub mod ranges;
pub mod release;
pub mod rootfs;
pub mod sources;
pub mod store;
pub mod tarmerge;
pub mod tools;
pub mod verify;
pub mod vm;
