//! Keeps the devices of a run: which are written, which are waited for, which ended, and which may be taken.

#[cfg(target_os = "linux")]
use std::io::PipeReader;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

#[cfg(target_os = "linux")]
use aegis_hw::watch::{Change, Watch};
use aegis_hw::{Bytes, Tree, inventory::Disk};

use super::{
    auto::{Auto, Pass, find_content},
    batch::Batch,
    comeback,
    crew::{Crew, Message},
    engine::Target,
    outcome::{Event, Outcome, Phase},
    plan::Fit,
    run::{Ended, Report, job, open},
};
use crate::{error::Error, plan::TargetDisk, select};

/// The kernel removes a device that was pulled out a moment after its last error.
const SETTLE: Duration = Duration::from_secs(2);

/// A device of the run.
struct Device {
    target: TargetDisk,
    plan: usize,
    /// It was plugged in meanwhile.
    taken: bool,
    /// How far it came before it was pulled out.
    reached: Phase,
    state: State,
}

enum State {
    Written,
    /// It failed and may turn out to be gone.
    Settling(Instant, Outcome),
    /// It is gone and waited for.
    Awaited(Instant, Outcome),
    Ended(Outcome),
}

pub(super) struct Foreman<'scope, 'env, 'r> {
    batch: &'env Batch,
    tree: &'env Tree,
    medium: &'env BTreeSet<String>,
    crew: Crew<'scope, 'env>,
    reporter: &'r mut dyn FnMut(Report<'_>) -> bool,
    devices: Vec<Device>,
    /// The disks of the machine as they are now.
    known: BTreeMap<String, Disk>,
    /// Sequence numbers of the disks that were there at the start.
    at_start: BTreeSet<Option<u64>>,
    listens: bool,
    stopped: bool,
    seq: u64,
}

