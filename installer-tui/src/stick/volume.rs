//! A volume in memory, on its way to a device: only what is written to it takes room, and zeros take none.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
};

/// Bytes of a page.
const PAGE: usize = 64 << 10;
/// Pages of zeros that are joined into one write.
const JOINED: usize = 16;

/// What a page holds; without bytes, zeros.
type Page = Option<Box<[u8; PAGE]>>;

/// `size` bytes, none of them written.
#[derive(Debug)]
pub(super) struct Volume {
    size: u64,
    position: u64,
    pages: BTreeMap<u64, Page>,
}

/// Bytes for a place of the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extent<'a> {
    /// These.
    Bytes(u64, &'a [u8]),
    /// So many zeros.
    Zeros(u64, usize),
}

impl Volume {
    pub(super) fn new(size: u64) -> Self {
        Self { size, position: 0, pages: BTreeMap::new() }
    }

    /// Bytes that have to be written.
    pub(super) fn written(&self) -> u64 {
        self.extents().iter().map(|extent| extent.length() as u64).sum()
    }

    /// Everything that was written, in order, but the first page last: a volume without it is none.
    pub(super) fn extents(&self) -> Vec<Extent<'_>> {
        let mut extents: Vec<Extent<'_>> = Vec::new();
        for (number, page) in self.pages.iter() {
            let offset = number * PAGE as u64;
            let length = usize::try_from(self.size - offset).unwrap_or(PAGE).min(PAGE);
            match (page, extents.last_mut()) {
                (Some(page), _) => extents.push(Extent::Bytes(offset, &page[..length])),
                (None, Some(Extent::Zeros(start, before)))
                    if *start + *before as u64 == offset && *before < JOINED * PAGE =>
                {
                    *before += length;
                }
                (None, _) => extents.push(Extent::Zeros(offset, length)),
            }
        }
        if extents.first().is_some_and(|extent| extent.offset() == 0) {
            extents.rotate_left(1);
        }
        extents
    }

    /// Number of the page at the position, and the place within it; `None` at the end.
    fn place(&self, length: usize) -> Option<(u64, usize, usize)> {
        let left = usize::try_from(self.size.checked_sub(self.position)?).unwrap_or(usize::MAX);
        let within = usize::try_from(self.position % PAGE as u64).ok()?;
        Some((self.position / PAGE as u64, within, length.min(left).min(PAGE - within)))
    }
}

impl Extent<'_> {
    pub(super) fn offset(&self) -> u64 {
        let (Self::Bytes(offset, _) | Self::Zeros(offset, _)) = self;
        *offset
    }

    pub(super) fn length(&self) -> usize {
        match self {
            Self::Bytes(_, bytes) => bytes.len(),
            Self::Zeros(_, length) => *length,
        }
    }
}

impl Read for Volume {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((number, within, length)) = self.place(buffer.len()) else { return Ok(0) };
        match self.pages.get(&number) {
            Some(Some(page)) => buffer[..length].copy_from_slice(&page[within..within + length]),
            _ => buffer[..length].fill(0),
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Write for Volume {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let Some((number, within, length)) = self.place(buffer.len()) else { return Ok(0) };
        let page = self.pages.entry(number).or_default();
        if page.is_some() || buffer[..length].iter().any(|byte| *byte != 0) {
            let bytes = page.get_or_insert_with(|| Box::new([0; PAGE]));
            bytes[within..within + length].copy_from_slice(&buffer[..length]);
        }
        self.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Volume {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(offset) => (self.size, offset),
            SeekFrom::Current(offset) => (self.position, offset),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "seek before the first byte");
        self.position = base.checked_add_signed(offset).ok_or_else(outside)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_take_no_memory_and_the_first_page_comes_last() {
        let mut volume = Volume::new(40 * PAGE as u64 + 100);
        volume.write_all(&vec![0; 20 * PAGE]).unwrap();
        volume.seek(SeekFrom::Start(3)).unwrap();
        volume.write_all(b"boot").unwrap();
        volume.seek(SeekFrom::End(-4)).unwrap();
        volume.write_all(b"last").unwrap();
        assert_eq!(volume.write(b"beyond").unwrap(), 0);
        assert_eq!(volume.pages.values().flatten().count(), 2);
        let places: Vec<_> =
            volume.extents().iter().map(|extent| (extent.offset(), extent.length())).collect();
        let page = PAGE as u64;
        assert_eq!(places, [(page, 16 * PAGE), (17 * page, 3 * PAGE), (40 * page, 100), (0, PAGE)]);
        assert_eq!(volume.written(), 20 * page + 100);
        let mut start = [9; 8];
        volume.seek(SeekFrom::Start(0)).unwrap();
        volume.read_exact(&mut start).unwrap();
        assert_eq!(start, *b"\0\0\0boot\0");
    }
}
