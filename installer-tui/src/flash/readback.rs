//! Reads a device and compares it with what an image turned out to be.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use aegis_core::crypto::Sha256;

use super::{
    buffer::{Aligned, CHUNK},
    outcome::{Failure, Summary},
};

/// Reads in flight. One at a time leaves the device idle between two of them; more than four are not faster.
const READERS: usize = 4;
/// Buffers of a reader: one is filled while the other one is computed.
const EACH: usize = 2;

/// Compares everything from `from` on that was written; `hasher` has seen what comes before. `read` fills a buffer of whole
/// sectors from a place of the device, and `done` is told how many bytes were compared.
///
/// # Errors
/// [`Failure::ReadBack`] with the first part that differs, or what `read` gives.
pub(super) fn compare(
    summary: &Summary,
    (from, mut hasher): (u64, Sha256),
    sector: usize,
    read: impl Fn(u64, &mut [u8]) -> Result<(), Failure> + Sync,
    mut done: impl FnMut(usize),
) -> Result<(), Failure> {
    let known = |offset| usize::try_from(offset / CHUNK as u64).ok().and_then(|i| *summary.parts.get(i)?);
    let mut differs = None;
    let chunks = Chunks { from, length: summary.length, sector, wanted: |offset| known(offset).is_some() };
    chunks.read(read, |offset, bytes| {
        hasher.update(bytes);
        if differs.is_none() && known(offset) != Some(crc32fast::hash(bytes)) {
            differs = Some(offset);
        }
        done(bytes.len());
    })?;
    match (differs, hasher.finish() == summary.written) {
        (None, true) => Ok(()),
        (offset, _) => Err(Failure::ReadBack { offset: offset.unwrap_or(0) }),
    }
}

/// Which chunks of a device are read.
pub(super) struct Chunks<W> {
    /// Begin of the first one, in bytes.
    pub(super) from: u64,
    /// End of the last one, in bytes.
    pub(super) length: u64,
    /// Bytes of a sector.
    pub(super) sector: usize,
    /// Whether the chunk at a place is read.
    pub(super) wanted: W,
}

impl<W: Fn(u64) -> bool + Sync> Chunks<W> {
    /// Reads several at a time and hands them to `each` one after the other, without the rest of the last sector.
    pub(super) fn read(
        &self,
        read: impl Fn(u64, &mut [u8]) -> Result<(), Failure> + Sync,
        mut each: impl FnMut(u64, &[u8]),
    ) -> Result<(), Failure> {
        thread::scope(|scope| {
            // Chunks are dealt out in turns, so that taking them in turns brings them back into their order.
            let mut readers = Vec::new();
            for number in 0..READERS {
                let (full, parts) = sync_channel(EACH - 1);
                let (empty, buffers) = sync_channel(EACH);
                (0..EACH).for_each(|_| drop(empty.try_send(Aligned::new(CHUNK))));
                let read = &read;
                scope.spawn(move || self.read_every(number, read, &buffers, &full));
                readers.push((parts, empty));
            }
            for (parts, empty) in readers.iter().cycle() {
                // The first one that has nothing left is the one whose turn comes after the last chunk.
                let Ok(part) = parts.recv() else { break };
                let (offset, buffer, length): (u64, Aligned, usize) = part?;
                each(offset, &buffer[..length]);
                let _ = empty.try_send(buffer);
            }
            Ok(())
        })
    }

    /// What one of the readers does.
    fn read_every(
        &self,
        number: usize,
        read: &impl Fn(u64, &mut [u8]) -> Result<(), Failure>,
        buffers: &Receiver<Aligned>,
        full: &SyncSender<Result<(u64, Aligned, usize), Failure>>,
    ) {
        let wanted = (self.from..self.length).step_by(CHUNK).filter(|offset| (self.wanted)(*offset));
        for offset in wanted.skip(number).step_by(READERS) {
            let Ok(mut buffer) = buffers.recv() else { return };
            let length = usize::try_from(self.length - offset).unwrap_or(CHUNK).min(CHUNK);
            let sectors = length.next_multiple_of(self.sector).min(CHUNK);
            let part = read(offset, &mut buffer[..sectors]);
            if full.send(part.map(|()| (offset, buffer, length))).is_err() {
                return;
            }
        }
    }
}
