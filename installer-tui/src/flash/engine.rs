//! Brings feeds and devices together, and reports.

use std::{
    io::{self, Read},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use aegis_core::hex::Digest;

use super::{
    buffer::CHUNK,
    device::{Progress, Work},
    feed::{Bell, End, Feed, Queue},
    outcome::{Event, Failure, Outcome, Phase, Summary, Tally},
};

/// A device to write, open and held.
pub type Target = dyn aegis_hw::target::Target + Send + Sync;

/// An image that can be read from its start, more than once.
pub trait Image: Sync {
    /// The decoded image.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;

    /// Bytes of the decoded image, where they are known without reading it.
    fn length(&self) -> Option<u64>;

    /// Whether the chunk that begins at `offset` is written. The first one always is.
    fn needs(&self, _offset: u64) -> bool {
        true
    }

    /// Bytes of the chunks that are not written.
    fn skipped(&self) -> u64 {
        0
    }
}

/// How devices are written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only what differs is written.
    pub update: bool,
    /// The digest that the image must have, and what says so.
    pub expected: Option<(Digest, String)>,
}

/// What is to be written, and to what.
pub struct Order<'a> {
    /// The image.
    pub image: &'a dyn Image,
    /// The devices.
    pub targets: &'a [Box<Target>],
    /// How.
    pub options: Options,
}

/// Time between two reports about a device.
const INTERVAL: Duration = Duration::from_millis(200);
/// Rates are averages over this time.
const WINDOW: usize = 15;
/// A device that did nothing for so long is mentioned.
const SILENT: Duration = Duration::from_secs(10);
/// A device that did nothing for so long is given up, as soon as the system gives the thread back that waits for it.
const STALLED: Duration = Duration::from_secs(180);

/// What a device tells the one who reports.
pub(super) enum News {
    /// It begins with a phase.
    Entered(usize, Phase),
    /// It is done with.
    Ended(usize, Outcome),
}

/// What the image turns out to be, for those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    state: Mutex<Option<Result<Arc<Summary>, Verdict>>>,
    changed: Condvar,
}

/// Why an image has no summary.
#[derive(Clone, Debug)]
enum Verdict {
    Differs { by: String, expected: Digest, found: Digest },
    Ended(End),
}

impl Pending {
    fn set(&self, result: Result<Arc<Summary>, Verdict>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.changed.notify_all();
    }

    /// Waits until the image was read to its end.
    pub(super) fn wait(&self) -> Result<Arc<Summary>, Failure> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.changed.wait_while(state, |state| state.is_none());
        match state.unwrap_or_else(PoisonError::into_inner).clone() {
            Some(Ok(summary)) => Ok(summary),
            Some(Err(Verdict::Differs { by, expected, found })) => {
                Err(Failure::Digest { by, expected, found })
            }
            Some(Err(Verdict::Ended(End::Failed { offset, kind, text }))) => {
                Err(Failure::Image { offset, source: io::Error::new(kind, text) })
            }
            _ => Err(Failure::Cancelled),
        }
    }
}

/// Is told what happens to devices while they are written.
pub trait Observer {
    /// What a device is at. `false` stops the work; what was begun is then not bootable.
    fn report(&mut self, event: Event) -> bool;

    /// What a device ended as, as soon as it has, and once for each.
    fn ended(&mut self, device: usize, outcome: Outcome);
}

/// Writes an image to devices and reads it back from them. `observer` is told what happens and stops the work by
/// returning false; what was begun is then not bootable.
pub fn flash(order: &Order<'_>, observer: &mut dyn FnMut(Event) -> bool) -> Vec<Outcome> {
    struct Collector<'a>(&'a mut dyn FnMut(Event) -> bool, Vec<Option<Outcome>>);
    impl Observer for Collector<'_> {
        fn report(&mut self, event: Event) -> bool {
            self.0(event)
        }

        fn ended(&mut self, device: usize, outcome: Outcome) {
            self.1[device] = Some(outcome);
        }
    }
    let mut collector = Collector(observer, order.targets.iter().map(|_| None).collect());
    flash_each(order, &mut collector);
    // Each was told of once.
    collector.1.into_iter().flatten().collect()
}

/// As [`flash`], and tells of the end of each device when it comes.
pub fn flash_each(order: &Order<'_>, observer: &mut dyn Observer) {
    let stop = AtomicBool::new(false);
    let pending = Pending::default();
    let bell = Arc::<Bell>::default();
    let hashing = Queue::new(bell.clone(), false);
    let queues: Vec<_> = order.targets.iter().map(|_| Queue::new(bell.clone(), true)).collect();
    let progress: Vec<_> = order.targets.iter().map(|_| Progress::default()).collect();
    let all = [queues.clone(), vec![hashing.clone()]].concat();
    let length = order.image.length();
    let (news, told) = mpsc::channel();
    thread::scope(|scope| {
        let (stop, pending) = (&stop, &pending);
        scope.spawn(|| hash(&hashing, pending, order.options.expected.as_ref()));
        let feed = Feed { image: order.image, from: 0, queues: all, bell, stop };
        scope.spawn(move || {
            feed.run(&mut |from, slow| {
                let bell = slow.first().map(|queue| queue.bell()).unwrap_or_default();
                let own = Feed { image: order.image, from, queues: slow, bell, stop };
                // It is not split again: its devices are about as slow as each other.
                scope.spawn(move || own.run(&mut |_, _| ()));
            });
        });
        for (i, target) in order.targets.iter().enumerate() {
            let (queue, progress, news) = (&queues[i], &progress[i], (i, news.clone()));
            let update = order.options.update;
            scope.spawn(move || {
                let target = target.as_ref();
                let work = Work { target, queue, summary: pending, progress, news, stop, update, length };
                work.run();
            });
        }
        drop(news);
        let to_write = length.map(|length| length.saturating_sub(order.image.skipped()));
        watch(&told, &progress, &Watching { to_write, pending, stop }, observer);
    });
}

