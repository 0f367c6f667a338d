//! All consoles that the kernel writes to, as one.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    time::Duration,
};

use crate::sys::{
    poll::{self, Interest},
    terminal,
};

const ACTIVE: &str = "/sys/class/tty/console/active";
/// A serial line without a reader must not stop the boot.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// The open consoles.
#[derive(Debug)]
pub(crate) struct Consoles(Vec<File>);

impl Consoles {
    /// Opens every active console; those that cannot be opened, such as a port that is not there, are left out.
    pub(crate) fn open() -> Self {
        let active = fs::read_to_string(ACTIVE).unwrap_or_else(|_missing| "console".to_string());
        let open = |name: &str| {
            let flags = libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC;
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(format!("/dev/{name}")).ok()
        };
        Self(active.split_ascii_whitespace().filter_map(open).collect())
    }

    /// Delivers keys without Enter where the console is a terminal.
    pub(crate) fn deliver_keys(&self) {
        for tty in &self.0 {
            // A console that is no terminal sends no keys; nothing is lost.
            let _ = terminal::deliver_keys(tty);
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes text to all of them.
    pub(crate) fn write(&mut self, text: &str) {
        self.0.retain_mut(|tty| write_all(tty, text.as_bytes()));
    }

    /// Waits for a key on any of them, at most for `limit`.
    pub(crate) fn read_key(&mut self, limit: Duration) -> Option<u8> {
        let fds: Vec<_> = self.0.iter().map(AsFd::as_fd).collect();
        let ready = poll::wait(&fds, Interest::Read, Some(limit)).ok()?;
        let mut key = [0];
        let mut closed = None;
        for index in ready {
            match self.0.get_mut(index).map(|tty| tty.read(&mut key)) {
                Some(Ok(1)) => return Some(key[0]),
                Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => {}
                _ => closed = Some(index),
            }
        }
        // A line that was hung up is always ready and would keep the menu busy.
        if let Some(index) = closed {
            self.0.remove(index);
        }
        None
    }
}

/// `false` when the console is gone or does not take text.
fn write_all(tty: &mut File, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match tty.write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                match poll::wait(&[tty.as_fd()], Interest::Write, Some(WRITE_LIMIT)) {
                    Ok(ready) if !ready.is_empty() => {}
                    _ => return false,
                }
            }
            Err(_) => return false,
        }
    }
    true
}
