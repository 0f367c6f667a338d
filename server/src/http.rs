//! What all answers share: problems, request numbers, headers.

mod problem;

pub use problem::{Code, Problem};

/// The address of the client, an extension of each request: the socket's other end, or what a trusted proxy says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub std::net::IpAddr);
