//! Files for download: ranges, conditions and bodies as RFC 9110 says, from blobs that are named by their content.

mod blobs;
mod body;
mod conditions;
mod links;
mod ranges;
mod releases;
mod serve;

pub use blobs::{Blob, Blobs};
pub use conditions::{Outcome, Validators, evaluate};
pub use links::Links;
pub use ranges::{Asked, Span, parse};
pub use releases::{Catalogue, File, publish};
pub use serve::{Counted, Downloads, Permit, Running};
