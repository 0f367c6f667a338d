//! How long to wait: pure, with the time as an argument.

use std::time::{Duration, Instant};

use crate::hardware::Notice;

/// Without any progress for this long, waiting is in vain. Slow USB disks have been seen to need 25 s.
const PATIENCE: Duration = Duration::from_secs(30);
/// With a device that was refused, a better one has this long to come up.
const SETTLE: Duration = Duration::from_secs(3);
/// A person is told after this time.
const TELL_AFTER: Duration = Duration::from_secs(3);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait for the next notice.
    Wait,
    /// As `Wait`, after telling what is being waited for; said once.
    Tell,
    /// End the search.
    GiveUp,
}

/// The state of one wait.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    start: Instant,
    limit: Duration,
    last_progress: Instant,
    told: bool,
    usb_interfaces: bool,
    usb_disk: bool,
}

impl Wait {
    /// Starts to wait, at most for `limit`.
    pub(crate) fn new(now: Instant, limit: Duration) -> Self {
        Self { start: now, limit, last_progress: now, told: false, usb_interfaces: false, usb_disk: false }
    }

    /// Notes what the hardware does.
    pub(crate) fn notice(&mut self, now: Instant, notice: &Notice) {
        self.last_progress = now;
        match notice {
            Notice::UsbStorage => self.usb_interfaces = true,
            Notice::Block(_) => self.usb_disk = true,
            Notice::Progress | Notice::Rescan => {}
        }
    }

    /// Decides. `refused` says that a device was found which must not be used.
    pub(crate) fn next(&mut self, now: Instant, refused: bool) -> Next {
        let quiet = now.saturating_duration_since(self.last_progress);
        let patience = if refused { SETTLE } else { PATIENCE };
        if self.elapsed(now) >= self.limit || quiet >= patience {
            return Next::GiveUp;
        }
        if !self.told && self.elapsed(now) >= TELL_AFTER {
            self.told = true;
            return Next::Tell;
        }
        Next::Wait
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    /// A USB storage interface was seen, but no disk since the wait began.
    pub(crate) fn usb_without_disk(&self) -> bool {
        self.usb_interfaces && !self.usb_disk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn progress_moves_the_deadline_up_to_the_limit() {
        let start = Instant::now();
        let mut wait = Wait::new(start, Duration::from_secs(60));
        assert_eq!(wait.next(after(start, 2), false), Next::Wait);
        assert_eq!(wait.next(after(start, 3), false), Next::Tell);
        assert_eq!(wait.next(after(start, 4), false), Next::Wait);
        assert_eq!(wait.clone().next(after(start, 30), false), Next::GiveUp);
        wait.notice(after(start, 25), &Notice::UsbStorage);
        assert!(wait.usb_without_disk());
        assert_eq!(wait.next(after(start, 54), false), Next::Wait);
        wait.notice(after(start, 54), &Notice::Block("sda".to_string()));
        assert!(!wait.usb_without_disk());
        assert_eq!(wait.next(after(start, 59), false), Next::Wait);
        assert_eq!(wait.next(after(start, 60), false), Next::GiveUp);
    }

    #[test]
    fn a_refused_device_shortens_the_wait() {
        let start = Instant::now();
        let mut wait = Wait::new(start, Duration::from_secs(60));
        assert_eq!(wait.next(after(start, 2), true), Next::Wait);
        wait.notice(after(start, 2), &Notice::Progress);
        assert_eq!(wait.next(after(start, 4), true), Next::Tell);
        assert_eq!(wait.next(after(start, 5), true), Next::GiveUp);
    }
}
