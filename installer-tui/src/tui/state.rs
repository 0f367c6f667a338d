//! State, events and commands; [`update`] is pure.

use aegis_core::report::exit;

use crate::{
    answers::Answers,
    password::Secret,
    plan::{InstallPlan, TargetDisk},
    progress,
    tui::{
        keys::Key,
        screen::{
            Afterwards, Choose, Consent, DiskChoice, Done, Failure, FormKind, FormScreen, Go, Place, Review,
            Screen, Work,
        },
        world::{Candidate, World},
    },
};

/// Everything that the screens know.
#[derive(Clone, Debug)]
pub struct State {
    /// What there is to choose from.
    pub world: World,
    /// What was answered.
    pub answers: Answers,
    /// The chosen disk.
    pub disk: Option<TargetDisk>,
    /// The screen.
    pub screen: Screen,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// A line for the person, until the next key.
    pub notice: Option<String>,
    /// The terminal is gone: the program ends as soon as no disk is being written.
    pub closed: bool,
}

/// What lies over a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Explains the screen.
    Help {
        /// First line that is shown.
        scroll: usize,
    },
    /// Asks whether to leave; the first choice stays.
    Leave {
        /// Index of the marked choice.
        at: usize,
    },
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key.
    Key(Key),
    /// The terminal has another size.
    Resized,
    /// Disks came, went or changed.
    Hotplug,
    /// The disks were read.
    Disks(Vec<Candidate>),
    /// The password was hashed.
    Hashed(String),
    /// The plan was made.
    Planned(Result<Box<InstallPlan>, String>),
    /// The installation went on.
    Progress(progress::Event),
    /// The installation ended.
    Finished(Result<(), Failure>),
    /// Something did not work; the person reads it.
    Notice(String),
    /// The terminal is gone.
    Closed,
}

/// Something to do outside.
#[derive(Debug)]
pub enum Command {
    /// Read the disks again.
    ReadDisks,
    /// Use this keyboard from now on.
    UseKeyboard(String),
    /// Hash a password.
    Hash(Secret),
    /// Make the plan.
    Plan(Box<Answers>, TargetDisk),
    /// Apply the plan.
    Apply(Box<InstallPlan>),
    /// Stop the installation at the next place where that is possible.
    Stop,
    /// Paint the whole screen.
    Redraw,
    /// End the program, and then this.
    Leave {
        /// What follows.
        afterwards: Option<Afterwards>,
        /// Exit code.
        code: u8,
    },
}

impl State {
    /// The first screen.
    pub fn new(world: World) -> Self {
        let answers = Answers::default();
        let screen = Screen::Choose(Choose::language(&world, &answers));
        Self { world, answers, disk: None, screen, overlay: None, notice: None, closed: false }
    }

    /// Choices of the question whether to leave: stay, then ways out.
    pub fn leave_choices(&self) -> Vec<(Option<Option<Afterwards>>, &'static str)> {
        if matches!(self.screen, Screen::Work(_)) {
            return vec![(None, "Go on installing"), (Some(None), "Stop the installation")];
        }
        let ways = Done::new(Ok(String::new()), self.world.live).choices;
        let stay = [(None, "Stay here")];
        stay.into_iter().chain(ways.into_iter().map(|(after, name)| (Some(after), name))).collect()
    }
}

