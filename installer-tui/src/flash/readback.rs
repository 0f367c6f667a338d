//! Reads a device and compares it with what an image turned out to be.

use std::{sync::mpsc::sync_channel, thread};

use aegis_core::crypto::Sha256;

use super::{
    buffer::{Aligned, CHUNK},
    outcome::{Failure, Summary},
};

/// Buffers on their way between the reader and the one who computes.
const BUFFERS: usize = 3;

/// Compares everything from `from` on; `hasher` has seen what comes before. `read` fills a buffer of whole sectors from a
/// place of the device, and `done` is told how many bytes were compared.
///
/// # Errors
/// [`Failure::ReadBack`] with the first part that differs, or what `read` gives.
pub(super) fn compare(
    summary: &Summary,
    (from, mut hasher): (u64, Sha256),
    sector: usize,
    read: impl Fn(u64, &mut [u8]) -> Result<(), Failure> + Send,
    mut done: impl FnMut(usize),
) -> Result<(), Failure> {
    let (full, parts) = sync_channel::<Result<(u64, Aligned, usize), Failure>>(BUFFERS - 1);
    let (empty, buffers) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        let _ = empty.try_send(Aligned::new(CHUNK));
    }
    let mut differs = None;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut offset = from;
            while offset < summary.length {
                let Ok(mut buffer) = buffers.recv() else { return };
                let length = usize::try_from(summary.length - offset).unwrap_or(CHUNK).min(CHUNK);
                let sectors = length.next_multiple_of(sector).min(CHUNK);
                let part = read(offset, &mut buffer[..sectors]);
                if full.send(part.map(|()| (offset, buffer, length))).is_err() {
                    return;
                }
                offset += length as u64;
            }
        });
        for part in parts {
            let (offset, buffer, length) = part?;
            hasher.update(&buffer[..length]);
            let known = usize::try_from(offset / CHUNK as u64).ok().and_then(|i| summary.parts.get(i));
            if differs.is_none() && known != Some(&crc32fast::hash(&buffer[..length])) {
                differs = Some(offset);
            }
            done(length);
            let _ = empty.try_send(buffer);
        }
        Ok(())
    })?;
    match (differs, hasher.finish() == summary.sha256) {
        (None, true) => Ok(()),
        (offset, _) => Err(Failure::ReadBack { offset: offset.unwrap_or(0) }),
    }
}
