//! Buffers for direct I/O: aligned, bounded in number, and used again.

use std::{
    cell::Cell,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

/// Bytes of a buffer. Larger writes are not faster on sticks, and four of these are in flight.
pub const CHUNK: usize = 1 << 20;
/// Direct I/O wants addresses that are multiples of the logical sector, at most 4096 bytes.
const ALIGNMENT: usize = 4096;

/// Memory that begins at a multiple of 4096.
#[derive(Debug)]
pub struct Aligned {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// Zeros.
    pub fn new(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        // The vector is never resized, so the place stays true.
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, start, length }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

/// A part of the image on its way. Its buffer goes back to the pool when the last reader drops it.
#[derive(Debug)]
pub struct Chunk {
    /// Place in the image.
    pub offset: u64,
    /// Bytes of the image in it; what follows in the buffer is zero.
    pub length: usize,
    /// It is not written.
    pub hole: bool,
    buffer: Option<Aligned>,
    home: SyncSender<Aligned>,
}

impl Chunk {
    /// The image's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.as_ref()[..self.length]
    }

    /// The image's bytes, and zeros up to whole sectors.
    pub fn sectors(&self, sector: usize) -> &[u8] {
        &self.as_ref()[..self.length.next_multiple_of(sector).min(CHUNK)]
    }
}

/// The whole buffer.
impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_deref().unwrap_or_default()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            // A pool that is gone needs it no more.
            let _ = self.home.try_send(buffer);
        }
    }
}

/// A bounded number of buffers, which are made when they are needed.
#[derive(Debug)]
pub struct Pool {
    free: Receiver<Aligned>,
    home: SyncSender<Aligned>,
    made: Cell<usize>,
    limit: Cell<usize>,
}

impl Pool {
    /// A pool of at most `count` buffers of [`CHUNK`] bytes.
    pub fn new(count: usize) -> Self {
        let (home, free) = sync_channel(count);
        Self { free, home, made: Cell::new(0), limit: Cell::new(count) }
    }

    /// Gets along with so many buffers less, as they come back.
    pub fn shrink(&self, count: usize) {
        self.limit.set(self.limit.get().saturating_sub(count));
    }

    /// Waits for a free buffer, has it filled, and gives it a place in the image. `fill` returns how many bytes it wrote.
    pub fn chunk<E>(
        &self,
        offset: u64,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Arc<Chunk>, E> {
        self.part(offset, false, fill)
    }

    /// As [`Pool::chunk`], of an image that may have holes.
    pub fn part<E>(
        &self,
        offset: u64,
        hole: bool,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Arc<Chunk>, E> {
        let mut buffer = self.take();
        match fill(&mut buffer) {
            Ok(length) => {
                buffer[length..].fill(0);
                Ok(Arc::new(Chunk { offset, length, hole, buffer: Some(buffer), home: self.home.clone() }))
            }
            Err(error) => {
                let _ = self.home.try_send(buffer);
                Err(error)
            }
        }
    }

    fn take(&self) -> Aligned {
        let Ok(buffer) = self.free.try_recv() else {
            if self.made.get() < self.limit.get() {
                self.made.set(self.made.get() + 1);
                return Aligned::new(CHUNK);
            }
            // The pool holds a sender itself, so that this never fails.
            return self.free.recv().unwrap_or_else(|_closed| Aligned::new(CHUNK));
        };
        // Only what is free beside the one that is needed now is given up.
        while self.made.get() > self.limit.get() && self.free.try_recv().is_ok() {
            self.made.set(self.made.get() - 1);
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_come_back() {
        let pool = Pool::new(2);
        let fill = |buffer: &mut [u8]| {
            buffer.fill(7);
            Ok::<_, ()>(10)
        };
        for _ in 0..5 {
            let chunk = pool.chunk(0, fill).unwrap();
            assert_eq!(chunk.bytes(), [7; 10]);
            let sectors = chunk.sectors(512);
            assert_eq!((sectors.len(), &sectors[10..]), (512, &[0; 502][..]));
            assert_eq!(sectors.as_ptr().align_offset(ALIGNMENT), 0);
        }
        assert!(pool.chunk(0, |_| Err::<usize, _>(())).is_err());
        let held = (pool.chunk(0, fill).unwrap(), pool.chunk(0, fill).unwrap());
        assert!(pool.free.try_recv().is_err());
        drop(held);
        assert!(pool.free.try_recv().is_ok());
    }

    #[test]
    fn buffers_are_made_when_they_are_needed_and_given_up() {
        let pool = Pool::new(4);
        let fill = |_: &mut [u8]| Ok::<_, ()>(1);
        drop(pool.chunk(0, fill));
        drop(pool.chunk(0, fill));
        assert_eq!(pool.made.get(), 1);
        let held: Vec<_> = (0..4).map(|_| pool.chunk(0, fill).unwrap()).collect();
        assert_eq!(pool.made.get(), 4);
        pool.shrink(2);
        drop(held);
        drop(pool.chunk(0, fill));
        assert_eq!(pool.made.get(), 2);
        assert_eq!(pool.free.try_iter().count(), 2);
    }
}
