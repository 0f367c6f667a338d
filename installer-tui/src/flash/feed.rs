//! Reads the image once and hands its parts to every device that keeps up.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    buffer::{CHUNK, Chunk, Pool},
    engine::Image,
};

/// Parts that wait for one device. With those in flight these are 12 MiB a device.
pub(super) const DEPTH: usize = 8;
/// Buffers that one device holds at most.
const EACH: usize = DEPTH + super::write::IN_FLIGHT;
/// A device that has nothing to do for so long while another one's queue is full is held up by it.
const PATIENCE: Duration = Duration::from_millis(250);
/// Buffers of a feed beside those of its devices: the one that is filled, and those that are hashed.
const SPARE: usize = 4;

/// How a feed ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// The whole image was handed over.
    Whole,
    /// It could not be read; the kind and the text of the error, because each device reports it.
    Failed { offset: u64, kind: io::ErrorKind, text: String },
    /// The work was stopped.
    Stopped,
}

#[derive(Debug, Default)]
struct State {
    parts: VecDeque<Arc<Chunk>>,
    end: Option<End>,
    /// The receiver is gone.
    closed: bool,
    /// Since when there was nothing to take.
    idle: Option<Instant>,
}

impl State {
    /// Whether there is no part, but may be one later.
    fn waits(&self) -> bool {
        self.parts.is_empty() && self.end.is_none() && !self.closed
    }
}

/// What a queue has for one who does not wait for long.
pub(super) enum Next {
    Part(Arc<Chunk>),
    /// Nothing so far.
    Later,
    /// Nothing any more.
    Never,
}

/// A bounded queue between a feed and one device.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Wakes the feed.
    taken: Arc<Bell>,
    /// It feeds a device, which must not be held up by another one.
    device: bool,
}

/// Tells a feed that one of its queues changed.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn wait(&self, limit: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(rung, limit, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

impl Queue {
    pub(super) fn new(taken: Arc<Bell>, device: bool) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), taken, device })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A thread that panicked left a queue of whole parts behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next part; `None` when the feed ended, which [`Queue::end`] then tells.
    pub(super) fn take(&self) -> Option<Arc<Chunk>> {
        loop {
            match self.take_within(Duration::MAX) {
                Next::Part(part) => return Some(part),
                Next::Later => {}
                Next::Never => return None,
            }
        }
    }

    /// As [`Queue::take`], but that it waits for so long at most.
    pub(super) fn take_within(&self, limit: Duration) -> Next {
        let mut state = self.lock();
        if state.waits() {
            state.idle.get_or_insert_with(Instant::now);
            let waited = self.changed.wait_timeout_while(state, limit, |state| state.waits());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let Some(part) = state.parts.pop_front() else {
            return if state.waits() { Next::Later } else { Next::Never };
        };
        drop(state);
        self.taken.ring();
        Next::Part(part)
    }

    /// How the feed ended, once it did.
    pub(super) fn end(&self) -> Option<End> {
        self.lock().end.clone()
    }

    /// The device takes no more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.parts.clear();
        drop(state);
        self.changed.notify_all();
        self.taken.ring();
    }

    /// Gives the part back when there is no room.
    fn offer(&self, part: &Arc<Chunk>) -> Offer {
        let mut state = self.lock();
        if state.closed {
            return Offer::Closed;
        }
        // Only who computes what the image is needs to see what is left out.
        if self.device && part.hole {
            return Offer::Taken;
        }
        if state.parts.len() >= DEPTH {
            return Offer::Full;
        }
        state.parts.push_back(part.clone());
        state.idle = None;
        drop(state);
        self.changed.notify_one();
        Offer::Taken
    }

    /// What wakes its feed.
    pub(super) fn bell(&self) -> Arc<Bell> {
        self.taken.clone()
    }

    fn finish(&self, end: &End) {
        self.lock().end = Some(end.clone());
        self.changed.notify_all();
    }

    fn starves(&self) -> bool {
        self.device && self.lock().idle.is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

#[derive(PartialEq, Eq)]
enum Offer {
    Taken,
    Full,
    Closed,
}

/// Who is fed, and from where.
pub(super) struct Feed<'a> {
    pub(super) image: &'a dyn Image,
    /// First byte that these queues miss.
    pub(super) from: u64,
    pub(super) queues: Vec<Arc<Queue>>,
    pub(super) bell: Arc<Bell>,
    pub(super) stop: &'a AtomicBool,
}

impl Feed<'_> {
    /// Feeds all queues to the end of the image. `split` takes the queues that fall behind, and from where they go on.
    pub(super) fn run(mut self, split: &mut dyn FnMut(u64, Vec<Arc<Queue>>)) {
        let end = match self.pump(split) {
            Ok(()) if self.stop.load(Ordering::Relaxed) => End::Stopped,
            Ok(()) => End::Whole,
            Err((offset, error)) => End::Failed { offset, kind: error.kind(), text: error.to_string() },
        };
        self.queues.iter().for_each(|queue| queue.finish(&end));
    }

    fn pump(&mut self, split: &mut dyn FnMut(u64, Vec<Arc<Queue>>)) -> Result<(), (u64, io::Error)> {
        let mut reader = self.image.open().map_err(|error| (0, error))?;
        skip(&mut reader, self.from).map_err(|error| (self.from, error))?;
        let pool = Pool::new(self.queues.len() * EACH + SPARE);
        let mut offset = self.from;
        while !self.queues.is_empty() && !self.stop.load(Ordering::Relaxed) {
            let hole = !self.image.needs(offset);
            let part = pool.part(offset, hole, |buffer| fill(&mut reader, buffer));
            let part = part.map_err(|error| (offset, error))?;
            if part.length == 0 {
                break;
            }
            let before = self.queues.len();
            self.hand_over(&part, split);
            pool.shrink((before - self.queues.len()) * EACH);
            offset += part.length as u64;
            if part.length < CHUNK {
                break;
            }
        }
        Ok(())
    }

    /// Returns when every queue has the part or is fed by another feed.
    fn hand_over(&mut self, part: &Arc<Chunk>, split: &mut dyn FnMut(u64, Vec<Arc<Queue>>)) {
        let mut waiting = Vec::new();
        self.queues.retain(|queue| match queue.offer(part) {
            Offer::Taken => true,
            Offer::Closed => false,
            Offer::Full => {
                waiting.push(queue.clone());
                true
            }
        });
        while !waiting.is_empty() && !self.stop.load(Ordering::Relaxed) {
            self.bell.wait(PATIENCE);
            waiting.retain(|queue| queue.offer(part) == Offer::Full);
            let slow = |queue: &Arc<Queue>| waiting.iter().any(|one| Arc::ptr_eq(one, queue));
            // Nobody starves for want of what it does not get.
            if !waiting.is_empty()
                && !part.hole
                && self.queues.iter().any(|queue| !slow(queue) && queue.starves())
            {
                self.queues.retain(|queue| !slow(queue));
                split(part.offset, std::mem::take(&mut waiting));
            }
        }
    }
}

/// Reads until the buffer is full or the image ends.
pub(super) fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn skip(reader: &mut dyn Read, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut reader.take(bytes), &mut io::sink())?;
    if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
