//! Reading, within the bounds of the device, and numbers in what was read.

use core::{convert::Infallible, fmt};

/// Bytes at the start of a device that every rule can see.
const HEAD: usize = 8192;
/// Longer runs are read in pieces of this many bytes.
const PIECE: usize = 4096;

/// A device or file.
pub trait Source {
    /// Why a read failed.
    type Error;

    /// Bytes that there are.
    fn size(&self) -> u64;

    /// Fills the buffer with the bytes from `offset` on. Nothing beyond [`Source::size`] is asked for.
    ///
    /// # Errors
    /// When that is impossible.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Self::Error>;
}

/// Bytes in memory.
impl Source for &[u8] {
    type Error = Infallible;

    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Infallible> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(())
    }
}

/// A read that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError<E> {
    /// First byte that was wanted.
    pub offset: u64,
    /// How many.
    pub length: usize,
    /// What the source said.
    pub source: E,
}

impl<E> fmt::Display for ReadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read {} bytes at byte {}", self.length, self.offset)
    }
}

impl<E: core::error::Error + 'static> core::error::Error for ReadError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Reads from a source and knows where it ends.
pub(super) struct Reader<'a, S> {
    source: &'a mut S,
    size: u64,
}

impl<'a, S: Source> Reader<'a, S> {
    pub(super) fn new(source: &'a mut S) -> Self {
        let size = source.size();
        Self { source, size }
    }

    /// Bytes of the device.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The first bytes, and how many of them there are.
    pub(super) fn head(&mut self) -> Result<([u8; HEAD], usize), ReadError<S::Error>> {
        let mut buffer = [0; HEAD];
        let length = usize::try_from(self.size).unwrap_or(HEAD).min(HEAD);
        if let Some(part) = buffer.get_mut(..length) {
            self.fill(0, part)?;
        }
        Ok((buffer, length))
    }

    /// The `N` bytes from `offset` on; `None` when the device ends before.
    pub(super) fn array<const N: usize>(
        &mut self,
        offset: u64,
    ) -> Result<Option<[u8; N]>, ReadError<S::Error>> {
        let mut buffer = [0; N];
        Ok(self.fill(offset, &mut buffer)?.then_some(buffer))
    }

    /// Hands over `length` bytes in pieces. `false` when the device ends before; nothing was read then.
    pub(super) fn pieces(
        &mut self,
        offset: u64,
        length: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<bool, ReadError<S::Error>> {
        if !self.holds(offset, length) {
            return Ok(false);
        }
        let mut buffer = [0; PIECE];
        let mut done = 0;
        while done < length {
            let part = buffer.get_mut(..PIECE.min(length - done)).unwrap_or_default();
            self.fill(offset.saturating_add(done as u64), part)?;
            take(part);
            done += part.len();
        }
        Ok(true)
    }

    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<bool, ReadError<S::Error>> {
        if !self.holds(offset, buffer.len()) {
            return Ok(false);
        }
        let length = buffer.len();
        let read = self.source.read_at(offset, buffer);
        read.map_err(|source| ReadError { offset, length, source })?;
        Ok(true)
    }

    fn holds(&self, offset: u64, length: usize) -> bool {
        offset.checked_add(length as u64).is_some_and(|end| end <= self.size)
    }
}

/// The bytes from `at` on, as an array.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

pub(super) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

/// Whether these bytes are there.
pub(super) fn is_at(bytes: &[u8], at: usize, magic: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(magic))
}
