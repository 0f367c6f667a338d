//! Copies a device into an image file.
//!
//! Invariant: a file gets its name when the image in it is complete, on the disk, and was read back. Before, it has a name
//! that says that it is a part. The device is opened for reading only, and by nobody else while it can be written.

#[cfg(target_os = "linux")]
mod plan;
mod problem;
#[cfg(target_os = "linux")]
mod read;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod store;

#[cfg(target_os = "linux")]
pub use plan::{BackupPlan, Wishes, format_of};
pub use problem::FileProblem;
#[cfg(target_os = "linux")]
pub use read::Bad;
#[cfg(target_os = "linux")]
pub use run::{Done, Phase, copy, run};
