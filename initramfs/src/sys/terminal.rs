//! Terminal settings.

use std::{fs::File, io, mem, os::fd::AsRawFd};

use super::check;

/// Delivers each key at once and without echo; output is translated as before.
pub(crate) fn deliver_keys(tty: &File) -> io::Result<()> {
    // SAFETY: `termios` is a structure of numbers, for which zero is a valid value.
    let mut settings: libc::termios = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open and `settings` is valid for writing.
    check(unsafe { libc::tcgetattr(tty.as_raw_fd(), &raw mut settings) })?;
    settings.c_lflag &= !(libc::ICANON | libc::ECHO);
    settings.c_oflag |= libc::OPOST | libc::ONLCR;
    // SAFETY: the descriptor is open and `settings` was filled by the kernel above.
    check(unsafe { libc::tcsetattr(tty.as_raw_fd(), libc::TCSANOW, &raw const settings) })?;
    Ok(())
}
