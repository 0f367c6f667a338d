//! Argon2id in threads of its own, few and modest: a flood of sign-ins waits or is refused, and the rest of the server goes on.
//!
//! Threads of its own also bound the memory, of which the allocator keeps some for each thread that ever hashed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::oneshot;

use super::secret::{Secret, random};
use crate::{Error, Result, sys};

/// OWASP's first choice: 19 MiB, two passes, one lane.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A thread rests so many times as long as the processor was busy for it.
const RESTS: u32 = 3;

type Job = Box<dyn FnOnce() + Send>;

pub(super) struct Hasher {
    jobs: mpsc::Sender<Job>,
    waiting: Arc<AtomicUsize>,
    most_waiting: usize,
    computed: Arc<AtomicU64>,
    /// Of a password that nobody knows: what is compared with when there is no account.
    nobody: String,
}

impl Hasher {
    pub(super) fn new(at_a_time: usize, most_waiting: usize) -> Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..at_a_time.max(1) {
            let queue = Arc::clone(&queue);
            let thread = thread::Builder::new().name("passwords".into()).spawn(move || work(&queue));
            thread.map_err(Error::io("starting", "a thread for passwords"))?;
        }
        Ok(Self {
            jobs,
            waiting: Arc::default(),
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
        let (answer, answered) = oneshot::channel();
        let computed = Arc::clone(&self.computed);
        let job = move || {
            drop(place);
            // Who hung up while waiting costs nothing.
            if !answer.is_closed() {
                computed.fetch_add(1, Ordering::Relaxed);
                let _ = answer.send(work());
            }
        };
        self.jobs.send(Box::new(job)).map_err(|_job| failed("its threads have ended"))?;
        answered.await.map_err(|_ended| failed("it ended without an answer"))
    }
}

/// Does jobs until there can be no more, and rests after each: a modest priority alone leaves downloads beside a flood of sign-ins
/// three quarters of their speed, as the threads of one core share more than its time. Who signs in alone does not wait for that.
fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    sys::stand_back();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let before = sys::worked();
        // One that panics is answered as failed, and the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(job));
        thread::sleep(sys::worked().saturating_sub(before) * RESTS);
    }
}

/// A place in the queue, which is left when the job begins.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn join(count: &Arc<AtomicUsize>, most: usize) -> Result<Self> {
        let place = Self(Arc::clone(count));
        if count.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(Error::Busy("sign-ins"));
        }
        Ok(place)
    }
}

impl Drop for Waiting {
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
    use std::time::Instant;

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

    #[tokio::test(flavor = "multi_thread")]
    async fn a_thread_rests_after_its_work() {
        let hasher = Hasher::new(1, 2).unwrap();
        let before = hasher.in_turn(sys::worked).await.unwrap();
        let computed = || {
            hash(b"x").unwrap();
            sys::worked()
        };
        let begun = Instant::now();
        let work = hasher.in_turn(computed).await.unwrap() - before;
        hasher.in_turn(|| ()).await.unwrap();
        assert!(!work.is_zero() && begun.elapsed() >= work * RESTS, "{:?} after {work:?}", begun.elapsed());
    }
}
