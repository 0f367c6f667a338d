//! Ctrl-C and what else asks a program to end.

use std::io;

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

/// From now on these signals no longer end the program; they can be read from the descriptor. Call it before threads are
/// started.
pub(super) fn take(flags: SfdFlags) -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| set.add(signal));
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | flags).map_err(Into::into)
}

/// Whether somebody asked for the end.
pub(super) struct Asked(SignalFd);

impl Asked {
    /// As [`take`].
    pub(super) fn take() -> io::Result<Self> {
        take(SfdFlags::SFD_NONBLOCK).map(Self)
    }

    /// Whether it was asked since the last time.
    pub(super) fn now(&self) -> bool {
        matches!(self.0.read_signal(), Ok(Some(_)))
    }
}
