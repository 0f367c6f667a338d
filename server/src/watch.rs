//! Watching the service: metrics, health, one log line for each request, and visits without identities.
//!
//! Invariant: no path, query, header or whole address of a client is in a metric or a log line, and no label has more
//! values than the program has routes and rules.
//!
//! The order of the layers, from the outside: [`crate::limits::identify`], [`crate::api::request_ids`], [`observe`], then
//! limits and handlers. Metrics and readiness belong on a listener of their own.

mod health;
mod log;
mod metrics;
mod observe;
#[cfg(feature = "otel")]
mod otel;
mod timed;
mod visits;

pub use health::{Readiness, health};
pub use log::LogFilter;
pub use metrics::{Connection, Metrics, exposition};
pub(crate) use observe::record;
pub use observe::{observe, truncated};
#[cfg(feature = "otel")]
pub(crate) use otel::Traces;
pub use timed::Timed;
pub use visits::{Visits, count_visits};
