//! What all answers share: problems, request numbers, headers.

mod problem;

pub use problem::{Code, Problem};

/// The address of the client, after trusted proxies; among the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub std::net::IpAddr);
