//! The specification of each edition and everything derived from it.
//!
//! Invariant: a property of an edition is written once, in `<id>.toml`, and a [`Spec`] that this crate hands
//! out was validated. This crate reads those files and computes; it does not know how an image is built.
#![forbid(unsafe_code)]

pub mod derive;
mod error;
pub mod licensing;
mod raw;
pub mod registry;
mod resolve;
mod source;
pub mod spec;
mod validate;

pub use error::{Error, Location};
pub use registry::Registry;
pub use spec::Spec;
