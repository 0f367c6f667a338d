//! The generic cell rate algorithm, virtual scheduling form (ITU-T I.371), as a pure function.
//!
//! Times are in microseconds. One number is kept: the theoretical arrival time, at which the quota is whole again.

use super::Rule;

/// Microseconds of a second.
pub(super) const SECOND: i64 = 1_000_000;

/// What a rule says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// How many more may be done at once.
    pub remaining: u32,
    /// Seconds until the quota is whole again, rounded up.
    pub reset: u64,
    /// Seconds until it is worth asking again, rounded up; 0 when it was allowed.
    pub retry_after: u64,
}

/// The step and the span of a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Between two that come evenly; at least 1.
    pub(super) interval: i64,
    /// Of a whole quota.
    pub(super) span: i64,
}

impl Pace {
    pub(super) fn of(rule: &Rule) -> Self {
        let quota = i64::from(rule.quota.max(1));
        let window = i64::from(rule.window.max(1)) * SECOND;
        let interval = (window / quota).max(1);
        Self { interval, span: interval * quota }
    }

    /// An arrival time that can be: not before now, and never further ahead than a whole quota. One that is comes from a
    /// clock that was put back.
    pub(super) fn sane(self, arrival: i64, now: i64) -> i64 {
        arrival.max(now).min(now.saturating_add(self.span))
    }

    /// The latest arrival time at which one more is allowed.
    pub(super) fn latest(self, now: i64) -> i64 {
        now.saturating_add(self.span - self.interval)
    }

    /// What is said when `arrival` is the time after an allowed request.
    pub(super) fn allowed(self, arrival: i64, now: i64) -> Decision {
        let ahead = arrival.saturating_sub(now);
        let remaining = u32::try_from((self.span - ahead).max(0) / self.interval).unwrap_or(u32::MAX);
        Decision { allowed: true, remaining, reset: seconds(ahead), retry_after: 0 }
    }

    /// What is said when `arrival` is too far ahead.
    pub(super) fn refused(self, arrival: i64, now: i64) -> Decision {
        let ahead = arrival.saturating_sub(now);
        let wait = arrival.saturating_sub(self.latest(now));
        Decision { allowed: false, remaining: 0, reset: seconds(ahead), retry_after: seconds(wait).max(1) }
    }

    /// Decides, and gives the new arrival time, which is to be kept after a refusal too.
    pub(super) fn decide(self, arrival: i64, now: i64) -> (Decision, i64) {
        let arrival = self.sane(arrival, now);
        if arrival > self.latest(now) {
            return (self.refused(arrival, now), arrival);
        }
        let arrival = arrival.saturating_add(self.interval);
        (self.allowed(arrival, now), arrival)
    }
}

/// Rounded up.
fn seconds(micros: i64) -> u64 {
    micros.max(0).unsigned_abs().div_ceil(SECOND.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::By;

    fn rule(quota: u32, window: u32) -> Rule {
        Rule { name: "test", by: By::Address, quota, window, shared: false }
    }

    #[test]
    fn a_quota_may_come_at_once_and_then_one_by_one() {
        let pace = Pace::of(&rule(3, 60));
        let (mut arrival, now) = (0, 1_000 * SECOND);
        for remaining in [2, 1, 0] {
            let (decision, new) = pace.decide(arrival, now);
            assert_eq!((decision.allowed, decision.remaining), (true, remaining));
            arrival = new;
        }
        let (refused, same) = pace.decide(arrival, now);
        assert_eq!((refused.allowed, refused.retry_after, refused.reset, same), (false, 20, 60, arrival));
        assert!(!pace.decide(arrival, now + 19 * SECOND).0.allowed);
        assert!(pace.decide(arrival, now + 20 * SECOND).0.allowed);
        assert_eq!(pace.decide(arrival, now + 60 * SECOND).0.remaining, 2, "whole again, less this one");
    }

    #[test]
    fn a_clock_that_is_put_back_locks_nobody_out_for_long() {
        let pace = Pace::of(&rule(3, 60));
        let (refused, arrival) = pace.decide(2_000_000 * SECOND, SECOND);
        assert_eq!((refused.allowed, refused.retry_after), (false, 20));
        assert!(pace.decide(arrival, 21 * SECOND).0.allowed);
    }

    #[test]
    fn extreme_rules_and_times_do_not_overflow() {
        for rule in [rule(0, 0), rule(u32::MAX, 1), rule(1, u32::MAX), rule(u32::MAX, u32::MAX)] {
            for now in [0, SECOND, i64::MAX - 1, i64::MAX] {
                for arrival in [i64::MIN, 0, i64::MAX] {
                    Pace::of(&rule).decide(arrival, now);
                }
            }
        }
    }

    proptest! {
        /// In any stretch of time no more pass than the quota and what the stretch refills.
        #[test]
        fn never_more_than_the_rate(
            quota in 1_u32..50,
            window in 1_u32..100,
            steps in proptest::collection::vec(0_i64..3 * SECOND, 1..300),
        ) {
            let pace = Pace::of(&rule(quota, window));
            let (mut arrival, mut now, start) = (0, SECOND, SECOND);
            let mut passed = 0;
            for step in steps {
                now += step;
                let (decision, new) = pace.decide(arrival, now);
                passed += i64::from(decision.allowed);
                arrival = new;
                prop_assert!(passed <= i64::from(quota) + (now - start) / pace.interval);
                if !decision.allowed {
                    let later = now + i64::try_from(decision.retry_after).unwrap() * SECOND;
                    prop_assert!(pace.decide(arrival, later).0.allowed, "Retry-After is kept");
                }
            }
        }
    }
}
