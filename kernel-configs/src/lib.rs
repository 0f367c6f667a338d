//! Kernel fragments in layers: merged with provenance, and compared with what the kernel makes of them.
//!
//! Invariant: a request of a layer is either in the kernel's configuration or in a [`check::Finding`] that says why not.
//! Pure: reads layers, Kconfig files and configurations; what runs the kernel's programs is in `aegis-boot`.
#![forbid(unsafe_code)]

pub mod check;
pub mod contract;
pub mod dotconfig;
mod error;
pub mod kconfig;
pub mod layer;
pub mod merge;
pub mod version;

pub use check::check;
pub use contract::Contract;
pub use dotconfig::{DotConfig, Value};
pub use error::{Error, Location, Problem};
pub use layer::Layer;
pub use merge::{Merged, merge};
pub use version::KernelVersion;
