//! Fetches an image of ours from a server, or from several that have the same files.
//!
//! Invariant: a file gets its name when every byte of it is what a manifest says whose signature was verified before. Until
//! then it is called `.part`, which holds nothing but checked chunks where the release has a range manifest.
//!
//! No server is believed. What it says of releases only chooses where to look; names, lengths and digests are those of the
//! signed manifest, so that bytes of several servers can be put together.

mod begin;
mod catalogue;
mod fetch;
mod mirrors;
mod part;
mod plan;
mod problem;
mod release;
mod remote;
mod url;
mod web;

pub use fetch::{Done, Event, Observer, Phase, run};
pub use mirrors::Patience;
pub use plan::{DownloadPlan, Wishes};
pub use problem::{Fault, Problem};
pub use remote::image;
pub use url::{Origin, Url};
pub use web::Web;
