//! One device: what is done to it, in which order, and what it ends as.

use std::{
    io,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::Sender,
    },
    thread,
    time::{Duration, Instant},
};

use aegis_core::crypto::Sha256;

use super::{
    buffer::{Aligned, CHUNK, Chunk},
    engine::{News, Pending, Target},
    feed::{End, Queue},
    outcome::{Failure, Outcome, Phase, Summary},
    readback,
};

/// Bytes at both ends of a device where tables and boot sectors are.
pub(super) const HEAD: u64 = CHUNK as u64;
/// Bytes at the start of a device that hold its tables, of whichever kind.
const TABLES: usize = 64 << 10;
/// Attempts at one write or read before a device is given up.
const ATTEMPTS: u32 = 5;
/// Places where the capacity is tried.
const PROBES: u64 = 16;

/// What a device is at, for the one who reports.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) phase: Mutex<Phase>,
    pub(super) bytes: AtomicU64,
    /// Seconds after which it was given up because nothing moved; 0 while it was not.
    pub(super) given_up: AtomicU64,
    /// Operations of the system that are under way.
    pub(super) busy: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            phase: Mutex::new(Phase::Check),
            bytes: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            busy: AtomicU64::new(0),
        }
    }
}

impl Progress {
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A device and what belongs to its work.
pub(super) struct Work<'a> {
    pub(super) target: &'a Target,
    pub(super) queue: &'a Queue,
    pub(super) summary: &'a Pending,
    pub(super) progress: &'a Progress,
    /// Its place in the order, and who is told.
    pub(super) news: (usize, Sender<News>),
    pub(super) stop: &'a AtomicBool,
    /// Only what differs is written.
    pub(super) update: bool,
    /// Bytes of the image, where they are known before it is read.
    pub(super) length: Option<u64>,
}

