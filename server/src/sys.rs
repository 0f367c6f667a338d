//! The calls that the compiler cannot check; everything else forbids `unsafe`.
#![expect(
    unsafe_code,
    reason = "mapped files, inherited sockets, reads that do not wait, priorities and times of threads"
)]

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    time::Duration,
};

use memmap2::{Mmap, MmapOptions};

/// Maps a part of a file.
///
/// The file must never be cut: reading beyond its end would kill the process (SIGBUS). Blobs are named by their content, are
/// made whole before they get their name, and are never written again.
pub(crate) fn map(file: &File, offset: u64, length: usize) -> io::Result<Mmap> {
    // SAFETY: see above; the mapping is only read, and blobs do not change while they have their name.
    unsafe { MmapOptions::new().offset(offset).len(length).map(file) }
}

/// Lets other threads of this machine go before the calling one, as far as ten steps of `nice(2)` do that: where all want more
/// than there is, it has a tenth of what another one has.
pub(crate) fn stand_back() {
    // SAFETY: no memory is handed over. On Linux a priority is that of a thread, 0 is the calling one, and lowering its own is
    // anybody's right; if it fails all the same, the thread is only less modest.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

/// Time that a processor spent on the calling thread so far.
pub(crate) fn worked() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to where the pointer says, and it is one. Every Linux has this clock; without it the
    // time stays 0.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// Takes over a descriptor that the service manager passed (`sd_listen_fds(3)`).
///
/// Each number is taken once, at the start, by `engine::listen`.
pub(crate) fn adopt(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the protocol gives these descriptors to this process, and nothing else here uses their numbers.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Reads at an offset what is in memory already; `WouldBlock` when the disk would have to be asked.
pub(crate) fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: `part` names `buffer`, which is writable, of that length, and outlives the call.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const part, 1, offset, libc::RWF_NOWAIT) };
    usize::try_from(read).map_err(|_negative| io::Error::last_os_error())
}
