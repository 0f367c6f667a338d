//! Accounts of people: registering, signing in, second factors, sessions of browsers and tokens of the API.
//!
//! Invariants: what a stranger is told does not depend on whether an account exists; every limit and every single use is
//! one conditional statement; tokens are stored as digests; letters are stored in the batch of the act that they tell of.

mod address;
mod attempts;
mod change;
mod denied;
mod factor;
mod hashing;
mod identity;
mod jwt;
mod keys;
mod letters;
mod login;
mod operator;
mod passkeys;
mod password;
mod proof;
mod record;
mod refresh;
mod register;
mod secret;
mod sessions;
mod totp;
mod web;

use std::{fmt, sync::Arc};

use crate::{
    Clock, Error, Result, clock::TOLERANCE, secret::Dated, store::Statement, store::Store,
    webauthn::RelyingParty,
};
use hashing::Hasher;
use keys::Keyring;

pub use address::Address;
pub use denied::Denied;
pub use factor::Enrolment;
pub use identity::{AccountId, Gate, Identity, Role};
pub use login::{Login, Visitor};
pub use operator::{Act, Overview};
pub use passkeys::{Added, Assertion, Begun, CreationOptions, PasskeyEntry, Purpose, RequestOptions};
pub use proof::Proof;
pub use refresh::Tokens;
pub use secret::Secret;
pub use sessions::{SessionEntry, Started};
pub(crate) use web::description;
pub use web::router;

/// How accounts behave. Times are in seconds.
#[derive(Clone)]
pub struct Settings {
    /// Where the site is, as `https://host` or `http://host:port`, without a slash at the end. Links in letters begin
    /// with it, never with what a request says.
    pub origin: String,
    /// From which all keys are derived; 32 random bytes that are kept outside the database, the same in all processes. The
    /// newest first.
    pub secrets: Vec<Dated>,
    /// A session that nobody uses ends after this time.
    pub idle: i64,
    /// A session ends after this time in any case.
    pub absolute: i64,
    /// Passwords that are computed at a time; each takes 19 MiB.
    pub hashing: usize,
    /// Passwords that may wait for that; more are refused.
    pub waiting: usize,
}

impl Settings {
    /// With what suits a machine of this many cores: sessions end after a day without use and after thirty days.
    pub fn new(origin: impl Into<String>, secret: [u8; 32]) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            origin: origin.into(),
            secrets: vec![Dated::always(secret)],
            idle: 24 * 3600,
            absolute: 30 * 24 * 3600,
            // Half of the machine stays free for downloads when everybody signs in at once.
            hashing: (cores / 2).max(1),
            waiting: 64,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The accounts of a site.
pub struct Accounts {
    store: Arc<dyn Store>,
    clock: Clock,
    settings: Settings,
    keys: Keyring,
    hasher: Hasher,
    /// The site as authenticators know it, where its address allows passkeys.
    party: Option<RelyingParty>,
    record: Option<record::Record>,
}

impl Accounts {
    /// Derives the keys and computes one password, which takes some 20 ms; call it outside of requests.
    ///
    /// # Errors
    /// [`Error::Config`] for an origin that is not one.
    pub fn new(store: Arc<dyn Store>, clock: Clock, settings: Settings) -> Result<Self> {
        check_origin(&settings.origin)?;
        let keys = Keyring::of(&settings.secrets, clock.clone())?;
        let hasher = Hasher::new(settings.hashing, settings.waiting)?;
        let party = RelyingParty::at(&settings.origin);
        Ok(Self { store, clock, settings, keys, hasher, party, record: None })
    }

    /// How many passwords were computed since the start.
    pub fn hashes(&self) -> u64 {
        self.hasher.computed()
    }

    /// Whether cookies are for TLS alone.
    fn secure(&self) -> bool {
        self.settings.origin.starts_with("https://")
    }

    fn link(&self, path: &str, token: &Secret) -> String {
        format!("{}{path}?token={}", self.settings.origin, token.reveal())
    }

    /// Removes what has expired: sessions, links, counters; and what was begun by a clock that was ahead. For a timer, every
    /// few minutes, in any number of processes.
    ///
    /// # Errors
    /// When the database fails; nothing is lost by that.
    pub async fn tidy(&self) -> Result<()> {
        let now = self.clock.now();
        let old = |sql, lasts: i64| Statement::new(sql, [now.into(), (now + lasts + TOLERANCE).into()]);
        self.store
            .write(vec![
                old(
                    "DELETE FROM registrations WHERE expires_at <= $1 OR expires_at > $2",
                    register::CONFIRMABLE,
                ),
                old("DELETE FROM mailed_tokens WHERE expires_at <= $1 OR expires_at > $2", change::LINK),
                old("DELETE FROM sessions WHERE expires_at <= $1 OR seen_at > $2", 0),
                old("DELETE FROM refresh_families WHERE expires_at <= $1 OR created_at > $2", 0),
                old("DELETE FROM known_devices WHERE expires_at <= $1 OR expires_at > $2", sessions::DEVICE),
                old(
                    "DELETE FROM failed_attempts WHERE forgotten_at <= $1 OR forgotten_at > $2",
                    attempts::MEMORY,
                ),
                old(
                    "DELETE FROM passkey_challenges WHERE expires_at <= $1 OR expires_at > $2",
                    passkeys::LIFE,
                ),
            ])
            .await
            .map(drop)
    }
}

fn check_origin(origin: &str) -> Result<()> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    if host.is_some_and(|host| !host.is_empty() && host.chars().all(plain)) {
        return Ok(());
    }
    Err(Error::Config {
        place: "origin".into(),
        problem: "is not of the form https://host".into(),
        hint: "write the address of the site without a slash at the end".into(),
    })
}
