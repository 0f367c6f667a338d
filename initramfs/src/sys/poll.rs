//! poll(2).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

use super::check;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes to read, or the end of them.
    Read,
    /// Room to write.
    Write,
}

/// Waits until one of the descriptors is ready or the time is over, and returns the positions of those that are.
/// `None` waits without limit. A signal ends the wait early with an empty list.
pub(crate) fn wait(
    fds: &[BorrowedFd<'_>],
    interest: Interest,
    limit: Option<Duration>,
) -> io::Result<Vec<usize>> {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
    };
    let mut entries: Vec<libc::pollfd> =
        fds.iter().map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }).collect();
    let milliseconds =
        limit.map_or(-1, |limit| libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX));
    let count = libc::nfds_t::try_from(entries.len()).unwrap_or_default();
    // SAFETY: `entries` holds `count` initialised structures and outlives the call.
    match check(unsafe { libc::poll(entries.as_mut_ptr(), count, milliseconds) }) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    Ok((0..entries.len()).filter(|i| entries[*i].revents != 0).collect())
}