/// The state after an event, and what is to be done outside.
pub fn update(mut state: State, event: Event) -> (State, Vec<Command>) {
    let mut commands = Vec::new();
    match event {
        Event::Key(Key::Redraw) => commands.push(Command::Redraw),
        Event::Key(key) => {
            state.notice = None;
            on_key(&mut state, key, &mut commands);
        }
        Event::Resized => commands.push(Command::Redraw),
        // Elsewhere nothing shows them, and they are read when the screen is entered.
        Event::Hotplug if matches!(state.screen, Screen::Disk(_)) => commands.push(Command::ReadDisks),
        Event::Hotplug => {}
        Event::Disks(disks) => on_disks(&mut state, disks),
        Event::Hashed(hash) => state.answers.user.password_hash = Some(hash),
        Event::Planned(result) => on_plan(&mut state, result),
        Event::Progress(event) => {
            if let Screen::Work(work) = &mut state.screen {
                work.report(event);
            }
        }
        Event::Finished(result) => on_end(&mut state, result),
        Event::Notice(text) => state.notice = Some(text),
        Event::Closed => state.closed = true,
    }
    if state.closed && !matches!(state.screen, Screen::Work(_)) {
        commands.push(Command::Leave { afterwards: None, code: exit_code(&state.screen) });
    }
    (state, commands)
}

/// Leaving before anything was installed is a failure for whoever started the program.
fn exit_code(screen: &Screen) -> u8 {
    match screen {
        Screen::Done(Done { result: Ok(_), .. }) => exit::OK,
        Screen::Done(Done { result: Err(failure), .. }) => failure.code,
        _ => exit::FAILED,
    }
}

fn on_disks(state: &mut State, disks: Vec<Candidate>) {
    let before = std::mem::replace(&mut state.world.disks, disks);
    if let Screen::Disk(screen) = &mut state.screen {
        screen.disks_changed(&before, &state.world.disks);
    }
}

fn on_plan(state: &mut State, result: Result<Box<InstallPlan>, String>) {
    if !matches!(state.screen, Screen::Planning) {
        return;
    }
    match result {
        Ok(plan) => state.screen = Screen::Review(Review::new(plan)),
        Err(text) => {
            state.notice = Some(text);
            go_to(state, Place::Network, &mut Vec::new());
        }
    }
}

fn on_end(state: &mut State, result: Result<(), Failure>) {
    if let Screen::Work(work) = &state.screen {
        let result = result.map(|()| work.plan.target.description.clone());
        state.overlay = None;
        state.screen = Screen::Done(Done::new(result, state.world.live));
    }
}

fn on_key(state: &mut State, key: Key, commands: &mut Vec<Command>) {
    if state.overlay.is_some() {
        return on_overlay_key(state, key, commands);
    }
    match (key, &mut state.screen) {
        (Key::Interrupt, _) => state.overlay = Some(Overlay::Leave { at: 0 }),
        (Key::Help, _) => state.overlay = Some(Overlay::Help { scroll: 0 }),
        // A list is narrowed by typing, but no line has a question mark.
        (Key::Char('?'), screen) if !matches!(screen, Screen::Form(_) | Screen::Consent(_)) => {
            state.overlay = Some(Overlay::Help { scroll: 0 });
        }
        (Key::Refresh, Screen::Disk(_)) => commands.push(Command::ReadDisks),
        (Key::Esc, Screen::Work(_)) => state.overlay = Some(Overlay::Leave { at: 0 }),
        (_, Screen::Work(_) | Screen::Planning) => {}
        (key, Screen::Done(done)) => {
            let choice = done.key(key);
            let code = exit_code(&state.screen);
            commands.extend(choice.map(|afterwards| Command::Leave { afterwards, code }));
        }
        (key, _) => on_screen_key(state, key, commands),
    }
}

fn on_screen_key(state: &mut State, key: Key, commands: &mut Vec<Command>) {
    let State { world, answers, disk, screen, .. } = state;
    let place = screen.place();
    let go = match screen {
        Screen::Choose(choose) => choose.key(key, answers),
        Screen::Form(form) => {
            let (go, secret) = form.key(key, answers);
            commands.extend(secret.map(Command::Hash));
            go
        }
        Screen::Disk(choice) => choice.key(key, world, disk),
        Screen::Review(review) => review.key(key),
        Screen::Consent(consent) => consent.key(key),
        Screen::Planning | Screen::Work(_) | Screen::Done(_) => Go::Stay,
    };
    match go {
        Go::Stay => {}
        Go::Back => back(state, place, commands),
        Go::Next => next(state, place, commands),
    }
}

