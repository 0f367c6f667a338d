//! Writes images to sticks and other devices.
//!
//! Invariant: until a device was read back and found right, its first mebibyte is zero, so that nothing takes it for a
//! medium. What a device ends as is one value, [`Outcome`], from which the last line, the receipt and the exit code follow.
//!
//! One feed reads and decodes the image; every device has a queue of its own and writers of its own. A device that falls
//! behind by more than its queue gets a feed of its own, so that it holds up nobody.

pub mod auto;
pub mod batch;
pub mod bmap;
pub mod buffer;
mod comeback;
mod crew;
pub mod decode;
mod device;
pub mod dialog;
pub mod engine;
mod feed;
mod foreman;
pub mod format;
pub mod image;
pub mod map;
pub mod outcome;
pub mod plan;
pub mod ranges;
mod readback;
pub mod receipt;
pub mod risk;
mod run;
pub mod session;
pub mod sums;
pub mod verify;
mod write;

pub use batch::Batch;
pub use engine::{Image, Observer, Options, Order, Target, flash, flash_each};
pub use outcome::{Event, Failure, Outcome, Phase, Summary};
pub use plan::FlashPlan;
pub use run::{Ended, Report, run, run_batch};
