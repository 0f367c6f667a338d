//! Installs Aegis OS to a disk, by screens or by an answer file.
//!
//! Answers become a [`plan::InstallPlan`], which is data; [`apply::apply`] is the only code that writes to a disk, and it
//! accepts nothing but a plan.
//!
//! Installing needs Linux: it mounts, uses loop devices, and runs the programs that make file systems. So do the answers
//! about a machine beyond its disks. What writes and checks media is for every system, and `cfg` here and in [`cli`] and
//! [`tui`] tells the two apart.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod answers;
#[cfg(target_os = "linux")]
pub mod apply;
pub mod backup;
pub mod cli;
pub mod config;
#[cfg(target_os = "linux")]
pub mod download;
pub mod error;
#[cfg(target_os = "linux")]
pub(crate) mod files;
pub mod flash;
#[cfg(target_os = "linux")]
pub mod graphics;
pub mod grub;
#[cfg_attr(not(target_os = "linux"), path = "inhibit/elsewhere.rs")]
pub mod inhibit;
#[cfg(target_os = "linux")]
pub mod live;
pub mod medium;
pub(crate) mod mounts;
pub mod offers;
pub mod password;
pub mod persistence;
pub mod plan;
pub mod progress;
pub mod reports;
pub mod select;
pub mod source;
pub mod stick;
pub mod tui;

pub use error::Error;