fn back(state: &mut State, place: Place, commands: &mut Vec<Command>) {
    if let Screen::Consent(consent) = &state.screen {
        state.screen = Screen::Review(Review::new(consent.plan.clone()));
        return;
    }
    let index = Place::ASKED.iter().position(|p| *p == place).unwrap_or(0);
    match index.checked_sub(1) {
        Some(index) => go_to(state, Place::ASKED[index], commands),
        None => state.overlay = Some(Overlay::Leave { at: 0 }),
    }
}

fn next(state: &mut State, place: Place, commands: &mut Vec<Command>) {
    match &state.screen {
        Screen::Review(review) => {
            state.screen = Screen::Consent(Consent::new(review.plan.clone()));
            return;
        }
        Screen::Consent(consent) => {
            let plan = consent.plan.clone();
            commands.push(Command::Apply(plan.clone()));
            state.screen = Screen::Work(Work::new(plan));
            return;
        }
        _ => {}
    }
    if place == Place::Keyboard {
        commands.push(Command::UseKeyboard(state.answers.keyboard.layout.clone()));
    }
    let index = Place::ASKED.iter().position(|p| *p == place).unwrap_or(0);
    go_to(state, Place::ASKED.get(index + 1).copied().unwrap_or(Place::Summary), commands);
}

fn go_to(state: &mut State, place: Place, commands: &mut Vec<Command>) {
    let State { world, answers, disk, .. } = state;
    let form = |kind| Screen::Form(FormScreen::new(kind, world, answers));
    state.screen = match place {
        Place::Language => Screen::Choose(Choose::language(world, answers)),
        Place::Keyboard => Screen::Choose(Choose::keyboard(world, answers)),
        Place::Zone => Screen::Choose(Choose::zone(world, answers)),
        Place::Edition => form(FormKind::Edition),
        Place::User => form(FormKind::User),
        Place::Host => form(FormKind::Host),
        Place::Network => form(FormKind::Network),
        Place::Disk => {
            commands.push(Command::ReadDisks);
            Screen::Disk(DiskChoice::default())
        }
        Place::Summary | Place::Work | Place::Done => match disk {
            Some(disk) => {
                commands.push(Command::Plan(Box::new(answers.clone()), disk.clone()));
                Screen::Planning
            }
            None => Screen::Disk(DiskChoice::default()),
        },
    };
}

fn on_overlay_key(state: &mut State, key: Key, commands: &mut Vec<Command>) {
    let choices = state.leave_choices();
    let working = matches!(state.screen, Screen::Work(_));
    match (&mut state.overlay, key) {
        (_, Key::Esc | Key::Interrupt) => state.overlay = None,
        (Some(Overlay::Help { scroll }), Key::Down) => *scroll += 1,
        (Some(Overlay::Help { scroll }), Key::Up) => *scroll = scroll.saturating_sub(1),
        (Some(Overlay::Help { .. }), _) => state.overlay = None,
        (Some(Overlay::Leave { at }), Key::Up | Key::BackTab) => *at = at.saturating_sub(1),
        (Some(Overlay::Leave { at }), Key::Down | Key::Tab) => *at = (*at + 1).min(choices.len() - 1),
        (Some(Overlay::Leave { at }), Key::Enter) => {
            let choice = choices.get(*at).and_then(|(choice, _)| *choice);
            state.overlay = None;
            match choice {
                None => {}
                Some(_) if working => {
                    if let Screen::Work(work) = &mut state.screen {
                        work.stopping = true;
                    }
                    commands.push(Command::Stop);
                }
                Some(afterwards) => {
                    let code = exit_code(&state.screen);
                    commands.push(Command::Leave { afterwards, code });
                }
            }
        }
        _ => {}
    }
}
