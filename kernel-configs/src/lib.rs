//! Kernel fragments in layers: merged with provenance, and compared with what the kernel makes of them.
//!
//! Invariant: a request of a layer is either in the kernel's configuration or in a [`check`] finding that says why not.
//! Pure: reads layers, Kconfig files and configurations; what runs the kernel's programs is in `aegis-boot`.
#![forbid(unsafe_code)]

pub mod kconfig;
