//! A ring: several writes under way on one target, begun and awaited by one thread.

use std::{fs::File, io, sync::Arc};

#[cfg(all(target_os = "linux", feature = "uring"))]
use crate::sys;
use crate::{error::Error, units::Bytes};

/// Memory that is written from. It is kept until its write has ended.
pub type Buffer = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A write that has ended.
#[derive(Debug)]
pub struct Written {
    /// Where it began.
    pub offset: u64,
    /// How many bytes arrived, which can be fewer than were to be written.
    pub result: Result<usize, Error>,
}

/// Writes of which several are under way. Dropping it waits for them.
pub trait Writes {
    /// Begins to write the first bytes of a buffer. Places under way do not overlap.
    ///
    /// # Errors
    /// When nothing was begun: beyond the end of the target, or with as many writes under way as there may be.
    fn begin(&mut self, offset: u64, buffer: Buffer, length: usize) -> Result<(), Error>;

    /// One that has ended; they end in any order. If it shall `wait`, there is none only when none is under way.
    ///
    /// # Errors
    /// When the system does not say what became of them.
    fn ended(&mut self, wait: bool) -> Result<Option<Written>, Error>;
}

/// Writes to an open file by the ring of the system; `None` where it has none, or refuses it.
#[cfg_attr(
    not(all(target_os = "linux", feature = "uring")),
    expect(unused_variables, reason = "there is no ring")
)]
pub(super) fn of<'a>(
    file: &'a File,
    size: Bytes,
    depth: usize,
    explain: impl Fn(io::Error) -> Error + 'a,
) -> Option<Box<dyn Writes + 'a>> {
    // Old kernels, filters of containers and a sysctl refuse it in several ways, which all mean the same.
    #[cfg(all(target_os = "linux", feature = "uring"))]
    return Some(Box::new(Checked { ring: sys::Ring::new(file, depth).ok()?, size, explain }));
    #[cfg(not(all(target_os = "linux", feature = "uring")))]
    None
}

#[cfg(all(target_os = "linux", feature = "uring"))]
struct Checked<'a, F> {
    ring: sys::Ring<'a>,
    size: Bytes,
    explain: F,
}

#[cfg(all(target_os = "linux", feature = "uring"))]
impl<F: Fn(io::Error) -> Error> Writes for Checked<'_, F> {
    fn begin(&mut self, offset: u64, buffer: Buffer, length: usize) -> Result<(), Error> {
        super::within(self.size, offset, length)
            .and_then(|()| self.ring.begin(offset, buffer, length))
            .map_err(&self.explain)
    }

    fn ended(&mut self, wait: bool) -> Result<Option<Written>, Error> {
        let ended = self.ring.ended(wait).map_err(&self.explain)?;
        Ok(ended.map(|(offset, result)| Written { offset, result: result.map_err(&self.explain) }))
    }
}
