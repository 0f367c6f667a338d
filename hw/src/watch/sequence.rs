//! Gaps in the kernel's numbers of events.

use std::collections::BTreeSet;

/// More numbers than this are not remembered one by one.
const MOST: u64 = 1024;

/// Numbers that should have come. The kernel may send neighbours in either order, so only time tells what is missing.
///
/// Numbers are missing as well where a network device of another network namespace got one. That costs a look at all
/// devices, and nothing else.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The next number; `None` before the first.
    next: Option<u64>,
    missing: BTreeSet<u64>,
    /// So many are missing that they were not remembered.
    many: bool,
}

impl Sequence {
    /// Expects the numbers after the one that the kernel gave last.
    pub(super) fn after(last: Option<u64>) -> Self {
        Self { next: last.map(|last| last.saturating_add(1)), ..Self::default() }
    }

    /// Notes the number of an event.
    pub(super) fn note(&mut self, number: u64) {
        let next = self.next.unwrap_or(number);
        if number < next {
            self.missing.remove(&number);
            return;
        }
        let known = u64::try_from(self.missing.len()).unwrap_or(u64::MAX);
        match known.saturating_add(number - next) > MOST {
            true => self.many = true,
            false => self.missing.extend(next..number),
        }
        self.next = Some(number.saturating_add(1));
    }

    /// Whether numbers are missing at the moment.
    pub(super) fn has_gap(&self) -> bool {
        self.many || !self.missing.is_empty()
    }

    /// As [`Self::has_gap`]; what is missing now is given up.
    pub(super) fn take_gap(&mut self) -> bool {
        let gap = self.has_gap();
        self.missing.clear();
        self.many = false;
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_may_change_places_and_what_stays_away_is_missing() {
        let mut sequence = Sequence::after(Some(10));
        for (number, gap) in [(11, false), (13, true), (12, false), (9, false), (14, false), (16, true)] {
            sequence.note(number);
            assert_eq!(sequence.has_gap(), gap, "after {number}");
        }
        assert!(sequence.take_gap() && !sequence.take_gap());
        sequence.note(15);
        sequence.note(17);
        assert!(!sequence.has_gap());
    }

    #[test]
    fn memory_is_bounded() {
        let mut sequence = Sequence::after(None);
        sequence.note(5);
        assert!(!sequence.has_gap(), "the first number has no predecessor");
        sequence.note(u64::MAX);
        assert!(sequence.missing.is_empty() && sequence.take_gap());
        sequence.note(u64::MAX);
        for number in (0..10 * MOST).step_by(2) {
            sequence.note(number);
        }
        assert!(sequence.missing.len() <= 1024);
    }
}
