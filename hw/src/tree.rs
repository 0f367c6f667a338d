//! The machine as a tree of files: the one way in which this crate reads it.
//!
//! Paths are logical and absolute (`/sys/block/sda/size`), wherever the files really are: below the roots of the running
//! system, below other roots in a test, or in a [`Recording`] of another machine. What is missing, unreadable or
//! no text is an ordinary answer of a machine: nothing here panics, and errors name the path.

mod directory;
mod live;
#[cfg(feature = "record")]
mod mask;
#[cfg(feature = "record")]
mod recorder;
#[cfg(feature = "record")]
mod recording;

use std::{io, path::PathBuf};

pub(crate) use directory::Directory;
pub use live::Roots;
#[cfg(feature = "record")]
pub use mask::Mask;
#[cfg(feature = "record")]
pub use recording::{HEADER, Line, Problem, Recording};

pub(crate) use crate::sys::is_absence;
use crate::{error::Error, text::reported};

/// Most bytes of a file that are read; the longest are pci.ids and the mounts of a machine with thousands of them.
pub const READ_LIMIT: usize = 8 << 20;

/// Most bytes of a device that one [`Tree::read_at`] gives.
pub const DEVICE_READ_LIMIT: usize = 1 << 20;

/// Links that are followed before a path counts as a loop, as in the kernel.
#[cfg(feature = "record")]
const LINKS: usize = 40;

/// A machine that can be read.
#[derive(Debug)]
pub struct Tree(Backend);

#[derive(Debug)]
enum Backend {
    Live(Roots),
    #[cfg(feature = "record")]
    Recorder(recorder::Recorder),
    #[cfg(feature = "record")]
    Recorded(Recording),
}

impl Default for Tree {
    fn default() -> Self {
        Self::live(Roots::default())
    }
}

/// Calls the same function of whichever backend there is.
macro_rules! ask {
    ($tree:expr, $backend:ident => $call:expr) => {
        match &$tree.0 {
            Backend::Live($backend) => $call,
            #[cfg(feature = "record")]
            Backend::Recorder($backend) => $call,
            #[cfg(feature = "record")]
            Backend::Recorded($backend) => $call,
        }
    };
}

impl Tree {
    /// The machine below these roots, as it is at each moment.
    pub fn live(roots: Roots) -> Self {
        Self(Backend::Live(roots.canonical()))
    }

    /// As [`Tree::live`], and every answer is kept for [`Tree::recording`].
    #[cfg(feature = "record")]
    pub fn recorder(roots: Roots) -> Self {
        Self(Backend::Recorder(recorder::Recorder::new(roots.canonical())))
    }

    /// A machine from a recording. The running one is never looked at.
    #[cfg(feature = "record")]
    pub fn recorded(recording: Recording) -> Self {
        Self(Backend::Recorded(recording))
    }

    /// Whether this is a machine from a recording, which nothing can be written to.
    pub fn is_recorded(&self) -> bool {
        !matches!(self.0, Backend::Live(_)) && self.is_replay()
    }

    #[cfg(feature = "record")]
    fn is_replay(&self) -> bool {
        matches!(self.0, Backend::Recorded(_))
    }

    #[cfg(not(feature = "record"))]
    fn is_replay(&self) -> bool {
        false
    }

    /// What was answered so far; empty unless this is a [`Tree::recorder`], or the recording that is replayed.
    #[cfg(feature = "record")]
    pub fn recording(&self) -> Recording {
        match &self.0 {
            Backend::Live(_) => Recording::default(),
            Backend::Recorder(recorder) => recorder.recording(),
            Backend::Recorded(recording) => recording.clone(),
        }
    }

