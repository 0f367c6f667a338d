//! Carries out commands: one channel of events in, one face out.

mod devices;
mod faces;

use std::{
    collections::BTreeSet,
    iter,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use aegis_core::report::{Hint, exit, render};
use aegis_hw::{Lock, Tree};

pub use self::faces::{FullScreen, Lines};
use super::{
    screen::Answer,
    state::{Command, Event, State, update},
    world::World,
};
use crate::{
    error::Error,
    flash::{
        self, Batch, FlashPlan, Report,
        image::{Authority, ImageFile},
        plan::Wishes,
        ranges::{self, Wanted},
        receipt::{self, Destination, Receipts},
        session::Session,
    },
    inhibit,
    tui::screen::Failure,
};

/// What a session works with.
pub struct Setting {
    /// The machine.
    pub tree: Tree,
    /// Disks that the running system came from.
    pub medium: BTreeSet<String>,
    /// Devices and files that were named. They are shown too; none of them is chosen by that.
    pub named: Vec<PathBuf>,
    /// The image, when it was named.
    pub image: Option<ImageFile>,
    /// What says what an image must be that is named later.
    pub authority: Authority,
    /// And what else is known of such an image.
    pub wanted: Wanted,
    /// How devices are written.
    pub wishes: Wishes,
    /// Seconds for which a device that was pulled out is waited for.
    pub wait_return: Option<u64>,
    /// Where a receipt of each device goes.
    pub receipts: Option<Destination>,
    /// New file for the session, which then repeats it.
    pub save_answers: Option<PathBuf>,
    /// Lock of the one program that writes.
    pub lock: PathBuf,
}

/// What comes in.
#[derive(Debug)]
pub enum Input {
    /// An event.
    Event(Event),
    /// A line that was typed; the face knows what it means.
    Line(String),
}

/// A way to show states and to be answered.
pub trait Face {
    /// Begins to listen.
    fn listen(&self, sender: Sender<Input>) -> Result<(), Error>;
    /// Shows a state.
    fn show(&mut self, state: &State) -> Result<(), Error>;
    /// Shows everything the next time.
    fn forget(&mut self) -> Result<(), Error>;
    /// What a line means.
    fn answers(&mut self, state: &State, line: &str) -> Vec<Answer>;
}

/// Progress is shown this often at most: a serial line takes a second for a screen.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Holds a session until a person ends it. Returns the exit code.
///
/// # Errors
/// When a device that was named cannot be used at all, or the terminal fails.
pub fn run(setting: Setting, face: &mut dyn Face) -> Result<u8, Error> {
    let world = World { images: devices::images(), devices: Vec::new() };
    let mut state = State::new(world, setting.image.clone());
    state.world.devices = devices::read(&setting, state.needed())?;
    let (sender, receiver) = mpsc::channel();
    face.listen(sender.clone())?;
    let (save, setting) = (setting.save_answers.clone(), Arc::new(setting));
    let (watched, told) = (setting.clone(), sender.clone());
    thread::spawn(move || watch(&watched, || told.send(Input::Event(Event::Hotplug)).is_ok()));
    Runner { setting, save, sender, stop: Arc::default(), face }.run(state, &receiver)
}

/// Tells when the devices may have changed, as long as somebody wants to know.
#[cfg(target_os = "linux")]
fn watch(setting: &Setting, tell: impl Fn() -> bool) {
    crate::tui::run::watch_disks(&setting.tree, tell);
}

/// Where the system does not tell, the devices are looked at again.
#[cfg(not(target_os = "linux"))]
fn watch(_setting: &Setting, tell: impl Fn() -> bool) {
    while tell() {
        thread::sleep(Duration::from_secs(2));
    }
}

/// What a receipt means to the person.
fn filed(written: receipt::Written) -> Event {
    Event::Receipt(match written {
        Ok((path, label)) => Ok(format!("receipt {}\n{label}", path.display())),
        Err(error) => Err(render(&error)),
    })
}

/// What a report means to the person.
fn heard(report: Report<'_>) -> Option<Event> {
    match report {
        Report::Progress(event) => Some(Event::Progress(event)),
        Report::Ended { device, end } => Some(Event::Ended { device, phase: end.outcome.phase() }),
        Report::Vanished { device, seconds } => Some(Event::Vanished { device, seconds }),
        Report::Returned { device, .. } => Some(Event::Returned { device }),
        Report::Deaf(error) => Some(Event::Notice(render(error))),
        Report::Ready | Report::Taken { .. } | Report::Passed { .. } | Report::Pause => None,
    }
}

struct Runner<'a> {
    setting: Arc<Setting>,
    /// Where the session is saved.
    save: Option<PathBuf>,
    sender: Sender<Input>,
    stop: Arc<AtomicBool>,
    face: &'a mut dyn Face,
}

