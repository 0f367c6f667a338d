//! A session with a person: image, devices, review, consent, progress, result.
//!
//! Invariant: [`state::update`] is pure and is the only place where something is decided. Two faces show the same states:
//! [`draw`] as screens, [`linear`] as questions and answers in lines. [`run`] carries out commands and decides nothing.
//! No device is ever chosen by anything but a person, and what is written is a [`super::FlashPlan`] that was shown.

pub mod draw;
pub mod help;
pub mod linear;
pub mod run;
pub mod screen;
pub mod state;
pub mod world;
