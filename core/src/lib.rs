//! What every part of Aegis OS agrees on: editions, manifests, signatures, slots, boot parameters.
//!
//! Invariant: no I/O, no clock, no unsafe code, no std. Time, randomness and bytes are arguments.
//! This crate will not read a file, ask the time or print; its callers do.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod channel;
pub mod cmdline;
#[cfg(feature = "ring")]
pub mod crypto;
pub mod edition;
pub mod hex;
pub mod install;
pub mod key;
pub mod manifest;
pub mod report;
pub mod slot;
pub mod verity;
