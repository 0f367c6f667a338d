//! What every part of Aegis OS agrees on: editions, licenses, manifests, signatures, slots, boot parameters.
//!
//! Invariant: no I/O, no clock, no unsafe code, no std. Time, randomness and bytes are arguments.
//! This crate will not read a file, ask the time or print; its callers do.
#![no_std]
#![forbid(unsafe_code)]
// Tests have std.
#![cfg_attr(
    not(test),
    warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod boot_state;
pub mod channel;
#[cfg(feature = "alloc")]
pub mod cmdline;
pub mod crypto;
pub mod edition;
pub mod hex;
pub mod install;
pub mod key;
pub mod license;
#[cfg(feature = "alloc")]
pub mod manifest;
pub mod persistence;
pub mod probe;
#[cfg(feature = "alloc")]
pub mod ranges;
#[cfg(feature = "alloc")]
pub mod report;
pub mod slot;
pub mod text;
pub mod time;
pub mod uevent;
#[cfg(feature = "alloc")]
pub mod verity;
pub mod version;
