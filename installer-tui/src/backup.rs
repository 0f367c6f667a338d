//! Copies a device into an image file.
//!
//! Invariant: a file gets its name when the image in it is complete, on the disk, and was read back. Before, it has a name
//! that says that it is a part. The device is opened for reading only, and by nobody else while it can be written.

mod plan;
mod read;
mod run;
mod store;

pub use plan::{BackupPlan, FileProblem, Wishes, format_of};
pub use read::Bad;
pub use run::{Done, Phase, copy, run};
