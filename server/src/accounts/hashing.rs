//! Argon2id in a bounded pool: a flood of sign-ins waits or is refused, and the rest of the server goes on.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use super::secret::{Secret, random};
use crate::{Error, Result};

/// OWASP's first choice: 19 MiB, two passes, one lane.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

pub(super) struct Hasher {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    computed: Arc<AtomicU64>,
    /// Of a password that nobody knows: what is compared with when there is no account.
    nobody: String,
}

impl Hasher {
    pub(super) fn new(at_a_time: usize, most_waiting: usize) -> Result<Self> {
        Ok(Self {
            turns: Arc::new(Semaphore::new(at_a_time.max(1))),
            waiting: AtomicUsize::new(0),
            most_waiting,
            computed: Arc::default(),
            nobody: hash(&random::<32>()?)?,
        })
    }

    /// The PHC string of a password.
    pub(super) async fn hash(&self, password: &Secret) -> Result<String> {
        let password = password.clone();
        self.in_turn(move || hash(password.reveal().as_bytes())).await?
    }

    /// Whether a password is that of a PHC string; without one the same work is done, and it is not.
    pub(super) async fn verify(&self, password: &Secret, stored: Option<&str>) -> Result<bool> {
        let (password, there) = (password.clone(), stored.is_some());
        let stored = stored.unwrap_or(&self.nobody).to_owned();
        Ok(self.in_turn(move || verify(password.reveal().as_bytes(), &stored)).await?? && there)
    }

    pub(super) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Waiting::join(&self.waiting, self.most_waiting)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(Error::database("waiting for"))?;
        drop(place);
        let computed = Arc::clone(&self.computed);
        let work = move || {
            // The turn ends with the work, also when nobody waits for it any more.
            let _turn = turn;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error.to_string()))
    }
}

/// A place in the queue, which is left also by going away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize, most: usize) -> Result<Self> {
        let place = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(Error::Busy("sign-ins"));
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a PHC string was made with other costs than today's.
pub(super) fn is_outdated(stored: &str) -> bool {
    !stored.starts_with(&format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}$"))
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(|error| failed(&error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8]) -> Result<String> {
    let salt = random::<16>()?;
    let hashed =
        argon2()?.hash_password_with_salt(password, &salt).map_err(|error| failed(&error.to_string()))?;
    Ok(hashed.to_string())
}

/// The costs are those of the stored string.
fn verify(password: &[u8], stored: &str) -> Result<bool> {
    let stored = PasswordHash::new(stored).map_err(|error| Error::Corrupt {
        what: "a stored password".into(),
        problem: format!("cannot be read: {error}"),
    })?;
    Ok(argon2()?.verify_password(password, &stored).is_ok())
}

fn failed(problem: &str) -> Error {
    Error::Io {
        doing: "computing",
        what: "a password".into(),
        source: std::io::Error::other(problem.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_compared_whole() {
        let long = "x".repeat(1000);
        let stored = hash(long.as_bytes()).unwrap();
        assert!(!is_outdated(&stored), "{stored}");
        assert!(verify(long.as_bytes(), &stored).unwrap());
        assert!(!verify(&long.as_bytes()[..999], &stored).unwrap());
        let nul = hash(b"abc\0def").unwrap();
        assert!(verify(b"abc\0def", &nul).unwrap() && !verify(b"abc", &nul).unwrap());
        assert!(is_outdated("$argon2id$v=19$m=4096,t=3,p=1$c2FsdA$aGFzaA"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_than_may_wait_are_refused_and_the_places_come_back() {
        let hasher = Arc::new(Hasher::new(1, 2).unwrap());
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move { hasher.verify(&Secret::new("x"), None).await })
            })
            .collect();
        let mut refused = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(right) => assert!(!right),
                Err(Error::Busy(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!((1..20).contains(&refused), "{refused}");
        assert_eq!(hasher.waiting.load(Ordering::Relaxed), 0);
        assert_eq!(hasher.computed(), 20 - refused);
    }
}