impl<'scope, 'env, 'r> Foreman<'scope, 'env, 'r> {
    pub(super) fn new(
        batch: &'env Batch,
        tree: &'env Tree,
        medium: &'env BTreeSet<String>,
        crew: Crew<'scope, 'env>,
        reporter: &'r mut dyn FnMut(Report<'_>) -> bool,
    ) -> Self {
        Self {
            batch,
            tree,
            medium,
            crew,
            reporter,
            devices: Vec::new(),
            known: BTreeMap::new(),
            at_start: BTreeSet::new(),
            listens: false,
            stopped: false,
            seq: 0,
        }
    }

    /// Hears of devices from now on; `present` are there already.
    #[cfg(target_os = "linux")]
    pub(super) fn listen(&mut self, watch: Watch<'env>, listening: PipeReader, present: Vec<Disk>) {
        self.at_start = present.iter().map(|disk| disk.diskseq).collect();
        self.known = present.into_iter().map(|disk| (disk.name.clone(), disk)).collect();
        self.listens = true;
        self.crew.listen(watch, listening);
    }

    /// Begins with the devices of one plan.
    pub(super) fn begin(&mut self, plan: usize, targets: Vec<Box<Target>>) {
        let write = &self.batch.writes[plan];
        let mut numbered = Vec::new();
        for (target, disk) in targets.into_iter().zip(&write.targets) {
            numbered.push((self.devices.len(), target));
            self.devices.push(device(disk.clone(), plan, false));
        }
        if !numbered.is_empty() {
            self.crew.work(job(write, numbered, write.update));
        }
    }

    /// Takes what is there already, where that is asked for.
    pub(super) fn take_present(&mut self) {
        if self.batch.auto.is_some() {
            self.tell(Report::Ready);
            let present: Vec<Disk> = self.known.values().cloned().collect();
            self.take(&present, false);
        }
    }

    /// Whether nothing more can come.
    pub(super) fn is_done(&self) -> bool {
        let busy = self.devices.iter().any(|device| !matches!(device.state, State::Ended(_)));
        !busy && self.wanted() == 0
    }

    /// Every device, in order.
    pub(super) fn finish(self) -> Vec<Ended> {
        let ended = |device: Device| match device.state {
            State::Ended(outcome) => {
                Some(Ended { target: device.target, plan: device.plan, taken: device.taken, outcome })
            }
            _ => None,
        };
        self.devices.into_iter().filter_map(ended).collect()
    }

    /// Does what follows from a message, and what is due.
    pub(super) fn step(&mut self, message: Option<Message>) {
        match message {
            None => self.tell(Report::Pause),
            Some(Message::Progress(event)) => self.progress(event),
            Some(Message::Ended(number, outcome)) => self.ended(number, outcome),
            #[cfg(target_os = "linux")]
            Some(Message::Changes(changes)) => self.changed(changes),
            #[cfg(target_os = "linux")]
            Some(Message::Deaf(error)) => {
                self.listens = false;
                self.tell(Report::Deaf(&error));
            }
        }
        for number in 0..self.devices.len() {
            self.due(number, Instant::now());
        }
    }

    fn tell(&mut self, report: Report<'_>) {
        if !(self.reporter)(report) && !self.stopped {
            self.stopped = true;
            self.crew.stop();
        }
    }

    fn progress(&mut self, event: Event) {
        // The end is told with what it ended as, and a device that is waited for has not ended.
        if matches!(event.phase, Phase::Complete | Phase::Failed) {
            return;
        }
        let device = &mut self.devices[event.device];
        device.reached = device.reached.max(event.phase);
        let event = Event { seq: self.seq, ..event };
        self.seq += 1;
        self.tell(Report::Progress(event));
    }

    fn ended(&mut self, number: usize, outcome: Outcome) {
        match comeback::may_be_gone(&outcome) {
            true => self.devices[number].state = State::Settling(Instant::now() + SETTLE, outcome),
            false => self.end(number, outcome),
        }
    }

    fn end(&mut self, number: usize, outcome: Outcome) {
        let device = &mut self.devices[number];
        let Device { target, plan, taken, .. } = device;
        let end = Ended { target: target.clone(), plan: *plan, taken: *taken, outcome };
        self.tell(Report::Ended { device: number, end: &end });
        self.devices[number].state = State::Ended(end.outcome);
    }

    /// What time brings to a device.
    fn due(&mut self, number: usize, now: Instant) {
        let device = &mut self.devices[number];
        match std::mem::replace(&mut device.state, State::Written) {
            State::Settling(_, outcome) if comeback::is_gone(self.tree, &device.target) => {
                self.vanished(number, comeback::gone(outcome), now);
            }
            State::Settling(until, outcome) if now >= until => self.end(number, outcome),
            State::Awaited(until, outcome) if now >= until || self.stopped || !self.listens => {
                self.end(number, outcome);
            }
            state => device.state = state,
        }
    }

    fn vanished(&mut self, number: usize, outcome: Outcome, now: Instant) {
        let hardware = self.devices[number].target.hardware.as_ref();
        let known_again = hardware.is_some_and(|hardware| hardware.serial.is_some());
        match self.batch.wait_return {
            Some(seconds) if self.listens && !self.stopped && known_again => {
                self.devices[number].state = State::Awaited(now + Duration::from_secs(seconds), outcome);
                self.tell(Report::Vanished { device: number, seconds });
                // It may have been plugged in again before its last error came.
                self.welcome();
            }
            _ => self.end(number, outcome),
        }
    }

    #[cfg(target_os = "linux")]
    fn changed(&mut self, changes: Vec<Change>) {
        let mut came = Vec::new();
        for change in changes {
            match change {
                Change::Removed { disk } => {
                    self.known.remove(&disk.name);
                }
                Change::Added { disk } | Change::Changed { disk, .. } => {
                    let before = self.known.insert(disk.name.clone(), disk.as_ref().clone());
                    if before.is_none_or(|before| before.diskseq != disk.diskseq) {
                        came.push(*disk);
                    }
                }
                Change::Lost | Change::Rescanned => {}
            }
        }
        self.welcome();
        self.take(&came, true);
    }

    /// Goes on with devices that were waited for.
    fn welcome(&mut self) {
        for number in 0..self.devices.len() {
            if !matches!(self.devices[number].state, State::Awaited(..)) || self.stopped {
                continue;
            }
            let found = comeback::find(&self.devices[number].target, self.known.values()).cloned();
            let Some(disk) = found else { continue };
            match self.resume(number, &disk) {
                Ok(()) => {}
                Err(error) => self.tell(Report::Passed { disk: &disk, why: chain(&error) }),
            }
        }
    }

    fn resume(&mut self, number: usize, disk: &Disk) -> Result<(), Error> {
        let device = &self.devices[number];
        let write = &self.batch.writes[device.plan];
        let (target, _) = select::of_disk(disk.clone(), self.medium, Bytes(1), false)?;
        let opened = open(&target)?;
        // Before that phase nothing was written that could be kept.
        let update = write.update || device.reached >= Phase::Write;
        self.crew.work(job(write, vec![(number, opened)], update));
        self.tell(Report::Returned { device: number, target: &target });
        let device = &mut self.devices[number];
        (device.target, device.state) = (target, State::Written);
        Ok(())
    }

    /// How many sticks are still to be taken.
    fn wanted(&self) -> usize {
        let Some(auto) = self.batch.auto.as_ref().filter(|_auto| self.listens && !self.stopped) else {
            return 0;
        };
        let failed = |device: &Device| {
            matches!(device.state, State::Ended(Outcome::NotBootable(_) | Outcome::Untouched(_)))
        };
        let good = self.devices.iter().filter(|device| device.taken && !failed(device)).count();
        usize::try_from(auto.count).unwrap_or(usize::MAX).saturating_sub(good)
    }

    /// Takes those of the disks that may be taken. They come at the same time, so one engine writes them.
    fn take(&mut self, disks: &[Disk], new: bool) {
        let Some(auto) = &self.batch.auto else { return };
        let plan = &self.batch.writes[0];
        let mut job_targets = Vec::new();
        for disk in disks {
            if self.wanted() == 0 {
                break;
            }
            match self.hold(auto, disk) {
                Ok((target, opened)) => {
                    let number = self.devices.len();
                    self.devices.push(device(target.clone(), 0, true));
                    job_targets.push((number, opened));
                    self.tell(Report::Taken { device: number, target: &target });
                }
                Err(why) if new => self.tell(Report::Passed { disk, why }),
                Err(_there_before) => {}
            }
        }
        if !job_targets.is_empty() {
            self.crew.work(job(plan, job_targets, false));
        }
    }

    /// Opens a stick that may be taken, and looks on the descriptor whether it is blank.
    fn hold(&self, auto: &Auto, disk: &Disk) -> Result<(TargetDisk, Box<Target>), String> {
        let same = |device: &&Device| device.target.identity.diskseq == disk.diskseq;
        let hardware = |device: &Device| device.target.hardware.as_ref().map(|one| one.name.clone());
        if self.devices.iter().filter(same).any(|device| hardware(device).as_ref() == Some(&disk.name)) {
            return Err("it is written already".into());
        }
        let was_there = self.at_start.contains(&disk.diskseq);
        auto.judge(disk, was_there, self.medium).map_err(|pass| pass.to_string())?;
        let target = TargetDisk::of_disk(disk);
        Fit::of(&self.batch.writes[0].image)
            .and_then(|fit| fit.check(&target))
            .map_err(|error| chain(&error))?;
        let opened = open(&target).map_err(|error| chain(&error))?;
        match find_content(opened.as_ref()) {
            Ok(None) => Ok((target, opened)),
            Ok(Some(offset)) => {
                Err(Pass::NotBlank(format!("there is something at byte {offset}")).to_string())
            }
            Err(error) => Err(chain(&error)),
        }
    }
}

fn device(target: TargetDisk, plan: usize, taken: bool) -> Device {
    Device { target, plan, taken, reached: Phase::Check, state: State::Written }
}

/// An error with its causes, as a clause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
