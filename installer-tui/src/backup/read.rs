//! Reads a device that may have bad places.

use std::{ops::Range, thread, time::Duration};

use aegis_hw::{Error as DiskError, target::Source};
use serde::Serialize;

use crate::flash::{Failure, buffer::Aligned};

/// Attempts at one read before its smaller parts are tried.
const ATTEMPTS: u32 = 4;
/// Bytes that are read at once around a bad place: the physical sector of most disks.
const PIECE: usize = 4096;
/// A device that gives nothing for so many bytes is gone rather than worn.
const GONE: u64 = 16 << 20;

/// A stretch of a device that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bad {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Reads a device and remembers what it does not give.
pub(super) struct Reader<'a> {
    pub(super) source: &'a (dyn Source + Send + Sync),
    /// What cannot be read becomes zeros.
    pub(super) skip: bool,
    pub(super) bad: Vec<Bad>,
}

impl Reader<'_> {
    /// Fills a buffer of whole sectors that begins at a multiple of 4096 in memory.
    ///
    /// # Errors
    /// [`Failure::Device`] with the first place that cannot be read.
    pub(super) fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            match self.source.read_at(offset, buffer) {
                Ok(()) => return Ok(()),
                Err(error) if !is_of_the_medium(&error) => return Err(failed(offset, error)),
                Err(_again) if attempt < ATTEMPTS => {
                    thread::sleep(Duration::from_millis(50) * 2u32.pow(attempt));
                }
                Err(_bad) => return self.fill_by_pieces(offset, buffer),
            }
            attempt += 1;
        }
    }

    fn fill_by_pieces(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        // The buffer of the caller is aligned, and so are its pieces, but not what is left at its end.
        let mut piece = Aligned::new(PIECE);
        for (at, part) in (offset..).step_by(PIECE).zip(buffer.chunks_mut(PIECE)) {
            let piece = &mut piece[..part.len()];
            match self.source.read_at(at, piece) {
                Ok(()) => part.copy_from_slice(piece),
                Err(error) if self.skip && is_of_the_medium(&error) => {
                    part.fill(0);
                    self.mark(at..at + part.len() as u64).map_err(|()| failed(at, error))?;
                }
                Err(error) => return Err(failed(at, error)),
            }
        }
        Ok(())
    }

    /// Remembers a bad stretch; an error when there is no end of it.
    fn mark(&mut self, Range { start, end }: Range<u64>) -> Result<(), ()> {
        match self.bad.last_mut() {
            Some(last) if last.offset + last.length == start => last.length = end - last.offset,
            _ => self.bad.push(Bad { offset: start, length: end - start }),
        }
        let longest = self.bad.last().map_or(0, |last| last.length);
        if longest < GONE { Ok(()) } else { Err(()) }
    }
}

fn failed(offset: u64, source: DiskError) -> Failure {
    Failure::Device { operation: "read", offset, source }
}

/// Whether an error is one of the place that was read, and not of the device or of this program.
fn is_of_the_medium(error: &DiskError) -> bool {
    let DiskError::Io { source, .. } = error else { return false };
    let errors = [libc::EIO, libc::EREMOTEIO, libc::ENODATA, libc::EILSEQ, libc::ETIMEDOUT, libc::EAGAIN];
    source.raw_os_error().is_some_and(|code| errors.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        path::Path,
        slice,
        sync::atomic::{AtomicU32, Ordering},
    };

    use aegis_hw::Bytes;

    use super::*;

    /// Every byte is the number of its page; some places fail, so many times.
    struct Worn {
        bad: Vec<Range<u64>>,
        times: AtomicU32,
        code: i32,
    }

    impl Source for Worn {
        fn path(&self) -> &Path {
            Path::new("/dev/worn")
        }

        fn size(&self) -> Bytes {
            Bytes(1 << 30)
        }

        fn sector_size(&self) -> u32 {
            512
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
            let end = offset + buffer.len() as u64;
            let hit = self.bad.iter().any(|bad| bad.start < end && offset < bad.end);
            let left = self.times.load(Ordering::Relaxed);
            if hit && left > 0 {
                self.times.store(left - 1, Ordering::Relaxed);
                let source = io::Error::from_raw_os_error(self.code);
                return Err(DiskError::Io { operation: "read", path: self.path().into(), source });
            }
            for (at, byte) in (offset..).zip(buffer) {
                *byte = u8::try_from(at / 4096 % 251).unwrap() + 1;
            }
            Ok(())
        }
    }

    fn worn(bad: &[Range<u64>], times: u32) -> Worn {
        Worn { bad: bad.to_vec(), times: AtomicU32::new(times), code: libc::EIO }
    }

    fn read(worn: &Worn, skip: bool, length: usize) -> (Result<Vec<u8>, Failure>, Vec<Bad>) {
        let mut reader = Reader { source: worn, skip, bad: Vec::new() };
        let mut buffer = Aligned::new(length);
        let result = reader.fill(8192, &mut buffer);
        (result.map(|()| buffer.to_vec()), reader.bad)
    }

    #[test]
    fn what_passes_is_read() {
        let (read, bad) = read(&worn(slice::from_ref(&(0..u64::MAX)), ATTEMPTS - 1), false, 1 << 16);
        assert_eq!((read.unwrap()[0], bad), (3, Vec::new()));
    }

    #[test]
    fn the_first_bad_place_is_named() {
        let worn = worn(&[20_480..20_481, 40_960..40_970], u32::MAX);
        let (result, _) = read(&worn, false, 1 << 16);
        let Err(Failure::Device { operation: "read", offset, .. }) = result else { panic!("{result:?}") };
        assert_eq!(offset, 20_480);
    }

    #[test]
    fn bad_places_become_zeros_where_that_is_wanted() {
        let worn = worn(&[20_480..28_000, 40_960..40_970], u32::MAX);
        let (result, bad) = read(&worn, true, 1 << 16);
        let whole = result.unwrap();
        let expected = [Bad { offset: 20_480, length: 8192 }, Bad { offset: 40_960, length: 4096 }];
        assert_eq!(bad, expected);
        for (page, bytes) in (2u8..).zip(whole.chunks(4096)) {
            let expected = if [5, 6, 10].contains(&page) { 0 } else { page + 1 };
            assert!(bytes.iter().all(|byte| *byte == expected), "{page}");
        }
    }

    #[test]
    fn a_device_that_is_gone_does_not_become_zeros() {
        let gone = Worn { code: libc::ENODEV, ..worn(slice::from_ref(&(0..u64::MAX)), u32::MAX) };
        assert!(read(&gone, true, 1 << 16).0.is_err());
        let (result, bad) = read(&worn(slice::from_ref(&(0..u64::MAX)), u32::MAX), true, 17 << 20);
        assert!(matches!(result, Err(Failure::Device { .. })));
        assert_eq!(bad, [Bad { offset: 8192, length: GONE }]);
    }
}
