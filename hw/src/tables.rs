//! Partition tables and boot sectors: read, planned, and as bytes.
//!
//! Invariant: nothing here opens a file. A plan is a value that can be printed, stored and compared;
//! [`encode()`] turns it into bytes with their places, [`Change`] puts them into the order in which a disk can lose its
//! power at any moment, and only [`Change::apply`] writes, to a [`Target`](crate::target::Target) that the caller opened.

mod bios;
mod change;
mod encode;
mod half;
mod image;
mod kinds;
mod layout;
mod plan;
mod read;
mod record;
mod repair;
mod table;

pub use bios::{boot_code, patch_core};
pub use change::Change;
pub use encode::{Encoded, Region, encode};
pub use image::{first_bytes, protective_for};
pub use kinds::{Attributes, PartitionType};
pub use layout::{DiskFacts, Placed, Reason, Size, TablePlan, Wanted, WantedTable};
pub use plan::{Entry, Layout, PartitionPlan};
pub use read::{Reading, read};
pub use repair::{Action, Refusal, Repair, repair};
pub use table::{Copy, CopyProblem, DiskId, Finding, Level, Partition, Scheme, Table};
