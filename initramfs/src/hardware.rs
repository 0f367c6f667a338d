//! A thread that follows the kernel's events, loads drivers and reports new disks.
//!
//! Invariant: the socket is open before the first scan, so no device is missed; drivers that take long delay neither
//! the search nor the rescue menu.

use std::{
    collections::BTreeSet,
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use aegis_core::uevent::{Action, Origin, Uevent};
use aegis_hw::uevents::{RECEIVE_BUFFER, Received, Socket};

use crate::{
    drivers::{self, Drivers},
    error::Error,
    log,
    sys::poll::{self, Interest},
    uevent,
};

const SYS: &str = "/sys";

/// What the thread reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A disk or partition came, went or changed; its name.
    Block(String),
    /// Events were lost: every block device has to be looked at again.
    Rescan,
    /// Something on the way to a disk appeared.
    Progress,
    /// An interface of the USB mass storage class appeared.
    UsbStorage,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Hardware {
    /// Modules that are loaded by name.
    pub(crate) drivers: Arc<Drivers>,
    notices: Receiver<Notice>,
    /// Held while a module is being loaded; `true` when no more may be.
    stopped: Arc<Mutex<bool>>,
}

impl Hardware {
    /// Subscribes to events, then starts to scan and to follow.
    pub(crate) fn start(drivers: Drivers) -> Result<Self, Error> {
        let socket = Socket::open(Origin::Kernel, RECEIVE_BUFFER)
            .map_err(|e| Error::os("open", "the kernel's event socket", e))?;
        let drivers = Arc::new(drivers);
        let stopped = Arc::new(Mutex::new(false));
        let (sender, notices) = mpsc::channel();
        let follower = Follower {
            drivers: Arc::clone(&drivers),
            sender,
            stopped: Arc::clone(&stopped),
            asked: BTreeSet::new(),
            last: None,
        };
        thread::Builder::new()
            .name("hardware".to_string())
            .spawn(move || follower.run(socket))
            .map_err(|e| Error::os("start", "the thread for hardware", e))?;
        Ok(Self { drivers, notices, stopped })
    }

    /// Waits for notices, at most for `limit`, and returns all that have come.
    pub(crate) fn wait(&self, limit: Duration) -> Vec<Notice> {
        let first = self.notices.recv_timeout(limit).ok();
        first.into_iter().chain(self.notices.try_iter()).collect()
    }

    /// Loads no more drivers and waits, at most for `limit`, for one that is being loaded: exec would interrupt it.
    pub(crate) fn stop(&self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            if let Ok(mut stopped) = self.stopped.try_lock() {
                *stopped = true;
                return;
            }
            if Instant::now() >= end {
                log::warning("a driver is still starting; going on without it");
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Follower {
    drivers: Arc<Drivers>,
    sender: Sender<Notice>,
    stopped: Arc<Mutex<bool>>,
    /// Modaliases that were looked up already.
    asked: BTreeSet<String>,
    /// Number of the last event.
    last: Option<u64>,
}

impl Follower {
    fn run(mut self, mut socket: Socket) {
        self.scan();
        loop {
            if let Err(error) = poll::wait(&[socket.as_fd()], Interest::Read, None) {
                log::warning(&format!("cannot wait for events: {error}"));
                return;
            }
            if self.drain(&mut socket) {
                log::info("events were lost; looking at all devices again");
                self.scan();
                self.tell(Notice::Rescan);
            }
        }
    }

    /// Handles every event that is waiting and returns whether some were lost.
    fn drain(&mut self, socket: &mut Socket) -> bool {
        let mut lost = false;
        loop {
            match socket.receive() {
                Ok(Received::Event(event)) => lost |= self.follow(&event),
                Ok(Received::Lost) => lost = true,
                Ok(Received::Nothing) => return lost,
                Err(error) => {
                    log::warning(&format!("cannot read an event: {error}"));
                    return lost;
                }
            }
        }
    }

    /// Handles one event and returns whether events before it are missing.
    fn follow(&mut self, event: &Uevent<'_>) -> bool {
        let gap = is_gap(self.last, event.sequence);
        self.last = self.last.max(event.sequence);
        if uevent::is_progress(event) {
            self.tell(Notice::Progress);
        }
        if let (Some(modalias), Action::Add | Action::Change) = (event.modalias(), event.action) {
            self.load_for(modalias);
        }
        if let Some(name) = event.block_device() {
            self.tell(Notice::Block(name.to_string()));
        }
        gap
    }

    fn scan(&mut self) {
        let mut all = Vec::new();
        drivers::each_modalias(Path::new(SYS), &mut |modalias, _| all.push(modalias.to_string()));
        all.iter().for_each(|modalias| self.load_for(modalias));
    }

    fn load_for(&mut self, modalias: &str) {
        if uevent::is_usb_storage(modalias) {
            self.tell(Notice::UsbStorage);
        }
        if !self.asked.insert(modalias.to_string()) {
            return;
        }
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*stopped {
            self.drivers.load_for(modalias);
        }
    }

    fn tell(&self, notice: Notice) {
        // The receiver goes away only when PID 1 becomes another program.
        let _ = self.sender.send(notice);
    }
}

/// Whether events are missing between two numbers. The kernel may deliver neighbours in either order.
fn is_gap(last: Option<u64>, next: Option<u64>) -> bool {
    matches!((last, next), (Some(last), Some(next)) if next > last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_between_numbers() {
        assert!(!is_gap(None, Some(900)));
        assert!(!is_gap(Some(900), Some(901)));
        assert!(is_gap(Some(900), Some(902)));
        assert!(!is_gap(Some(902), Some(901)));
        assert!(!is_gap(Some(902), None));
    }
}
