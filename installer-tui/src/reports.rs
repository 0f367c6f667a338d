//! Reports about work that is measured in bytes and done in phases.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::progress::estimate;

/// Time between two reports.
const INTERVAL: Duration = Duration::from_millis(200);

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Report<P> {
    /// Number of this report.
    pub seq: u64,
    /// What the work is at.
    pub phase: P,
    /// Bytes so far in this phase.
    pub bytes: u64,
    /// Bytes of this phase in all.
    pub total: u64,
    /// Bytes a second, averaged over the phase.
    pub rate: u64,
    /// Seconds until the phase ends; absent in its first seconds.
    pub eta: Option<u64>,
}

/// Receives reports; false asks to stop.
pub type Observer<'a, P> = dyn FnMut(Report<P>) -> bool + 'a;

/// Tells an observer how far the work is, not too often.
pub(crate) struct Reports<'a, P> {
    observer: &'a mut Observer<'a, P>,
    seq: u64,
    phase: P,
    total: u64,
    /// Bytes that were there when the phase began.
    begun: u64,
    started: Instant,
    told: Instant,
}

impl<'a, P: Copy> Reports<'a, P> {
    /// Begins with a phase that moves so many bytes.
    pub(crate) fn start(observer: &'a mut Observer<'a, P>, phase: P, total: u64) -> Self {
        let now = Instant::now();
        Self { observer, seq: 0, phase, total, begun: 0, started: now, told: now }
    }

    /// Goes on to another phase.
    pub(crate) fn enter(&mut self, phase: P, total: u64) {
        self.resume(phase, total, 0);
    }

    /// As [`Reports::enter`], with so many bytes that are there already and say nothing of the rate.
    pub(crate) fn resume(&mut self, phase: P, total: u64, begun: u64) {
        let now = Instant::now();
        (self.phase, self.total, self.begun, self.started, self.told) = (phase, total, begun, now, now);
    }

    /// Tells that so many bytes of the phase are done; false when the work shall stop.
    pub(crate) fn tick(&mut self, bytes: u64) -> bool {
        if self.told.elapsed() < INTERVAL && bytes < self.total {
            return true;
        }
        self.told = Instant::now();
        let (moved, all) = (bytes.saturating_sub(self.begun), self.total.saturating_sub(self.begun));
        let (rate, eta) = estimate(moved, all, self.started.elapsed());
        let report = Report { seq: self.seq, phase: self.phase, bytes, total: self.total, rate, eta };
        self.seq += 1;
        (self.observer)(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_phase_is_always_told_and_the_way_there_not_too_often() {
        let mut told = Vec::new();
        let mut observer = |report: Report<u8>| {
            told.push((report.seq, report.phase, report.bytes));
            report.phase == 1
        };
        let mut reports = Reports::start(&mut observer, 1, 1000);
        assert!((0..=1000).all(|bytes| reports.tick(bytes)));
        reports.enter(2, 5);
        assert!(!reports.tick(5));
        assert_eq!((told[0].1, *told.last().unwrap()), (1, (1, 2, 5)));
        assert_eq!(told.len(), 2);
    }
}
