//! Kernel modules: which files a name or a device stands for.
//!
//! Invariant: the indexes are values that are parsed from text; loading is done by [`crate::drivers`].

pub(crate) mod alias;
pub(crate) mod dep;
pub(crate) mod glob;
