//! What a running installation reports.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::error::Error;

/// A step, in the order in which they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Opens the disk and proves that it is the chosen one; prepares files.
    Prepare,
    /// Removes the old partition tables.
    Wipe,
    /// Copies the image to slot A.
    Image,
    /// Makes the EFI system partition.
    BootFiles,
    /// Makes the data partition.
    Data,
    /// Reads everything back.
    Verify,
    /// Completes slot A.
    Slot,
    /// Writes the partition table and the boot sector.
    Table,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 8] = [
        Self::Prepare,
        Self::Wipe,
        Self::Image,
        Self::BootFiles,
        Self::Data,
        Self::Verify,
        Self::Slot,
        Self::Table,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prepare => "preparing",
            Self::Wipe => "removing the old partition table",
            Self::Image => "copying the system",
            Self::BootFiles => "writing the boot files",
            Self::Data => "making the data partition",
            Self::Verify => "reading back",
            Self::Slot => "completing slot A",
            Self::Table => "writing the partition table",
        })
    }
}

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A step begins.
    Start {
        /// The step.
        step: Step,
        /// Bytes that it will move; 0 when that is not known.
        total: u64,
    },
    /// A step went on.
    Advance {
        /// The step.
        step: Step,
        /// Bytes so far.
        bytes: u64,
        /// Bytes in all; 0 when that is not known.
        total: u64,
        /// Bytes a second, averaged over the step.
        rate: u64,
        /// Seconds until the step ends; absent in its first seconds.
        eta: Option<u64>,
    },
    /// A step ended well.
    Done {
        /// The step.
        step: Step,
        /// Bytes that it moved.
        bytes: u64,
        /// How long it took, in milliseconds.
        ms: u64,
    },
}

/// Receives reports.
pub trait Observer {
    /// Takes a report. `false` asks the installation to stop.
    fn report(&mut self, event: Event) -> bool;
}

impl<F: FnMut(Event) -> bool> Observer for F {
    fn report(&mut self, event: Event) -> bool {
        self(event)
    }
}

/// Reports of one step, at most ten a second.
pub struct Meter<'a> {
    observer: &'a mut dyn Observer,
    step: Step,
    bytes: u64,
    total: u64,
    started: Instant,
    reported: Instant,
}

const INTERVAL: Duration = Duration::from_millis(100);
/// An estimate from less than this is a guess.
const SETTLED: Duration = Duration::from_secs(3);

impl<'a> Meter<'a> {
    /// Reports the start of a step.
    pub fn start(observer: &'a mut dyn Observer, step: Step, total: u64) -> Result<Self, Error> {
        let now = Instant::now();
        let mut meter = Self { observer, step, bytes: 0, total, started: now, reported: now };
        meter.send(Event::Start { step, total })?;
        Ok(meter)
    }

    fn send(&mut self, event: Event) -> Result<(), Error> {
        if self.observer.report(event) { Ok(()) } else { Err(Error::Cancelled) }
    }

    /// Counts bytes. [`Error::Cancelled`] when the person asked to stop.
    pub fn add(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes as u64;
        if self.reported.elapsed() < INTERVAL {
            return Ok(());
        }
        self.reported = Instant::now();
        self.tick()
    }

    /// Reports now, for a step that waits for another program.
    pub fn tick(&mut self) -> Result<(), Error> {
        let elapsed = self.started.elapsed();
        let (rate, eta) = estimate(self.bytes, self.total, elapsed);
        let Self { step, bytes, total, .. } = *self;
        self.send(Event::Advance { step, bytes, total, rate, eta })
    }

    /// Reports the end of the step.
    pub fn finish(mut self) -> Result<(), Error> {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event::Done { step: self.step, bytes: self.bytes, ms };
        self.send(event)
    }
}

/// Rate in bytes a second, and the seconds that are left.
pub(crate) fn estimate(bytes: u64, total: u64, elapsed: Duration) -> (u64, Option<u64>) {
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = bytes.saturating_mul(1000) / ms;
    let left = total.saturating_sub(bytes);
    let known = rate > 0 && total > 0 && elapsed >= SETTLED;
    (rate, known.then(|| left.div_ceil(rate.max(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_wait_until_they_mean_something() {
        assert_eq!(estimate(100, 1000, Duration::from_secs(1)), (100, None));
        assert_eq!(estimate(400, 1000, Duration::from_secs(4)), (100, Some(6)));
        assert_eq!(estimate(0, 1000, Duration::from_secs(9)), (0, None));
        assert_eq!(estimate(400, 0, Duration::from_secs(4)), (100, None));
        assert_eq!(estimate(0, 0, Duration::ZERO), (0, None));
    }
}
