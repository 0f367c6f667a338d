//! `aegis-server`: site, accounts, API and downloads of Aegis OS.
//!
//! Invariants: facts about editions come from `aegis-editions` alone; every change of the database is one batch of
//! statements that holds or does not (`store`); nothing that a client sends reaches a log as it is.

pub mod api;
pub mod audit;
mod clock;
mod error;
pub mod http;
pub mod limits;
pub mod store;
pub mod watch;

pub use clock::Clock;
pub use error::{Error, Result};
