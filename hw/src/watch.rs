//! Disks that come, go and change, while they do.
//!
//! Invariant: the socket listens before the first look, so nothing falls between the two. Events only say where to look:
//! what is reported was read. The one exception is a removal, which the kernel announces while the disk is still in
//! `/sys`, so it is believed at once.
//!
//! Nothing polls. [`Watch::wait`] sleeps until an event comes, and has a deadline only while events are gathered that
//! came in quick succession, and for one second look after a look at everything.

mod follower;
mod pending;
mod picture;
mod sequence;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use aegis_core::uevent::Origin;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use self::follower::Follower;
pub use self::picture::Change;
use crate::{
    error::Error,
    inventory::Disk,
    tree::Tree,
    uevents::{self, Received, Socket},
};

/// What ends a wait.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// The descriptor can be read.
    Readable(BorrowedFd<'a>),
    /// The other side of the descriptor was closed.
    Closed(BorrowedFd<'a>),
}

/// Follows the disks of the running machine.
#[derive(Debug)]
pub struct Watch<'t> {
    socket: Socket,
    /// Files that become ready by poll(2) when the mounts or the swap spaces change.
    tables: Vec<File>,
    follower: Follower<'t>,
}

impl<'t> Watch<'t> {
    /// Listens to udev where it runs and to the kernel elsewhere, then looks at every disk. `receive_buffer` is in
    /// bytes; see [`Socket::open`].
    pub fn open(tree: &'t Tree, receive_buffer: usize) -> Result<Self, Error> {
        let origin = uevents::source(tree);
        let socket = Socket::open(origin, receive_buffer).map_err(Error::io("open", "the event socket"))?;
        // A kernel without swap has no such file; what is really missing is an error of the first look.
        let tables = ["/proc/self/mountinfo", "/proc/swaps"].map(|path| tree.physical(path));
        let tables = tables.iter().filter_map(|path| File::open(path).ok()).collect();
        Ok(Self { socket, tables, follower: Follower::start(tree, origin, Instant::now())? })
    }

    /// Whose events are followed.
    pub fn origin(&self) -> Origin {
        self.socket.origin()
    }

    /// The disks as they are known now, in the order of their names.
    pub fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.follower.disks()
    }

    /// Waits for changes, however long. `None` when one of `ends` has come.
    pub fn wait(&mut self, ends: &[End<'_>]) -> Result<Option<Vec<Change>>, Error> {
        loop {
            let now = Instant::now();
            let limit = self.follower.deadline().map(|deadline| deadline.saturating_duration_since(now));
            match self.poll(ends, limit).map_err(Error::io("wait for", "events"))? {
                Woken::End => return Ok(None),
                Woken::Tables => self.follower.any_disk(Instant::now()),
                Woken::Other => {}
            }
            self.drain().map_err(Error::io("read from", "the event socket"))?;
            let changes = self.follower.settle(Instant::now())?;
            if !changes.is_empty() {
                return Ok(Some(changes));
            }
        }
    }

    fn poll(&self, ends: &[End<'_>], limit: Option<Duration>) -> io::Result<Woken> {
        // Rounded up: to wake a moment early would be to turn in circles until the deadline.
        let limit = limit.map_or(PollTimeout::NONE, |limit| {
            PollTimeout::try_from(limit + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.tables.iter().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLPRI)));
        fds.extend(ends.iter().map(|end| match end {
            End::Readable(fd) => PollFd::new(*fd, PollFlags::POLLIN),
            // poll(2) tells of a reader that went away unasked.
            End::Closed(fd) => PollFd::new(*fd, PollFlags::empty()),
        }));
        match poll(&mut fds, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |fd: &PollFd<'_>| fd.any() == Some(true);
        let (tables, ends) = fds[1..].split_at(self.tables.len());
        Ok(match () {
            () if ends.iter().any(is_ready) => Woken::End,
            () if tables.iter().any(is_ready) => Woken::Tables,
            () => Woken::Other,
        })
    }

    /// Takes all that the socket has.
    fn drain(&mut self) -> io::Result<()> {
        loop {
            match self.socket.receive()? {
                Received::Event(event) => self.follower.hear(&event, Instant::now()),
                Received::Lost => self.follower.lose(Instant::now()),
                Received::Nothing => return Ok(()),
            }
        }
    }
}

/// Why poll(2) returned.
enum Woken {
    End,
    Tables,
    Other,
}
