//! The screens.
//!
//! Invariant: [`state::update`] is pure and is the only place where something is decided; [`draw::draw`] only shows
//! a state; [`run`] carries out commands and decides nothing.

pub mod draw;
pub mod form;
pub mod help;
pub mod keys;
pub mod list;
#[cfg(target_os = "linux")]
pub mod run;
pub mod screen;
pub mod state;
pub mod terminal;
pub mod theme;
pub mod world;
