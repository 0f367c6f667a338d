//! `aegis-server`: site, accounts, API and downloads of Aegis OS.
//!
//! Invariants: facts about editions come from `aegis-editions` alone; every change of the database is one batch of
//! statements that holds or does not (`store`); nothing that a client sends reaches a log as it is.

pub mod accounts;
pub mod api;
pub mod audit;
pub mod cli;
mod clock;
pub mod config;
pub mod downloads;
pub mod engine;
mod error;
pub mod http;
pub mod limits;
pub mod mail;
mod maintain;
pub mod secret;
pub mod serve;
pub mod site;
pub mod store;
mod sys;
pub mod watch;
mod webauthn;

pub use clock::Clock;
pub use error::{Error, Result};
