//! Several writes under way on one file, by io_uring.
//!
//! Invariant: what the kernel may read stays in [`Ring::held`] until the completion of its write was taken. A ring that is
//! dropped waits for all completions; if not even that is possible, the memory is never freed.

use std::{fs::File, io, mem, os::fd::AsRawFd, thread, time::Duration};

use io_uring::{IoUring, Probe, cqueue, opcode, squeue, types};

use crate::target::Buffer;

/// Attempts at handing writes to a kernel that is short of memory, and the time between two of them.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// A ring for one file.
pub(crate) struct Ring<'a> {
    ring: IoUring,
    file: &'a File,
    /// The writes under way, each with its place in the file; their places here are how the kernel names them.
    held: Vec<Option<(u64, Buffer)>>,
}

impl<'a> Ring<'a> {
    /// A ring of so many writes. Fails where the kernel has none (before 5.6), or does not allow it.
    pub(crate) fn new(file: &'a File, depth: usize) -> io::Result<Self> {
        let entries = u32::try_from(depth).map_err(invalid)?;
        let ring = IoUring::new(entries)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Write::CODE) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self { ring, file, held: (0..depth).map(|_| None).collect() })
    }

    /// Begins to write the first bytes of a buffer.
    pub(crate) fn begin(&mut self, offset: u64, buffer: Buffer, length: usize) -> io::Result<()> {
        let free = self.held.iter().position(Option::is_none).ok_or(io::ErrorKind::WouldBlock)?;
        let bytes = (*buffer).as_ref().get(..length).ok_or(io::ErrorKind::InvalidInput)?;
        let length = u32::try_from(length).map_err(invalid)?;
        let write = opcode::Write::new(types::Fd(self.file.as_raw_fd()), bytes.as_ptr(), length);
        // By a thread of the kernel at once. Without that the kernel begins a write of more than one request, as most of these
        // are, in vain and then again on such a thread, and limits of control groups count it twice.
        let write = write.offset(offset).build().flags(squeue::Flags::ASYNC).user_data(free as u64);
        // SAFETY: the slice is borrowed from what the `Arc` owns, which stays where it is and unchanged as long as `held` has
        // the `Arc`, thus until the completion was taken. The file is open as long as the ring is there.
        unsafe { self.ring.submission().push(&write) }.map_err(io::Error::other)?;
        self.held[free] = Some((offset, buffer));
        // What the kernel does not take now it gets from `ended`, which then tells why it does not.
        let _ = self.ring.submit();
        Ok(())
    }

    /// A write that has ended: its place, and how many bytes of it arrived. Waits for one, if it shall and there is one.
    pub(crate) fn ended(&mut self, wait: bool) -> io::Result<Option<(u64, io::Result<usize>)>> {
        while self.held.iter().any(Option::is_some) {
            let ended = self.ring.completion().next();
            if let Some(ended) = ended.and_then(|ended| self.take(&ended)) {
                return Ok(Some(ended));
            }
            if !wait && self.ring.submission().is_empty() {
                break;
            }
            self.enter(usize::from(wait))?;
        }
        Ok(None)
    }

    /// What became of a write; its memory is free.
    fn take(&mut self, ended: &cqueue::Entry) -> Option<(u64, io::Result<usize>)> {
        let place = usize::try_from(ended.user_data()).ok()?;
        let (offset, _buffer) = self.held.get_mut(place)?.take()?;
        let bytes = usize::try_from(ended.result());
        Some((offset, bytes.map_err(|_negative| io::Error::from_raw_os_error(-ended.result()))))
    }

    /// Hands over what the kernel has not taken yet. Returns when so many have ended, or after a signal.
    fn enter(&self, count: usize) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            match self.ring.submit_and_wait(count) {
                Ok(_) => return Ok(()),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => return Ok(()),
                    Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM) => thread::sleep(PAUSE),
                    _ => return Err(error),
                },
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENOMEM))
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        while self.held.iter().any(Option::is_some) {
            if self.ended(true).is_err() {
                mem::forget(mem::take(&mut self.held));
            }
        }
    }
}

fn invalid(error: std::num::TryFromIntError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

#[cfg(test)]
mod tests;