impl Runner<'_> {
    fn run(mut self, mut state: State, receiver: &Receiver<Input>) -> Result<u8, Error> {
        let mut shown = Instant::now();
        self.face.show(&state)?;
        while let Ok(first) = receiver.recv() {
            let mut urgent = false;
            // What commands lead to at once is shown together with what led to them.
            for input in iter::once(first).chain(receiver.try_iter()) {
                let events = match input {
                    Input::Event(event) => vec![event],
                    Input::Line(line) => {
                        self.face.answers(&state, &line).into_iter().map(Event::Answer).collect()
                    }
                };
                urgent |= !matches!(events[..], [Event::Progress(_)]);
                for event in events {
                    let (next, commands) = update(state, event);
                    state = next;
                    for command in commands {
                        if let Some(code) = self.carry_out(command)? {
                            return Ok(code);
                        }
                    }
                }
            }
            if urgent || shown.elapsed() >= PROGRESS_INTERVAL {
                self.face.show(&state)?;
                shown = Instant::now();
            }
        }
        Ok(exit::FAILED)
    }

    fn carry_out(&mut self, command: Command) -> Result<Option<u8>, Error> {
        match command {
            Command::Look(path) => {
                let setting = &self.setting;
                let looked = ImageFile::look(&path, &setting.authority)
                    .and_then(|image| ranges::find(image, &setting.wanted));
                self.send(Event::Looked(looked.map(Box::new).map_err(|error| render(&error))));
            }
            Command::ReadDevices(needed) => self.send(match devices::read(&self.setting, needed) {
                Ok(devices) => Event::Devices(devices),
                Err(error) => Event::Notice(render(&error)),
            }),
            Command::Plan(image, devices) => {
                let Setting { tree, medium, wishes, .. } = &*self.setting;
                let plan = FlashPlan::new(tree, *image, &devices, medium, *wishes);
                self.send(Event::Planned(plan.map(Box::new).map_err(|error| render(&error))));
            }
            Command::Write(plan) => self.write(plan),
            Command::Stop => self.stop.store(true, Ordering::Relaxed),
            Command::Redraw => self.face.forget()?,
            Command::Leave(code) => return Ok(Some(code)),
        }
        Ok(None)
    }

    fn send(&self, event: Event) {
        // The receiver lives as long as this runner.
        let _ = self.sender.send(Input::Event(event));
    }

    /// Carries out the plan in a thread of its own.
    fn write(&mut self, plan: Box<FlashPlan>) {
        // What is written afterwards is another session.
        let save = self.save.take();
        let (setting, sender, stop) = (self.setting.clone(), self.sender.clone(), self.stop.clone());
        stop.store(false, Ordering::Relaxed);
        thread::spawn(move || {
            let send = |event| {
                // The receiver lives until the program ends.
                let _ = sender.send(Input::Event(event));
            };
            let work = || {
                let batch = Batch::new(vec![*plan.clone()], None, setting.wait_return)?;
                if let Some(file) = &save {
                    let authorities = [setting.authority.clone()];
                    let session = Session::of(&batch, &authorities, setting.wishes.unmount);
                    session.with(&setting.wanted).with_receipts(setting.receipts.clone()).save(file)?;
                }
                let mut receipts = setting.receipts.as_ref().map(Receipts::open).transpose()?;
                let _lock = Lock::take(&setting.lock)?;
                let _awake = inhibit::hold("sticks are being written").inspect_err(|reason| {
                    send(Event::Notice(format!("The machine may go to sleep meanwhile: {reason}.")));
                });
                let mut observer = |report: Report<'_>| {
                    let written = receipts.as_mut().and_then(|receipts| receipts.follow(&batch, &report));
                    written.into_iter().for_each(|(_, written)| send(filed(written)));
                    heard(report).into_iter().for_each(&send);
                    !stop.load(Ordering::Relaxed)
                };
                let ended = flash::run_batch(&batch, &setting.tree, &setting.medium, &mut observer)?;
                Ok(ended.into_iter().map(|end| end.outcome).collect())
            };
            let result =
                work().map_err(|error: Error| Failure { text: render(&error), code: error.exit_code() });
            send(Event::Finished(result));
        });
    }
}
