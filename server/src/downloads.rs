//! Files for download: ranges, conditions and bodies as RFC 9110 says, from blobs that are named by their content.

mod blobs;
mod body;
mod conditions;
mod head;
mod links;
mod mirrors;
mod ranges;
mod releases;
mod running;
mod sending;
mod serve;

pub use blobs::{Access, Blob, Blobs, Bucket, Folder, Settings};
pub use conditions::{Outcome, Validators, evaluate};
pub use links::Links;
pub use mirrors::{Mirror, Mirrors};
pub use ranges::{Asked, Span, parse};
pub use releases::{Catalogue, File, publish};
pub use running::Running;
pub use sending::Sending;
pub use serve::{Counted, Downloads, Permit};
