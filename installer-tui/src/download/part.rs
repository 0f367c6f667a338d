//! A file that is not whole yet.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::{
    crypto::Sha256,
    hex::Digest,
    ranges::{CHUNK, Ranges},
};

use super::problem::{Fault, Problem};
use crate::{backup::FileProblem, error::Error, files};

/// Bytes of a chunk, as a length in memory.
const STEP: usize = 1 << 20;
const _: () = assert!(STEP as u64 == CHUNK);

/// The file `NAME.part`. With a range manifest there are only whole chunks in it, each of which is right.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    size: u64,
    ranges: Option<Arc<Ranges>>,
    /// Bytes on the disk.
    length: u64,
    /// Of those bytes.
    hasher: Sha256,
    /// The begin of a chunk.
    pending: Vec<u8>,
}

/// Why bytes were not taken.
pub(super) enum Refusal {
    /// They are wrong.
    Fault(Fault),
    /// They cannot be stored.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Part {
    /// Opens or makes it, and checks what is there; `tick` is told how much was, and ends it by returning false.
    ///
    /// # Errors
    /// When it cannot be opened, is no regular file, or another program writes to it.
    pub(super) fn open(
        path: &Path,
        size: u64,
        ranges: Option<Arc<Ranges>>,
        tick: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        // Whoever may write to the directory could have put a link there.
        options.read(true).write(true).create(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP | libc::ENXIO) => {
                Error::Output { path: path.into(), problem: FileProblem::NotAFile }
            }
            _ => Error::io("open", path)(error),
        })?;
        let data = file.metadata().map_err(Error::io("look at", path))?;
        if !data.is_file() {
            return Err(Error::Output { path: path.into(), problem: FileProblem::NotAFile });
        }
        file.try_lock().map_err(|_held| Problem::Busy(path.into()))?;
        let hasher = Sha256::new();
        let mut part = Self { file, path: path.into(), size, ranges, length: 0, hasher, pending: Vec::new() };
        // What is longer is of another file.
        if data.len() <= size {
            part.check(data.len(), tick)?;
        }
        part.trim()?;
        Ok(part)
    }

    /// Finds out how much of what is there is right.
    fn check(&mut self, there: u64, tick: &mut dyn FnMut(u64) -> bool) -> Result<(), Error> {
        let mut buffer = vec![0; STEP];
        while self.length < there {
            let length = usize::try_from(there - self.length).unwrap_or(STEP).min(STEP);
            let bytes = &mut buffer[..length];
            self.file.read_exact_at(bytes, self.length).map_err(Error::io("read", &self.path))?;
            if !self.is_right(bytes) {
                break;
            }
            self.hasher.update(bytes);
            self.length += length as u64;
            if !tick(self.length) {
                return Err(Error::Cancelled);
            }
        }
        Ok(())
    }

    /// Whether bytes that follow what is there are a whole chunk that is right; true where nobody knows.
    fn is_right(&self, bytes: &[u8]) -> bool {
        let Some(ranges) = &self.ranges else { return true };
        let whole = bytes.len() as u64 == CHUNK.min(self.size - self.length);
        let at = usize::try_from(self.length / CHUNK).unwrap_or(usize::MAX);
        whole
            && match ranges.chunks.get(at) {
                Some(Some(digest)) => Sha256::of(bytes) == *digest,
                Some(None) => bytes.iter().all(|byte| *byte == 0),
                None => false,
            }
    }

    fn trim(&mut self) -> Result<(), Error> {
        self.file.set_len(self.length).map_err(Error::io("shorten", &self.path))
    }

    /// Bytes that are there; what comes next begins here.
    pub(super) fn length(&self) -> u64 {
        self.length + self.pending.len() as u64
    }

    /// Bytes that will be there after an end of the program.
    pub(super) fn kept(&self) -> u64 {
        self.length
    }

    pub(super) fn is_whole(&self) -> bool {
        self.length == self.size
    }

    /// Takes what comes next.
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        if bytes.len() as u64 > self.size - self.length() {
            return Err(Refusal::Fault(Fault::Malformed("sends more than the file has")));
        }
        if self.ranges.is_none() {
            return Ok(self.store(bytes)?);
        }
        while !bytes.is_empty() {
            let wanted = usize::try_from(CHUNK.min(self.size - self.length)).unwrap_or(STEP);
            let taken = (wanted - self.pending.len()).min(bytes.len());
            self.pending.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.pending.len() == wanted {
                let chunk = std::mem::take(&mut self.pending);
                if !self.is_right(&chunk) {
                    return Err(Refusal::Fault(Fault::Chunk { offset: self.length }));
                }
                self.store(&chunk)?;
                self.pending = chunk;
                self.pending.clear();
            }
        }
        Ok(())
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(bytes, self.length).map_err(Error::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Gives up what was not checked, so that no chunk is of two servers.
    pub(super) fn cut(&mut self) {
        self.pending.clear();
    }

    /// Gives up everything.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        self.cut();
        (self.length, self.hasher) = (0, Sha256::new());
        self.trim()
    }

    /// Gives the whole file its name, when it is the one that is expected; else the part is gone, because nobody knows
    /// which bytes of it are wrong.
    pub(super) fn finish(self, name: &Path, expected: Digest) -> Result<(), Refusal> {
        let found = self.hasher.clone().finish();
        if found != expected {
            fs::remove_file(&self.path).map_err(Error::io("remove", &self.path))?;
            return Err(Refusal::Fault(Fault::Digest { expected, found }));
        }
        self.file.sync_all().map_err(Error::io("write", &self.path))?;
        fs::rename(&self.path, name).map_err(Error::io("rename a file to", name))?;
        let directory = files::directory_of(name);
        files::sync_directory(directory).map_err(Error::io("write", directory))?;
        Ok(())
    }
}

/// Whether a file has this digest; `tick` as for [`Part::open`].
pub(super) fn is_same(
    path: &Path,
    expected: Digest,
    tick: &mut dyn FnMut(u64) -> bool,
) -> Result<bool, Error> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (mut hasher, mut buffer, mut seen) = (Sha256::new(), vec![0; STEP], 0);
    loop {
        match io::Read::read(&mut file, &mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hasher.finish() == expected),
            read => {
                hasher.update(&buffer[..read]);
                seen += read as u64;
            }
        }
        if !tick(seen) {
            return Err(Error::Cancelled);
        }
    }
}
