//! Connections: accepting them, their limits, TLS, HTTP/1.1 and HTTP/2, and how they end.
//!
//! Nothing is guessed from the first bytes: a plain connection speaks HTTP/1.1, one with TLS what ALPN agreed on.

mod accept;
mod guard;
mod listen;
mod tls;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::watch::Metrics;

pub use accept::{Answer, Server, Service};
pub use guard::Segments;
pub use listen::{Address, Bound, bind};
pub use tls::{Certificates, kernel_offers_tls};

/// What one connection, and all together, may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections of one address (IPv6: one /64) at a time; further ones are closed.
    pub per_address: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// From the end of an answer to the end of the next request's header, so that it also ends idle connections. Before the
    /// first request it is counted once for the first byte and once for the header.
    pub header: Duration,
    /// Without a byte in either direction.
    pub idle: Duration,
    /// Bytes a second below which a client that does not take what is sent is left.
    pub slowest: u64,
    /// Bytes of a request's header.
    pub header_bytes: usize,
    /// Requests of one HTTP/2 connection at a time.
    pub streams: u32,
    /// For what is being answered, after the end was asked for.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            per_address: 256,
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            slowest: 1024,
            header_bytes: 32 * 1024,
            streams: 128,
            drain: Duration::from_secs(30),
        }
    }
}

/// What a request knows of its connection; an extension of it.
#[derive(Clone)]
pub struct Connection {
    /// The other end, as the socket names it.
    pub peer: IpAddr,
    /// Whether TLS protects it.
    pub secure: bool,
    /// Set for HTTP/1.1 without TLS, where the kernel can send files by itself.
    pub segments: Option<Arc<Segments>>,
    /// Bytes that the connection sent.
    pub sent: Arc<AtomicU64>,
}

/// Counts of the engine.
#[derive(Default)]
pub struct Counts {
    /// Connections that are open.
    pub open: AtomicU64,
    /// Connections that were accepted.
    pub accepted: AtomicU64,
    /// Connections that were closed at once, because their address had too many.
    pub refused: AtomicU64,
    /// Handshakes that failed or took too long.
    pub handshakes_failed: AtomicU64,
    /// Connections that were ended because they took too long.
    pub expired: AtomicU64,
    /// Whether the end was asked for.
    pub draining: AtomicBool,
    /// Where open connections are counted too.
    metrics: Option<Arc<Metrics>>,
}

impl Counts {
    /// Counts that the metrics show.
    pub fn measured(metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..Self::default() }
    }

    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
