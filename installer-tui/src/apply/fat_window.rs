//! A partition of a target as the stream that `fatfs` works on.
//!
//! FAT is changed in pieces of four bytes, so pages are kept and written in whole.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
};

use aegis_hw::{Bytes, target::Target};

const PAGE: usize = 64 * 1024;
/// Pages that are kept: the allocation tables and some of what is being written.
const KEPT: usize = 256;

struct Page {
    bytes: Box<[u8]>,
    dirty: bool,
}

/// `size` bytes of a target from `start`.
pub(super) struct FatWindow<'a> {
    target: &'a dyn Target,
    start: u64,
    size: u64,
    position: u64,
    pages: BTreeMap<u64, Page>,
}

impl<'a> FatWindow<'a> {
    pub(super) fn new(target: &'a dyn Target, start: u64, size: Bytes) -> Self {
        Self { target, start, size: size.0, position: 0, pages: BTreeMap::new() }
    }

    fn page(&mut self, number: u64) -> io::Result<&mut Page> {
        if !self.pages.contains_key(&number) {
            if self.pages.len() >= KEPT {
                self.flush()?;
                self.pages.clear();
            }
            let offset = number * PAGE as u64;
            let length = usize::try_from(self.size - offset).unwrap_or(PAGE).min(PAGE);
            let mut bytes = vec![0; length].into_boxed_slice();
            self.target.read_at(self.start + offset, &mut bytes).map_err(io::Error::other)?;
            self.pages.insert(number, Page { bytes, dirty: false });
        }
        self.pages.get_mut(&number).ok_or_else(|| io::Error::other("page is missing"))
    }

    /// Number of the page at the position, and the place within it; `None` at the end.
    fn place(&self) -> Option<(u64, usize)> {
        let within = usize::try_from(self.position % PAGE as u64).ok()?;
        (self.position < self.size).then_some((self.position / PAGE as u64, within))
    }
}

impl Read for FatWindow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((number, within)) = self.place() else { return Ok(0) };
        let page = self.page(number)?;
        let length = buffer.len().min(page.bytes.len() - within);
        buffer[..length].copy_from_slice(&page.bytes[within..within + length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Write for FatWindow<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let Some((number, within)) = self.place() else { return Ok(0) };
        let page = self.page(number)?;
        let length = buffer.len().min(page.bytes.len() - within);
        page.bytes[within..within + length].copy_from_slice(&buffer[..length]);
        page.dirty = true;
        self.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        for (number, page) in self.pages.iter_mut().filter(|(_, page)| page.dirty) {
            let offset = self.start + number * PAGE as u64;
            self.target.write_at(offset, &page.bytes).map_err(io::Error::other)?;
            page.dirty = false;
        }
        Ok(())
    }
}

impl Seek for FatWindow<'_> {
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
