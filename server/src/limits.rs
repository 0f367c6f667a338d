//! How often something may be done: per person, per network address, per route.
//!
//! Invariant: what is not known to be allowed is counted against the one who asks. Memory is bounded, and fullness makes
//! limits stricter, never looser; addresses come from the connection, or from proxies that were named, never from what a
//! client writes.

pub mod address;
mod gcra;
mod layer;
mod memory;
mod shared;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest;

use crate::{Clock, Error, Result, store::Store};

pub use gcra::Decision;
pub use layer::{Client, Denied, Guard, Peer, Person, identify, layer};
use memory::Table;
use shared::Shared;

/// Subjects that are remembered, about 80 bytes each.
const SUBJECTS: usize = 100_000;

/// Whom a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Each person who is signed in; those who are not are not counted by the rule.
    Person,
    /// Each IPv4 address and each IPv6 network of 64 bits, which is what one customer of a provider has.
    Address,
    /// Everyone together, for each route.
    Route,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in headers and metrics: lower case letters and hyphens.
    pub name: &'static str,
    /// Whom it counts.
    pub by: By,
    /// Times in a window; as many may come at once. At least 1.
    pub quota: u32,
    /// Seconds in which a used quota is whole again. At least 1.
    pub window: u32,
    /// Whether all processes on one database count together, at the price of a write for each request; for what is
    /// worth it, such as attempts to sign in.
    pub shared: bool,
}

/// One who is counted. It holds no name and no address that could be read back with less than trying all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    kind: u8,
    id: [u8; 16],
}

impl Subject {
    /// A person, by the identifier of the account.
    pub fn person(account: &[u8]) -> Self {
        Self::new(0, account)
    }

    /// An IPv4 address or the IPv6 network of 64 bits around an address.
    pub fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::new(1, &address.octets()),
            IpAddr::V6(address) => Self::new(2, &address.octets()[..8]),
        }
    }

    /// A route, by its template.
    pub fn route(template: &str) -> Self {
        Self::new(3, template.as_bytes())
    }

    fn new(kind: u8, bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, bytes);
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_ref()[..16]);
        Self { kind, id }
    }
}

/// Counts and decides.
pub struct Limiter {
    clock: Clock,
    table: Mutex<Table>,
    shared: Option<Shared>,
}

impl Limiter {
    /// A limiter of this process.
    pub fn new(clock: Clock) -> Self {
        Self { clock, table: Mutex::new(Table::new(SUBJECTS)), shared: None }
    }

    /// Counts the rules that ask for it together with the other processes on `store`. `pepper` is a secret of all of
    /// them, so that the database does not tell who was counted.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn Store>, pepper: &[u8; 32]) -> Self {
        self.shared = Some(Shared::new(store, pepper));
        self
    }

    /// Counts one time, and says whether it is allowed. A refusal costs nothing.
    ///
    /// A shared rule asks this process first, so that a flood does not reach the database; when the database is gone,
    /// this process alone decides.
    pub async fn check(&self, rule: &Rule, subject: Subject) -> Decision {
        let now = self.micros();
        let local = self.table.lock().unwrap_or_else(PoisonError::into_inner).check(rule, subject, now);
        let Some(shared) = self.shared.as_ref().filter(|_| rule.shared && local.allowed) else {
            return local;
        };
        match shared.check(rule, subject, now).await {
            Ok(decision) => decision,
            Err(error) => {
                tracing::warn!(rule = rule.name, %error, "a limit is kept by this process alone");
                local
            }
        }
    }

    /// Removes from the database what no longer limits anyone; for every few minutes.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn sweep(&self) -> Result<(), Error> {
        match &self.shared {
            Some(shared) => shared.sweep(self.micros()).await,
            None => Ok(()),
        }
    }

    fn micros(&self) -> i64 {
        self.clock.now().saturating_mul(gcra::SECOND)
    }
}
