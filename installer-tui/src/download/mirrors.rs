//! Which server is asked next.

use std::time::Duration;

use super::{problem::Fault, url::Origin};

/// How long servers are waited for, and when one is slow.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The longest time without a byte.
    pub idle: Duration,
    /// Rates are averages over this time.
    pub window: Duration,
    /// A server is slow that sends less, in bytes a second.
    pub slow: u64,
    /// The first pause before a server is asked again; each further one is twice as long.
    pub pause: Duration,
    /// Failures in a row after which a server is not asked again.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            window: Duration::from_secs(15),
            slow: 64 << 10,
            pause: Duration::from_secs(1),
            attempts: 5,
        }
    }
}

/// The longest pause, also when a server asks for more.
const LONGEST: Duration = Duration::from_secs(60);

/// What is known of a server.
#[derive(Debug)]
struct State {
    origin: Origin,
    /// Failures since it last gave something.
    failures: u32,
    /// The last one.
    fault: Option<Fault>,
    /// Bytes a second when it was left for being slow.
    rate: Option<u64>,
    out: bool,
}

/// Servers, in the order in which they were named.
#[derive(Debug)]
pub(super) struct Mirrors {
    states: Vec<State>,
    patience: Patience,
}

impl Mirrors {
    pub(super) fn new(origins: &[Origin], patience: Patience) -> Self {
        let state = |origin: &Origin| State {
            origin: origin.clone(),
            failures: 0,
            fault: None,
            rate: None,
            out: false,
        };
        Self { states: origins.iter().map(state).collect(), patience }
    }

    /// The one to ask: of those with the fewest failures one that was not tried, then the fastest.
    pub(super) fn choose(&self) -> Option<usize> {
        let able = self.states.iter().enumerate().filter(|(_, state)| !state.out);
        let rank = |state: &State| (state.failures, state.rate.map(|rate| u64::MAX - rate));
        able.min_by_key(|(_, state)| rank(state)).map(|(at, _)| at)
    }

    /// How long to wait before it is asked.
    pub(super) fn pause(&self, at: usize) -> Duration {
        let State { failures, fault, .. } = &self.states[at];
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let own = self.patience.pause.saturating_mul(2u32.saturating_pow(doublings));
        let wanted = fault.as_ref().and_then(Fault::retry).map(Duration::from_secs);
        wanted.map_or(own, |wanted| wanted.max(own)).min(LONGEST)
    }

    /// It failed.
    pub(super) fn failed(&mut self, at: usize, fault: Fault) {
        let state = &mut self.states[at];
        state.failures += 1;
        state.out = fault.lasts() || state.failures >= self.patience.attempts;
        state.fault = Some(fault);
    }

    /// It gave something that was right.
    pub(super) fn gave(&mut self, at: usize) {
        self.states[at].failures = 0;
    }

    /// Whether it is left for another one, at so many bytes a second. Each is left once: with the fastest of slow ones the
    /// file comes too, and what was begun of a chunk is lost by a change.
    pub(super) fn is_left(&mut self, at: usize, rate: u64) -> bool {
        if rate >= self.patience.slow || self.states[at].rate.is_some() {
            return false;
        }
        self.states[at].rate = Some(rate);
        self.choose().is_some_and(|other| other != at)
    }

    pub(super) fn origin(&self, at: usize) -> &Origin {
        &self.states[at].origin
    }

    /// What each of them did wrong.
    pub(super) fn into_faults(self) -> Vec<(Origin, Fault)> {
        self.states.into_iter().filter_map(|state| Some((state.origin, state.fault?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(count: usize) -> Mirrors {
        let origin = |n| Origin::parse(&format!("https://m{n}")).unwrap();
        Mirrors::new(&(0..count).map(origin).collect::<Vec<_>>(), Patience::default())
    }

    #[test]
    fn one_that_fails_comes_after_the_others_and_is_given_up() {
        let mut mirrors = mirrors(2);
        assert_eq!(mirrors.choose(), Some(0));
        mirrors.failed(0, Fault::Silent);
        assert_eq!(mirrors.choose(), Some(1));
        mirrors.failed(1, Fault::Chunk { offset: 0 });
        assert_eq!((mirrors.choose(), mirrors.pause(0)), (Some(0), Duration::from_secs(1)));
        for _ in 1..Patience::default().attempts {
            assert_eq!(mirrors.choose(), Some(0));
            mirrors.failed(0, Fault::Silent);
        }
        assert_eq!(mirrors.choose(), None);
        assert_eq!(mirrors.into_faults().len(), 2);
    }

    #[test]
    fn progress_forgives_and_pauses_have_an_end() {
        let mut mirrors = mirrors(1);
        let busy = |retry| Fault::Status { status: 503, detail: String::new(), retry };
        mirrors.failed(0, busy(Some(7)));
        assert_eq!(mirrors.pause(0), Duration::from_secs(7));
        mirrors.failed(0, busy(Some(u64::MAX)));
        assert_eq!(mirrors.pause(0), LONGEST);
        mirrors.gave(0);
        assert_eq!(mirrors.pause(0), Duration::ZERO);
    }

    #[test]
    fn a_slow_one_is_left_once_and_the_fastest_is_kept() {
        let mut mirrors = mirrors(3);
        assert!(!mirrors.is_left(0, 64 << 10));
        assert!(mirrors.is_left(0, 1000));
        assert_eq!(mirrors.choose(), Some(1));
        assert!(mirrors.is_left(1, 3000));
        assert!(mirrors.is_left(2, 2000), "the second one is faster");
        assert_eq!(mirrors.choose(), Some(1));
        assert!(!mirrors.is_left(1, 1), "it was left before");
    }
}
