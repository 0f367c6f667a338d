//! From a plan to a file.

use std::{
    io::{self, Read},
    time::{Duration, Instant},
};

use aegis_core::hex::Digest;
use serde::Serialize;
use ureq::BodyReader;

use super::{
    begin::{Job, Tags},
    mirrors::{Mirrors, Patience},
    part::{Part, Refusal, is_same},
    plan::{DownloadPlan, Wishes},
    problem::{Fault, Problem},
    release::Servers,
    web::{Web, reading},
};
use crate::{
    backup::FileProblem,
    error::Error,
    files,
    reports::{Report, Reports},
};

/// Bytes that are read at once.
const BLOCK: usize = 256 << 10;

/// What a download is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// What is there already is checked.
    Check,
    /// The rest is fetched.
    Download,
}

/// What a download tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// It went on.
    Progress(Report<Phase>),
    /// A server is asked.
    Asked {
        /// Its number in the plan.
        server: usize,
        /// The first byte.
        from: u64,
    },
    /// A server is left.
    Left {
        /// Its number in the plan.
        server: usize,
        /// For what; without it, for being slow.
        fault: Option<&'a Fault>,
    },
}

/// Is told what happens, and stops it by returning false.
pub type Observer<'a> = dyn FnMut(Event<'_>) -> bool + 'a;

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Bytes.
    pub bytes: u64,
    /// Bytes that came just now; those of an earlier attempt are not among them.
    pub fetched: u64,
    /// What it is.
    pub sha256: Digest,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// How a server was left.
enum Left {
    /// The file is whole.
    Whole,
    /// For a slow server there may be a faster one.
    Slow,
    Fault(Fault),
    Error(Error),
}

impl From<Refusal> for Left {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Fault(fault) => Self::Fault(fault),
            Refusal::Error(error) => Self::Error(error),
        }
    }
}

/// Fetches the file of a plan.
///
/// # Errors
/// When no server gave it, or it cannot be stored. What came stays in [`DownloadPlan::part`], if it can be used.
pub fn run(
    plan: &DownloadPlan,
    wishes: &Wishes,
    web: &Web,
    observer: &mut Observer<'_>,
) -> Result<Done, Error> {
    let started = Instant::now();
    let observer = std::cell::RefCell::new(observer);
    let tell = |event: Event<'_>| (*observer.borrow_mut())(event);
    let mut progress = |report| tell(Event::Progress(report));
    let mut reports = Reports::start(&mut progress, Phase::Check, plan.size);
    let done = |fetched| {
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Done { bytes: plan.size, fetched, sha256: plan.sha256, ms }
    };
    if plan.present && is_same(&plan.file, plan.sha256, &mut |bytes| reports.tick(bytes))? {
        put_beside(plan)?;
        return Ok(done(0));
    }
    if plan.present && !plan.overwrite {
        return Err(Error::Output { path: plan.file.clone(), problem: FileProblem::Exists });
    }
    let part = Part::open(&plan.part(), plan.size, plan.ranges.clone(), &mut |bytes| reports.tick(bytes))?;
    reports.resume(Phase::Download, plan.size, part.length());
    let fetched = plan.size - part.length();
    let mirrors = Mirrors::new(&plan.from, wishes.patience);
    let tags = vec![None; plan.from.len()];
    let mut fetch = Fetch { job: Job { plan, wishes, web }, part, mirrors, tags, reports, tell: &tell };
    fetch.all()?;
    let Fetch { part, .. } = fetch;
    put_beside(plan)?;
    match part.finish(&plan.file, plan.sha256) {
        Ok(()) => Ok(done(fetched)),
        Err(Refusal::Error(error)) => Err(error),
        // With chunks that are checked it cannot come to this, and without them nobody knows which server it was.
        Err(Refusal::Fault(fault)) => Err(Problem::Servers(vec![(plan.from[0].clone(), fault)]).into()),
    }
}

fn put_beside(plan: &DownloadPlan) -> Result<(), Error> {
    plan.beside.iter().try_for_each(|(suffix, bytes)| {
        let mut path = plan.file.as_os_str().to_owned();
        path.push(suffix);
        files::put(path.as_ref(), bytes).map_err(Error::io("write", path))
    })
}