/// Computes what the image is while it passes.
fn hash(queue: &Queue, pending: &Pending, expected: Option<&(Digest, String)>) {
    let mut tally = Tally::new(expected.is_some());
    while let Some(part) = queue.take() {
        tally.add(&part);
    }
    pending.set(match queue.end() {
        Some(End::Whole) => {
            let summary = tally.finish();
            let other = expected.and_then(|(digest, by)| Some((*digest, by, summary.other_than(digest)?)));
            match other {
                Some((expected, by, found)) => Err(Verdict::Differs { by: by.clone(), expected, found }),
                None => Ok(Arc::new(summary)),
            }
        }
        other => Err(Verdict::Ended(other.unwrap_or(End::Stopped))),
    });
}

struct Watching<'a> {
    /// Bytes that are written, where they are known.
    to_write: Option<u64>,
    pending: &'a Pending,
    stop: &'a AtomicBool,
}

/// What was seen of one device at the last report.
struct Seen {
    phase: Phase,
    samples: Vec<(Instant, u64)>,
    moved: Instant,
}

/// Reports until every device ended.
fn watch(
    told: &mpsc::Receiver<News>,
    progress: &[Progress],
    watching: &Watching<'_>,
    observer: &mut dyn Observer,
) {
    let mut ended = vec![false; progress.len()];
    let now = Instant::now();
    let mut seen: Vec<_> =
        progress.iter().map(|_| Seen { phase: Phase::Check, samples: Vec::new(), moved: now }).collect();
    let mut seq = 0;
    loop {
        // Every phase is reported when it begins, however short it is.
        let entered = match told.recv_timeout(INTERVAL) {
            Ok(News::Ended(device, outcome)) => {
                if !observer.report(ended_event(device, seq, &outcome)) {
                    watching.stop.store(true, Ordering::Relaxed);
                }
                seq += 1;
                ended[device] = true;
                observer.ended(device, outcome);
                continue;
            }
            Ok(News::Entered(device, phase)) => Some((device, phase)),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => None,
        };
        for (device, one) in progress.iter().enumerate() {
            let phase = match entered {
                Some((other, _)) if other != device => continue,
                Some((_, phase)) => phase,
                None if ended[device] => continue,
                None => *one.phase.lock().unwrap_or_else(PoisonError::into_inner),
            };
            let event = seen[device].event((device, seq), phase, one, watching);
            seq += 1;
            if !observer.report(event) {
                watching.stop.store(true, Ordering::Relaxed);
            }
        }
    }
    for device in (0..progress.len()).filter(|device| !ended[*device]) {
        observer.ended(device, Outcome::NotBootable(Failure::Cancelled));
    }
}

/// The last report about a device.
fn ended_event(device: usize, seq: u64, outcome: &Outcome) -> Event {
    let total = match outcome {
        Outcome::Complete { length, .. } => Some(*length),
        _ => None,
    };
    let bytes = total.unwrap_or(0);
    Event { device, seq, phase: outcome.phase(), bytes, total, rate: 0, eta: None, waits: None }
}

impl Seen {
    fn event(
        &mut self,
        (device, seq): (usize, u64),
        phase: Phase,
        progress: &Progress,
        watching: &Watching<'_>,
    ) -> Event {
        let bytes = progress.bytes.load(Ordering::Relaxed);
        let now = Instant::now();
        if phase != self.phase {
            self.phase = phase;
            self.samples.clear();
        }
        if self.samples.last().is_none_or(|(_, before)| *before != bytes) {
            self.moved = now;
        }
        // A device that waits for the image is not to blame.
        if progress.busy.load(Ordering::Relaxed) == 0 {
            self.moved = now;
        }
        let waits = now.duration_since(self.moved);
        if waits >= STALLED {
            progress.given_up.store(waits.as_secs(), Ordering::Relaxed);
        }
        self.samples.push((now, bytes));
        if self.samples.len() > WINDOW {
            self.samples.remove(0);
        }
        let total = match phase {
            Phase::Write => watching.to_write,
            Phase::Verify => watching.written().map(|length| length.saturating_sub(CHUNK as u64)),
            _ => None,
        };
        let (rate, eta) = estimate(&self.samples, total);
        let bytes = total.map_or(bytes, |total| bytes.min(total));
        let waits = (waits >= SILENT).then_some(waits.as_secs());
        Event { device, seq, phase, bytes, total, rate, eta, waits }
    }
}

impl Watching<'_> {
    fn written(&self) -> Option<u64> {
        let state = self.pending.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.as_ref().and_then(|result| {
            let summary = result.as_ref().ok()?;
            Some(summary.length - summary.skipped)
        })
    }
}

/// Bytes a second over the samples, and the seconds that are left.
fn estimate(samples: &[(Instant, u64)], total: Option<u64>) -> (u64, Option<u64>) {
    let (Some((begun, first)), Some((now, last))) = (samples.first(), samples.last()) else {
        return (0, None);
    };
    let ms = u64::try_from(now.duration_since(*begun).as_millis()).unwrap_or(u64::MAX);
    let rate = last.saturating_sub(*first).saturating_mul(1000).checked_div(ms).unwrap_or(0);
    let settled = samples.len() >= WINDOW && rate > 0;
    let eta = total.filter(|_total| settled).map(|total| total.saturating_sub(*last).div_ceil(rate));
    (rate, eta)
}