    /// Content of a file.
    ///
    /// # Errors
    /// When it is missing, cannot be read, or has more than [`READ_LIMIT`] bytes.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.bytes(path).map_err(Error::io("read", path))
    }

    fn bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        ask!(self, b => b.read(path))
    }

    /// Content of a file that may be missing; a device that vanished has no files.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read_if_any(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.bytes(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    /// Text of a file that the kernel may not offer, trimmed; see [`reported`].
    pub fn text(&self, path: &str) -> Option<String> {
        self.read(path).ok().and_then(|raw| reported(&raw))
    }

    /// Decimal number in a file.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Names of the entries of a directory, `sda10` after `sda9`; none when it is missing. Names that are no text are
    /// left out.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn list(&self, path: &str) -> Result<Vec<String>, Error> {
        self.list_named(path, &|_name| true)
    }

    /// As [`Tree::list`], only names that pass the test. A recording keeps no others, and stays small.
    ///
    /// # Errors
    /// As [`Tree::list`].
    pub fn list_named(&self, path: &str, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        match ask!(self, b => b.list(path, wanted)) {
            Ok(mut names) => {
                names.sort_by_cached_key(|name| natural_key(name));
                Ok(names)
            }
            Err(error) if is_absence(&error) => Ok(Vec::new()),
            Err(error) => Err(Error::io("list", path)(error)),
        }
    }

    /// Target of a symbolic link, as it is written; `None` for anything else.
    pub fn link(&self, path: &str) -> Option<String> {
        ask!(self, b => b.link(path)).ok()
    }

    /// Last component of the target of a link: `driver` says `nvme`.
    pub fn link_name(&self, path: &str) -> Option<String> {
        let target = self.link(path)?;
        target.rsplit('/').find(|part| !part.is_empty()).map(Into::into)
    }

    /// Whether there is something at the path, after links.
    pub fn exists(&self, path: &str) -> bool {
        ask!(self, b => b.exists(path))
    }

    /// The path without links.
    ///
    /// # Errors
    /// When there is nothing, or links go round in a circle.
    pub fn real(&self, path: &str) -> Result<String, Error> {
        ask!(self, b => b.real(path)).map_err(Error::io("look at", path))
    }

    /// Up to `length` bytes of a device from an offset; fewer at its end. At most [`DEVICE_READ_LIMIT`].
    ///
    /// A recording holds no bytes of devices, as they are a person's data; those of a fixture are written by hand.
    ///
    /// # Errors
    /// When the device is missing or cannot be read there.
    pub fn read_at(&self, device: &str, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let length = length.min(DEVICE_READ_LIMIT);
        ask!(self, b => b.read_at(device, offset, length)).map_err(Error::io("read", device))
    }

    /// Where the file is for programs that open it themselves. Not to be opened when [`Tree::is_recorded`].
    pub fn physical(&self, path: &str) -> PathBuf {
        match &self.0 {
            Backend::Live(roots) => roots.physical(path),
            #[cfg(feature = "record")]
            Backend::Recorder(recorder) => recorder.roots().physical(path),
            #[cfg(feature = "record")]
            Backend::Recorded(_) => path.into(),
        }
    }

    /// Keeps what was found out about this machine in some other way, as the content of a file. Does nothing unless this is a
    /// [`Tree::recorder`].
    #[cfg(feature = "record")]
    pub fn note(&self, path: &str, content: &[u8]) {
        if let Backend::Recorder(recorder) = &self.0 {
            recorder.note(path, content);
        }
    }
}

/// `sda10` after `sda9`, and `nvme10n1` after `nvme9n2`: text and numbers in turn, then the name itself.
fn natural_key(name: &str) -> (Vec<(String, u64)>, String) {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let (digits, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len()));
        parts.push((text.to_owned(), digits.parse().unwrap_or(0)));
        rest = after;
    }
    (parts, name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_number() {
        let mut names = ["sda10", "nvme10n1", "sda9", "sdb", "sda", "nvme9n2", "sda09"];
        names.sort_by_key(|n| natural_key(n));
        assert_eq!(names, ["nvme9n2", "nvme10n1", "sda", "sda09", "sda9", "sda10", "sdb"]);
    }
}