/// A download under way.
struct Fetch<'a> {
    job: Job<'a>,
    part: Part,
    mirrors: Mirrors,
    tags: Tags,
    reports: Reports<'a, Phase>,
    tell: &'a dyn Fn(Event<'_>) -> bool,
}

impl Fetch<'_> {
    fn all(&mut self) -> Result<(), Error> {
        while !self.part.is_whole() {
            let Some(server) = self.mirrors.choose() else {
                let none = Mirrors::new(&[], self.job.wishes.patience);
                return Err(Problem::Servers(std::mem::replace(&mut self.mirrors, none).into_faults()).into());
            };
            self.wait(self.mirrors.pause(server))?;
            let left = self.ask(server);
            self.part.cut();
            match left {
                Left::Whole => {}
                Left::Error(error) => return Err(error),
                Left::Slow => self.told(Event::Left { server, fault: None })?,
                Left::Fault(fault) => {
                    self.told(Event::Left { server, fault: Some(&fault) })?;
                    self.mirrors.failed(server, fault);
                }
            }
        }
        Ok(())
    }

    fn told(&self, event: Event<'_>) -> Result<(), Error> {
        if (self.tell)(event) { Ok(()) } else { Err(Error::Cancelled) }
    }

    /// Lets time pass; the observer is asked meanwhile whether to go on.
    fn wait(&mut self, pause: Duration) -> Result<(), Error> {
        let reports = std::cell::RefCell::new(&mut self.reports);
        let length = self.part.length();
        let stop = || !reports.borrow_mut().tick(length);
        let Job { web, wishes: Wishes { patience, .. }, .. } = self.job;
        Servers { web, origins: &[], token: None, patience: *patience, stop: &stop }.wait(pause)
    }

    /// Asks a server for what is missing, as far as it goes.
    fn ask(&mut self, server: usize) -> Left {
        if let Err(error) = self.told(Event::Asked { server, from: self.part.length() }) {
            return Left::Error(error);
        }
        match self.begin(server).and_then(|body| self.stream(server, body)) {
            Ok(()) => Left::Whole,
            Err(left) => left,
        }
    }

    /// A body whose next byte is the one that is missing.
    fn begin(&mut self, server: usize) -> Result<BodyReader<'static>, Left> {
        let begun = self.job.begin(&mut self.tags, server, self.part.length()).map_err(Left::Fault)?;
        if begun.from < self.part.length() {
            self.part.restart().map_err(Left::Error)?;
        }
        Ok(begun.body)
    }

    fn stream(&mut self, server: usize, mut body: BodyReader<'static>) -> Result<(), Left> {
        let mut buffer = vec![0; BLOCK];
        let mut pace = Pace::new(self.job.wishes.patience, self.part.length());
        while self.part.length() < self.job.plan.size {
            let read = match body.read(&mut buffer) {
                Ok(0) => return Err(Left::Fault(self.truncated())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Left::Fault(self.truncated()));
                }
                Err(error) => return Err(Left::Fault(reading(error))),
            };
            let kept = self.part.kept();
            self.part.put(&buffer[..read])?;
            if self.part.kept() > kept {
                self.mirrors.gave(server);
            }
            if !self.reports.tick(self.part.length()) {
                return Err(Left::Error(Error::Cancelled));
            }
            if let Some(rate) = pace.rate(self.part.length())
                && self.mirrors.is_left(server, rate)
            {
                return Err(Left::Slow);
            }
        }
        Ok(())
    }

    fn truncated(&self) -> Fault {
        Fault::Truncated { found: self.part.length(), expected: self.job.plan.size }
    }
}

/// How fast a server is.
struct Pace {
    window: Duration,
    since: Instant,
    from: u64,
}

impl Pace {
    fn new(patience: Patience, from: u64) -> Self {
        Self { window: patience.window, since: Instant::now(), from }
    }

    /// Bytes a second, at the end of each window.
    fn rate(&mut self, length: u64) -> Option<u64> {
        let elapsed = self.since.elapsed();
        if elapsed < self.window {
            return None;
        }
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = length.saturating_sub(self.from).saturating_mul(1000) / ms;
        (self.since, self.from) = (Instant::now(), length);
        Some(rate)
    }
}
