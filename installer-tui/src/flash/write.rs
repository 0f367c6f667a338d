//! The parts of an image on their way to one device, several at a time: by the ring that the device's target has, else by
//! threads.
//!
//! Invariant: when [`Work::write_parts`] returns, no write is under way. Either way a part is written, tried again and given up
//! alike.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use aegis_hw::{
    Bytes,
    target::{Writes, Written},
};

use super::{
    buffer::{Aligned, CHUNK, Chunk},
    device::Work,
    feed::Next,
    outcome::Failure,
};

/// Writes in flight on one device.
pub(super) const IN_FLIGHT: usize = 4;
/// Time that a part is waited for while writes are under way. Those that ended meanwhile are looked for after it, so that a
/// device that has nothing to do is not taken for one that does nothing.
const PAUSE: Duration = Duration::from_millis(5);

/// What became of the parts so far.
#[derive(Default)]
struct Shared {
    head: Mutex<Option<Arc<Chunk>>>,
    failure: Mutex<Option<Failure>>,
    written: AtomicU64,
}

impl Work<'_> {
    /// Takes parts until there are none, or until one of them failed. Returns the head, which is not written, and how many
    /// bytes were.
    pub(super) fn write_parts(&self) -> Result<(Option<Arc<Chunk>>, u64), Failure> {
        let shared = Shared::default();
        // What reads before it writes does both in turn, on threads.
        let writes = if self.update { None } else { self.target.writes(IN_FLIGHT) };
        match writes {
            Some(writes) => Flight { work: self, shared: &shared, writes, parts: Vec::new() }.run(),
            None => thread::scope(|scope| {
                for _ in 0..IN_FLIGHT {
                    scope.spawn(|| self.write_alone(&shared));
                }
            }),
        }
        match shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => {
                let head = shared.head.into_inner().unwrap_or_else(PoisonError::into_inner);
                Ok((head, shared.written.into_inner()))
            }
        }
    }

    /// What one of the threads does.
    fn write_alone(&self, shared: &Shared) {
        let mut old = Aligned::new(if self.update { CHUNK } else { 0 });
        while let Some(part) = self.queue.take() {
            if self.withholds(&part, shared) {
                continue;
            }
            match self.write_part(&part, &mut old) {
                Ok(written) => self.passed(&part, written, shared),
                Err(failure) => self.failed(failure, shared),
            }
        }
    }

    /// Returns how many bytes of the image were written.
    fn write_part(&self, part: &Chunk, old: &mut Aligned) -> Result<usize, Failure> {
        let bytes = self.fitting(part)?;
        if self.update {
            let old = &mut old[..bytes.len()];
            self.read(part.offset, old)?;
            if old == bytes {
                return Ok(0);
            }
        }
        self.write(part.offset, bytes)?;
        Ok(part.length)
    }

    /// Whether a part is the head, which is kept for the end.
    fn withholds(&self, part: &Arc<Chunk>, shared: &Shared) -> bool {
        let is_head = part.offset == 0;
        if is_head {
            *shared.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(part.clone());
            self.progress.add(CHUNK);
        }
        is_head
    }

    /// The sectors of a part.
    fn fitting<'c>(&self, part: &'c Chunk) -> Result<&'c [u8], Failure> {
        let bytes = part.sectors(self.sector());
        let end = part.offset.saturating_add(bytes.len() as u64);
        let size = self.target.size();
        if end > size.0 { Err(Failure::TooLarge { size, needed: Bytes(end) }) } else { Ok(bytes) }
    }

    fn passed(&self, part: &Chunk, written: usize, shared: &Shared) {
        shared.written.fetch_add(written as u64, Ordering::Relaxed);
        self.progress.add(part.length);
    }

    /// Takes no more parts; the first failure counts.
    fn failed(&self, failure: Failure, shared: &Shared) {
        shared.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.queue.close();
    }
}

/// The parts that a target's ring has.
struct Flight<'a> {
    work: &'a Work<'a>,
    shared: &'a Shared,
    writes: Box<dyn Writes + 'a>,
    parts: Vec<Arc<Chunk>>,
}

impl Flight<'_> {
    fn run(mut self) {
        loop {
            let waits = self.fill();
            if self.parts.is_empty() && waits {
                return;
            }
            self.land(waits);
        }
    }

    /// Begins to write as many parts as there are and may be. Returns whether it goes on only when a write has ended.
    fn fill(&mut self) -> bool {
        while self.parts.len() < IN_FLIGHT {
            let limit = if self.parts.is_empty() { Duration::MAX } else { PAUSE };
            let part = match self.work.queue.take_within(limit) {
                Next::Part(part) => part,
                Next::Later => return false,
                Next::Never => return true,
            };
            if self.work.withholds(&part, self.shared) {
                continue;
            }
            match self.begin(&part) {
                Ok(()) => self.parts.push(part),
                Err(failure) => self.work.failed(failure, self.shared),
            }
        }
        true
    }

    fn begin(&mut self, part: &Arc<Chunk>) -> Result<(), Failure> {
        let (offset, length) = (part.offset, self.work.fitting(part)?.len());
        self.work.go_on()?;
        let begun = self.writes.begin(offset, part.clone(), length);
        begun.map_err(|source| Failure::Device { operation: "write", offset, source })?;
        self.work.progress.busy.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a write that has ended.
    fn land(&mut self, wait: bool) {
        match self.writes.ended(wait) {
            Ok(written) => written.into_iter().for_each(|written| self.take(written)),
            Err(source) => {
                // Whether they ended nobody knows; their memory stays with the ring.
                let lost = std::mem::take(&mut self.parts);
                self.work.progress.busy.fetch_sub(lost.len() as u64, Ordering::Relaxed);
                let offset = lost.iter().map(|part| part.offset).min().unwrap_or(0);
                self.work.failed(Failure::Device { operation: "write", offset, source }, self.shared);
            }
        }
    }

    fn take(&mut self, written: Written) {
        let Some(place) = self.parts.iter().position(|part| part.offset == written.offset) else { return };
        let part = self.parts.swap_remove(place);
        self.work.progress.busy.fetch_sub(1, Ordering::Relaxed);
        // A device that is given up anyway is not tried again.
        if self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return;
        }
        match self.settle(&part, written.result) {
            Ok(()) => self.work.passed(&part, part.length, self.shared),
            Err(failure) => self.work.failed(failure, self.shared),
        }
    }

    /// What did not arrive as a whole is written again by itself; the first attempt was the ring's.
    fn settle(&self, part: &Chunk, result: Result<usize, aegis_hw::Error>) -> Result<(), Failure> {
        let bytes = self.work.fitting(part)?;
        let mut first = Some(result);
        self.work.persist("write", part.offset, || match first.take() {
            Some(Ok(length)) if length == bytes.len() => Ok(()),
            Some(Err(error)) => Err(error),
            _ => self.work.target.write_at(part.offset, bytes),
        })
    }
}
