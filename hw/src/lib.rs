//! Disks: inventory, partition plans and the one writer of disks. The identity of the machine and the license on it.
//!
//! Invariant: [`tables`] opens no file, [`inventory`] only reads, and reads only through a [`tree::Tree`], and everything
//! that changes a disk goes through a [`target::Target`], which proves on the open descriptor that it is the disk that was
//! chosen.
//! This crate will not decide what to install.

#[cfg(feature = "inventory")]
pub mod content;
pub mod error;
#[cfg(feature = "gpu")]
pub mod gpu;
#[cfg(feature = "inventory")]
pub mod inventory;
pub mod license;
#[cfg(feature = "inventory")]
pub mod machine;
mod sys;
#[cfg(feature = "tables")]
pub mod tables;
pub mod target;
pub mod text;
#[cfg(feature = "inventory")]
pub mod tree;
#[cfg(feature = "uevents")]
pub mod uevents;
#[cfg(feature = "tables")]
pub mod undo;
pub mod units;
#[cfg(feature = "watch")]
pub mod watch;
#[cfg(any(windows, test))]
mod windows;

pub use error::{Error, LoadError, advice};
pub use sys::Lock;
#[cfg(not(target_os = "linux"))]
pub use sys::{Awake, Interrupts};
#[cfg(feature = "inventory")]
pub use tree::Tree;
pub use units::Bytes;
