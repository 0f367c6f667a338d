//! Partition plans and the bytes of partition tables and boot sectors.
//!
//! Invariant: nothing here opens a file. A plan is a value that can be printed, stored and compared;
//! [`encode()`] turns it into bytes with their places, and the caller decides when they are written.

mod bios;
mod encode;
mod plan;

pub use bios::{boot_code, patch_core};
pub use encode::{Region, Table, encode};
pub use plan::{Entry, Layout, PartitionPlan};
