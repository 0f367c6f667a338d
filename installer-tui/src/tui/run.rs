//! Carries out commands: one channel of events in, one drawing out.

use std::{
    path::PathBuf,
    process::{Command as Program, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use aegis_core::report::{Hint, render};
use aegis_hw::{Lock, Tree, inventory, uevents::RECEIVE_BUFFER, watch::Watch};

use crate::{
    answers::Answers,
    apply::{self, Context},
    cli,
    error::Error,
    graphics, inhibit,
    live::Afterwards,
    password,
    plan::{self, InstallPlan, TargetDisk},
    select,
    source::Source,
    tui::{
        draw,
        screen::Failure,
        state::{Command, Event, State, update},
        terminal::{self, Input, Screens},
        theme::{Environment, Theme},
        world::{Candidate, World},
    },
};

/// What the screens work with.
pub struct Setting {
    /// Medium and image.
    pub source: Source,
    /// The machine.
    pub tree: Tree,
    /// Directory for temporary files.
    pub staging: PathBuf,
    /// Where the undo file is put.
    pub undo: PathBuf,
    /// Lock of the one installer that writes.
    pub lock: PathBuf,
    /// Columns and rows in place of what the terminal says.
    pub size: Option<(u16, u16)>,
    /// The machine can be restarted from here.
    pub live: bool,
}

/// How the screens ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// What is to follow.
    pub afterwards: Option<Afterwards>,
    /// Exit code.
    pub code: u8,
}

/// Progress is drawn this often at most: a serial line takes a second for a screen.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Shows the screens until a person leaves them.
pub fn run(setting: Setting) -> Result<Left, Error> {
    let mut world = World::of(&setting.source);
    world.disks = candidates(&setting.source, &setting.tree)?;
    world.interfaces = interfaces(&setting.tree);
    world.live = setting.live;
    let theme = Theme::choose(&Environment::read(), &world.colour);
    let screens = Screens::open(setting.size)?;
    let (sender, receiver) = mpsc::channel();
    read_terminal(sender.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let setting = Arc::new(setting);
    let (watched, tell) = (Arc::clone(&setting), sender.clone());
    thread::spawn(move || watch_disks(&watched.tree, || tell.send(Event::Hotplug).is_ok()));
    let runner = Runner { setting, sender, stop, screens };
    runner.run(State::new(world), theme, &receiver)
}

fn read_terminal(sender: Sender<Event>) {
    terminal::listen(move |input| {
        let event = match input {
            Input::Key(key) => Event::Key(key),
            Input::Resized => Event::Resized,
            Input::Closed => Event::Closed,
        };
        sender.send(event).is_ok()
    });
}

/// Tells of disks that come, go and change, as long as `tell` says that somebody wants to know. Returns at once where the
/// machine does not say; F5 reads the disks again then.
pub(crate) fn watch_disks(tree: &Tree, tell: impl Fn() -> bool) {
    if tree.is_recorded() {
        return;
    }
    let Ok(mut watch) = Watch::open(tree, RECEIVE_BUFFER) else { return };
    while let Ok(Some(_changes)) = watch.wait(&[]) {
        if !tell() {
            return;
        }
    }
}

struct Runner {
    setting: Arc<Setting>,
    sender: Sender<Event>,
    stop: Arc<AtomicBool>,
    screens: Screens,
}

impl Runner {
    fn run(mut self, mut state: State, theme: Theme, receiver: &Receiver<Event>) -> Result<Left, Error> {
        let mut drawn = Instant::now();
        self.screens.draw(|frame| draw::draw(&state, theme, frame))?;
        while let Ok(event) = receiver.recv() {
            let progress = matches!(event, Event::Progress(crate::progress::Event::Advance { .. }));
            let (next, commands) = update(state, event);
            state = next;
            for command in commands {
                if let Some(left) = self.carry_out(command)? {
                    return Ok(left);
                }
            }
            if !progress || drawn.elapsed() >= PROGRESS_INTERVAL {
                self.screens.draw(|frame| draw::draw(&state, theme, frame))?;
                drawn = Instant::now();
            }
        }
        Ok(Left { afterwards: None, code: aegis_core::report::exit::FAILED })
    }

    fn carry_out(&mut self, command: Command) -> Result<Option<Left>, Error> {
        match command {
            Command::ReadDisks => {
                self.answer(candidates(&self.setting.source, &self.setting.tree).map(Event::Disks))
            }
            Command::UseKeyboard(layout) => use_keyboard(&layout),
            Command::Hash(secret) => {
                let hash = password::random().and_then(|salt| password::hash(&secret, salt));
                self.answer(hash.map(Event::Hashed));
            }
            Command::Plan(answers, target) => {
                let plan = make_plan(&self.setting, &answers, target);
                self.send(Event::Planned(plan.map(Box::new).map_err(|error| render(&error))));
            }
            Command::Apply(plan) => self.apply(plan),
            Command::Stop => self.stop.store(true, Ordering::Relaxed),
            Command::Redraw => self.screens.forget()?,
            Command::Leave { afterwards, code } => return Ok(Some(Left { afterwards, code })),
        }
        Ok(None)
    }

    fn send(&self, event: Event) {
        // The receiver lives as long as this runner.
        let _ = self.sender.send(event);
    }

    fn answer(&self, result: Result<Event, Error>) {
        self.send(result.unwrap_or_else(|error| Event::Notice(render(&error))));
    }

    /// Applies the plan in a thread of its own.
    fn apply(&self, plan: Box<InstallPlan>) {
        let (setting, sender, stop) = (self.setting.clone(), self.sender.clone(), self.stop.clone());
        stop.store(false, Ordering::Relaxed);
        thread::spawn(move || {
            let progress = sender.clone();
            let mut observer = move |event| {
                let _ = progress.send(Event::Progress(event));
                !stop.load(Ordering::Relaxed)
            };
            let mut work = || {
                let _lock = Lock::take(&setting.lock)?;
                let Setting { source, staging, undo, .. } = &*setting;
                let context = Context { source, staging, undo };
                // The screens are full; that the machine may sleep is no reason to stop.
                let _awake = inhibit::hold("a system is being installed");
                apply::apply(&plan, context, &mut observer)
            };
            let result =
                work().map_err(|error: Error| Failure { text: render(&error), code: error.exit_code() });
            let _ = sender.send(Event::Finished(result));
        });
    }
}

fn make_plan(setting: &Setting, answers: &Answers, target: TargetDisk) -> Result<InstallPlan, Error> {
    let problems = answers.problems();
    if !problems.is_empty() {
        return Err(Error::Answers(problems));
    }
    let source = &setting.source;
    select::check_edition(answers, source)?;
    let graphics = graphics::of_machine(&setting.tree, &source.edition.packages);
    plan::plan(source, answers, target, &cli::seed()?, graphics)
}

fn candidates(source: &Source, tree: &Tree) -> Result<Vec<Candidate>, Error> {
    let medium = select::medium_disks(tree, &source.paths.state)?;
    let needed = select::needed(source);
    let disks = inventory::disks(tree)?;
    Ok(disks.iter().map(|disk| Candidate::new(disk, &disk.refusals(&medium, needed))).collect())
}

/// Interfaces with a device behind them, which leaves out the loop-back interface and bridges.
fn interfaces(tree: &Tree) -> Vec<String> {
    let mut names = tree.list("/sys/class/net").unwrap_or_default();
    names.retain(|name| tree.exists(&format!("/sys/class/net/{name}/device")));
    names
}

/// Changes the keys of a Linux console. On another terminal, and where kbd lacks the layout, they stay as they are.
fn use_keyboard(layout: &str) {
    let mut program = Program::new("loadkeys");
    program.args(["-q", layout]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = program.status();
}
