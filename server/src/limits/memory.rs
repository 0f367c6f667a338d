//! What this process remembers of whom it counts.
//!
//! Invariant: one who is being limited is never forgotten. When the table is full of those, newcomers are counted
//! together, in cells by a secret hash: some of them wait for others, and whoever filled the table gains nothing. A
//! subject is dropped only when its quota is whole again, which is the state of one who was never seen.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

use super::{
    Rule, Subject,
    gcra::{Decision, Pace},
};

/// Cells of a rule for newcomers of a full table.
const CELLS: usize = 1024;

/// Arrival times by rule and subject.
pub(super) struct Table {
    capacity: usize,
    subjects: HashMap<(&'static str, Subject), i64>,
    /// As many as there are rules.
    cells: HashMap<&'static str, Vec<i64>>,
    hashing: RandomState,
    /// When it was last looked for those to drop, microseconds.
    swept: i64,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            subjects: HashMap::new(),
            cells: HashMap::new(),
            hashing: RandomState::new(),
            swept: i64::MIN,
        }
    }

    pub(super) fn check(&mut self, rule: &Rule, subject: Subject, now: i64) -> Decision {
        let key = (rule.name, subject);
        if self.subjects.len() >= self.capacity && !self.subjects.contains_key(&key) {
            self.sweep(now);
        }
        let place = if self.subjects.len() < self.capacity || self.subjects.contains_key(&key) {
            self.subjects.entry(key).or_insert(i64::MIN)
        } else {
            let hash = self.hashing.hash_one(subject) % CELLS as u64;
            let cells = self.cells.entry(rule.name).or_insert_with(|| vec![i64::MIN; CELLS]);
            &mut cells[usize::try_from(hash).unwrap_or_default()]
        };
        let (decision, arrival) = Pace::of(rule).decide(*place, now);
        *place = arrival;
        decision
    }

    /// Drops those whose quota is whole; at most once for each reading of the clock, so that a flood does not pay for it
    /// with every request.
    fn sweep(&mut self, now: i64) {
        if self.swept != now {
            self.subjects.retain(|_, arrival| *arrival > now);
            self.swept = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::limits::{By, gcra::SECOND};

    const RULE: Rule = Rule { name: "test", by: By::Address, quota: 2, window: 60, shared: false };

    fn subject(number: u32) -> Subject {
        Subject::address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn a_flood_of_addresses_neither_grow_the_table_nor_free_the_one_who_is_limited() {
        let mut table = Table::new(1000);
        let now = SECOND;
        for _ in 0..2 {
            assert!(table.check(&RULE, subject(0), now).allowed);
        }
        let mut allowed = 0;
        for number in 1..100_000 {
            allowed += usize::from(table.check(&RULE, subject(number), now).allowed);
        }
        assert_eq!(table.subjects.len(), 1000);
        assert!(!table.check(&RULE, subject(0), now).allowed, "the first is still known");
        let all = 999 + 2 * CELLS;
        assert!(allowed <= all, "{allowed} passed, of a flood that may have {all}");
        // Later everyone is forgotten, because everyone's quota is whole.
        assert!(table.check(&RULE, subject(0), now + 60 * SECOND).allowed);
        assert!(table.check(&RULE, subject(2_000_000), now + 60 * SECOND).allowed);
        assert!(table.subjects.len() <= 2);
    }

    #[test]
    fn one_customer_of_ipv6_is_one_subject() {
        let mut table = Table::new(10);
        let address =
            |network: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host));
        for host in 0..100 {
            let allowed = table.check(&RULE, Subject::address(address(1, host)), SECOND).allowed;
            assert_eq!(allowed, host < 2);
        }
        assert!(table.check(&RULE, Subject::address(address(2, 0)), SECOND).allowed);
        let (plain, mapped) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        assert_eq!(Subject::address(plain.into()), Subject::address(mapped.into()));
    }

    #[test]
    fn rules_and_kinds_do_not_count_for_each_other() {
        let mut table = Table::new(10);
        let other = Rule { name: "other", ..RULE };
        for _ in 0..2 {
            assert!(table.check(&RULE, subject(1), SECOND).allowed);
        }
        assert!(table.check(&other, subject(1), SECOND).allowed);
        assert_ne!(Subject::person(b"x"), Subject::route("x"));
    }
}