impl Work<'_> {
    /// Does everything, and closes the queue whatever comes.
    pub(super) fn run(&self) {
        let outcome = self.all(Instant::now());
        self.queue.close();
        self.tell(News::Ended(self.news.0, outcome));
    }

    fn tell(&self, news: News) {
        // Who reports is there until every device has ended.
        let _ = self.news.1.send(news);
    }

    fn enter(&self, phase: Phase) {
        *self.progress.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.progress.bytes.store(0, Ordering::Relaxed);
        self.tell(News::Entered(self.news.0, phase));
    }

    fn all(&self, started: Instant) -> Outcome {
        let size = self.target.size();
        if self.stopped() {
            return Outcome::Untouched(Failure::Cancelled);
        }
        if let Some(needed) = self.length.filter(|length| *length > size.0) {
            return Outcome::Untouched(Failure::TooLarge { size, needed: aegis_hw::Bytes(needed) });
        }
        if let Err(failure) = self.read_first() {
            return Outcome::Untouched(failure);
        }
        match self.write_and_verify() {
            Ok((summary, written)) => {
                let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let Summary { length, skipped, written: sha256, .. } = *summary;
                Outcome::Complete { length, skipped, sha256, written, ms }
            }
            Err(failure) => Outcome::NotBootable(failure),
        }
    }

    fn write_and_verify(&self) -> Result<(Arc<Summary>, u64), Failure> {
        self.clear()?;
        if !self.update {
            self.try_capacity()?;
        }
        self.enter(Phase::Write);
        let (head, written) = self.write_parts()?;
        match self.queue.end() {
            Some(End::Whole) => {}
            Some(End::Failed { offset, kind, text }) => {
                return Err(Failure::Image { offset, source: io::Error::new(kind, text) });
            }
            _ => return Err(Failure::Cancelled),
        }
        let summary = self.summary.wait()?;
        let head = head.ok_or(Failure::Image { offset: 0, source: io::ErrorKind::UnexpectedEof.into() })?;
        self.flush()?;
        self.verify(&summary, &head)?;
        self.finish(&head)?;
        Ok((summary, written))
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn sector(&self) -> usize {
        usize::try_from(self.target.sector_size()).unwrap_or(512)
    }

    /// A device that cannot be read is not touched.
    fn read_first(&self) -> Result<(), Failure> {
        let mut buffer = Aligned::new(self.sector());
        self.read(0, &mut buffer)
    }

    /// Removes what makes the device look like a medium or a disk: its first sector, then its first and last mebibyte.
    fn clear(&self) -> Result<(), Failure> {
        self.enter(Phase::Check);
        let zeros = Aligned::new(CHUNK);
        let size = self.target.size().0;
        let end = size - size % self.sector() as u64;
        self.write(0, &zeros[..self.sector()])?;
        // A device that does not write out what it holds gets the rest too, before it is given up.
        let synced = self.sync();
        self.write(0, &zeros[..usize::try_from(HEAD.min(end)).unwrap_or(CHUNK)])?;
        if !self.update && end > 2 * HEAD {
            self.write(end - HEAD, &zeros)?;
        }
        synced?;
        self.sync()
    }

    /// Writes keyed blocks over the whole device and reads them back: a device with less memory than it says keeps some
    /// of them nowhere, or in the place of others.
    fn try_capacity(&self) -> Result<(), Failure> {
        let sector = self.sector();
        let last = self.target.size().0 / sector as u64 - 1;
        let key = u64::from(std::process::id()) ^ self.target.size().0.rotate_left(17);
        let places = (1..=PROBES).map(|i| u128::from(last) * u128::from(i) / u128::from(PROBES));
        let places: Vec<u64> = places.filter_map(|lba| u64::try_from(lba).ok()).collect();
        let mut block = Aligned::new(sector);
        for lba in &places {
            keyed(&mut block, key, *lba);
            self.write(lba * sector as u64, &block)?;
        }
        self.sync()?;
        self.forget()?;
        let mut expected = vec![0; sector];
        for lba in &places {
            let offset = lba * sector as u64;
            self.read(offset, &mut block)?;
            keyed(&mut expected, key, *lba);
            if *block != *expected {
                return Err(Failure::Counterfeit { size: self.target.size(), offset });
            }
        }
        block.fill(0);
        places.iter().try_for_each(|lba| self.write(lba * sector as u64, &block))
    }

    fn flush(&self) -> Result<(), Failure> {
        self.enter(Phase::Flush);
        self.sync()?;
        self.forget()
    }

    /// Reads everything but the head and compares.
    fn verify(&self, summary: &Summary, head: &Chunk) -> Result<(), Failure> {
        self.enter(Phase::Verify);
        let mut hasher = Sha256::new();
        hasher.update(head.bytes());
        let read = |offset, buffer: &mut [u8]| self.read(offset, buffer);
        readback::compare(summary, (HEAD, hasher), self.sector(), read, |bytes| self.progress.add(bytes))
    }

    /// Makes the device a medium, last of all, in three steps, each of which was read back before the next: the data of
    /// its head, the tables, and the first sector, without which nothing starts from it.
    fn finish(&self, head: &Chunk) -> Result<(), Failure> {
        self.enter(Phase::Finish);
        let bytes = head.sectors(self.sector());
        let ends = [bytes.len(), TABLES.min(bytes.len()), self.sector().min(bytes.len()), 0];
        let finished = ends.windows(2).try_for_each(|ends| self.put(bytes, ends[1]..ends[0]));
        if finished.is_err() {
            // As far as the device still takes it, it must not look complete.
            let zeros = Aligned::new(bytes.len());
            let _ = self.target.write_at(0, &zeros).and_then(|()| self.target.sync());
        } else {
            // A kernel that is busy with the disk reads the table later.
            let _ = self.target.reread_table();
        }
        finished
    }

    /// Writes a part of the head and reads it back.
    fn put(&self, head: &[u8], part: Range<usize>) -> Result<(), Failure> {
        if part.is_empty() {
            return Ok(());
        }
        let offset = part.start as u64;
        let (mut written, mut found) = (Aligned::new(part.len()), Aligned::new(part.len()));
        written.copy_from_slice(&head[part]);
        self.write(offset, &written)?;
        self.sync()?;
        self.forget()?;
        self.read(offset, &mut found)?;
        if *found == *written { Ok(()) } else { Err(Failure::ReadBack { offset }) }
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        self.persist("read", offset, || self.target.read_at(offset, buffer))
    }

    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.persist("write", offset, || self.target.write_at(offset, bytes))
    }

    fn sync(&self) -> Result<(), Failure> {
        self.persist("flush", 0, || self.target.sync())
    }

    fn forget(&self) -> Result<(), Failure> {
        self.persist("read", 0, || self.target.forget_cache())
    }

    /// Fails when the work was stopped, or the device given up because nothing moved.
    pub(super) fn go_on(&self) -> Result<(), Failure> {
        if self.stopped() {
            return Err(Failure::Cancelled);
        }
        match self.progress.given_up.load(Ordering::Relaxed) {
            0 => Ok(()),
            seconds => Err(Failure::Stalled { seconds }),
        }
    }

    /// Tries again after an error that can pass; a device that is gone does not come back to this descriptor.
    pub(super) fn persist(
        &self,
        operation: &'static str,
        offset: u64,
        mut work: impl FnMut() -> Result<(), aegis_hw::Error>,
    ) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            self.go_on()?;
            self.progress.busy.fetch_add(1, Ordering::Relaxed);
            let result = work();
            self.progress.busy.fetch_sub(1, Ordering::Relaxed);
            match result {
                Ok(()) => return Ok(()),
                Err(source) if attempt >= ATTEMPTS || !source.may_pass() => {
                    return Err(Failure::Device { operation, offset, source });
                }
                Err(_passing) => thread::sleep(Duration::from_millis(100) * 2u32.pow(attempt)),
            }
            attempt += 1;
        }
    }
}

/// A block that no other place has.
fn keyed(block: &mut [u8], key: u64, lba: u64) {
    // SplitMix64 (Steele, Lea, Flood 2014), seeded by key and place.
    let mut state = key ^ lba.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for word in block.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
}
