//! Whole-system tests of Aegis OS, in QEMU with software emulation.
//!
//! Run them with `make test`. Each prints when it reached what; a failure shows the guest's screen and
//! the last lines of its console.

mod answers;
mod boot;
mod build;
mod desktop;
mod download;
mod flash;
mod harness;
mod hotplug;
mod install;
mod installed;
mod kernel;
mod license;
mod live;
mod power;
mod recorded;
mod snapshots;
mod tables;
mod tamper;
