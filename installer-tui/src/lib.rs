//! Installs Aegis OS to a disk, by screens or by an answer file.
//!
//! Answers become a [`plan::InstallPlan`], which is data; [`apply::apply`] is the only code that writes to a disk, and it
//! accepts nothing but a plan.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod answers;
pub mod apply;
pub mod backup;
pub mod cli;
pub mod config;
pub mod error;
pub mod flash;
pub mod graphics;
pub mod grub;
pub mod inhibit;
pub mod live;
pub mod medium;
pub mod offers;
pub mod password;
pub mod plan;
pub mod progress;
pub mod reports;
pub mod select;
pub mod source;
pub mod stick;
pub mod tui;

pub use error::Error;
