//! What all answers share: problems, request numbers, headers.

mod object;
mod problem;
mod schema;

pub(crate) use object::Object;
pub use problem::{Code, Problem};
pub(crate) use schema::choice;

/// The address of the client, after trusted proxies; among the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub std::net::IpAddr);
