//! State, events and commands of a session; [`update`] is pure.

use std::{mem, path::PathBuf, sync::Arc};

use aegis_core::report::exit;
use aegis_hw::Bytes;

use super::{
    screen::{Answer, Confirm, DevicesScreen, Done, ImageScreen, Review, Row, Screen, Work},
    world::{Device, World},
};
use crate::{
    flash::{Event as Progress, FlashPlan, Image, Outcome, Phase, image::ImageFile},
    plan::TargetDisk,
    tui::{keys::Key, screen::Failure, state::Overlay},
};

/// Everything that a session knows.
#[derive(Clone, Debug)]
pub struct State {
    /// What there is to choose from.
    pub world: World,
    /// The chosen image.
    pub image: Option<ImageFile>,
    /// The chosen devices, as they were when they were chosen.
    pub chosen: Vec<Device>,
    /// The screen.
    pub screen: Screen,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// Something for the person, until the next key.
    pub notice: Option<String>,
    /// The terminal is gone: the program ends as soon as no device is being written.
    pub closed: bool,
    /// The worst exit code of what was written before.
    earlier: u8,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key.
    Key(Key),
    /// An answer, from a face without keys.
    Answer(Answer),
    /// The terminal has another size.
    Resized,
    /// Devices came, went or changed.
    Hotplug,
    /// The devices were read.
    Devices(Vec<Device>),
    /// The image was looked at.
    Looked(Result<Box<ImageFile>, String>),
    /// The plan was made.
    Planned(Result<Box<FlashPlan>, String>),
    /// The writing went on.
    Progress(Progress),
    /// A device ended.
    Ended {
        /// Its number in the plan.
        device: usize,
        /// Whether it is complete or failed.
        phase: Phase,
    },
    /// A device was pulled out, and is waited for.
    Vanished {
        /// Its number in the plan.
        device: usize,
        /// For so long.
        seconds: u64,
    },
    /// A device that was pulled out is there again.
    Returned {
        /// Its number in the plan.
        device: usize,
    },
    /// The receipt of a device: where it is and its label, or why there is none.
    Receipt(Result<String, String>),
    /// The writing ended.
    Finished(Result<Vec<Outcome>, Failure>),
    /// Something did not work; the person reads it.
    Notice(String),
    /// The terminal is gone.
    Closed,
}

/// Something to do outside.
#[derive(Debug)]
pub enum Command {
    /// Look at this file, and find out what it must be.
    Look(PathBuf),
    /// Read the devices. Those that have fewer bytes than this are too small.
    ReadDevices(Bytes),
    /// Make the plan.
    Plan(Box<ImageFile>, Vec<PathBuf>),
    /// Carry out the plan.
    Write(Box<FlashPlan>),
    /// Stop writing.
    Stop,
    /// Paint the whole screen.
    Redraw,
    /// End the program with this exit code.
    Leave(u8),
}

impl State {
    /// The first screen: the image, or the devices where the image is known.
    pub fn new(world: World, image: Option<ImageFile>) -> Self {
        let screen = match image {
            None => Screen::Image(ImageScreen::new(&world.images)),
            Some(_) => Screen::Devices(DevicesScreen::default()),
        };
        let (chosen, overlay, notice) = (Vec::new(), None, None);
        Self { world, image, chosen, screen, overlay, notice, closed: false, earlier: exit::OK }
    }

    /// Bytes that a device needs.
    pub fn needed(&self) -> Bytes {
        Bytes(self.image.as_ref().and_then(Image::length).unwrap_or(1))
    }

    /// Whether a device of the list is chosen.
    pub fn is_chosen(&self, device: &Device) -> bool {
        self.chosen.iter().any(|chosen| chosen.target() == device.target())
    }

    /// The question whether to leave: title, text, and the answers, of which the first one stays.
    pub fn leave_question(&self) -> (&'static str, String, [&'static str; 2]) {
        match &self.screen {
            Screen::Work(work) => {
                ("Stop?", work.consequences(), ["Go on writing", "Stop writing all devices"])
            }
            Screen::Done(_) => ("Leave?", "The writing has ended.".into(), ["Stay here", "Leave"]),
            _ => ("Leave?", "Nothing has been written to a device.".into(), ["Stay here", "Leave"]),
        }
    }

    /// Leaving before anything was written is a failure for whoever started the program.
    fn exit_code(&self) -> u8 {
        match &self.screen {
            Screen::Done(done) => self.earlier.max(done.code()),
            _ => self.earlier.max(exit::FAILED),
        }
    }
}

/// The state after an event, and what is to be done outside.
pub fn update(mut state: State, event: Event) -> (State, Vec<Command>) {
    let mut commands = Vec::new();
    match event {
        Event::Key(Key::Redraw) | Event::Resized => commands.push(Command::Redraw),
        Event::Key(key) => {
            state.notice = None;
            let answer = on_key(&mut state, key, &mut commands);
            if let Some(answer) = answer {
                on_answer(&mut state, answer, &mut commands);
            }
        }
        Event::Answer(answer) => {
            state.notice = None;
            on_answer(&mut state, answer, &mut commands);
        }
        Event::Hotplug if !matches!(state.screen, Screen::Work(_)) => {
            commands.push(Command::ReadDevices(state.needed()));
        }
        Event::Hotplug => {}
        Event::Devices(devices) => on_devices(&mut state, devices),
        Event::Looked(result) => on_image(&mut state, result, &mut commands),
        Event::Planned(result) => on_plan(&mut state, result, &mut commands),
        Event::Progress(event) => {
            if let Screen::Work(work) = &mut state.screen {
                work.report(&event);
            }
        }
        Event::Ended { device, phase } => on_row(&mut state, device, |row| row.end(phase)),
        Event::Vanished { device, seconds } => on_row(&mut state, device, |row| row.awaited = Some(seconds)),
        Event::Returned { device } => on_row(&mut state, device, |row| row.awaited = None),
        Event::Receipt(receipt) => {
            if let Screen::Work(work) = &mut state.screen {
                work.receipts.push(receipt);
            }
        }
        Event::Finished(result) => on_end(&mut state, result),
        Event::Notice(text) => state.notice = Some(text),
        Event::Closed => state.closed = true,
    }
    if state.closed && !matches!(state.screen, Screen::Work(_)) {
        commands.push(Command::Leave(state.exit_code()));
    }
    (state, commands)
}

fn on_devices(state: &mut State, devices: Vec<Device>) {
    let before = mem::replace(&mut state.world.devices, devices);
    let State { world, chosen, screen, .. } = state;
    if matches!(screen, Screen::Work(_) | Screen::Done(_)) {
        return;
    }
    let mut lost = Vec::new();
    chosen.retain(|device| {
        let now = world.devices.iter().find(|now| now.target().path == device.target().path);
        let why = match now {
            None => "was unplugged",
            Some(now) if !device.is_unchanged(now) => "has changed",
            Some(now) if !now.usable() => "is in use now",
            Some(_) => return true,
        };
        lost.push(format!("{} {why} and is no longer chosen.", device.name()));
        false
    });
    if let Screen::Devices(list) = screen {
        list.devices_changed(&before, &world.devices);
    }
    if !lost.is_empty() {
        back_to_devices(state, lost.join("\n"));
    }
}

/// What was asked or planned since the choice no longer holds.
fn back_to_devices(state: &mut State, notice: String) {
    if !matches!(state.screen, Screen::Image(_) | Screen::Devices(_)) {
        state.screen = Screen::Devices(DevicesScreen::default());
        state.overlay = None;
    }
    state.notice = Some(notice);
}

fn on_image(state: &mut State, result: Result<Box<ImageFile>, String>, commands: &mut Vec<Command>) {
    if !matches!(state.screen, Screen::Image(_)) {
        return;
    }
    match result {
        Ok(image) => {
            state.image = Some(*image);
            show_devices(state, commands);
        }
        Err(text) => state.notice = Some(text),
    }
}

fn show_devices(state: &mut State, commands: &mut Vec<Command>) {
    state.screen = Screen::Devices(DevicesScreen::default());
    commands.push(Command::ReadDevices(state.needed()));
}

fn on_plan(state: &mut State, result: Result<Box<FlashPlan>, String>, commands: &mut Vec<Command>) {
    if !matches!(state.screen, Screen::Planning) {
        return;
    }
    match result {
        Ok(plan) if plan.targets.iter().eq(state.chosen.iter().map(Device::target)) => {
            state.screen = Screen::Review(Review::new(plan));
        }
        Ok(_) => {
            show_devices(state, commands);
            state.notice = Some("A device has changed since it was chosen.".into());
        }
        Err(text) => {
            show_devices(state, commands);
            state.notice = Some(text);
        }
    }
}

fn on_row(state: &mut State, device: usize, change: impl FnOnce(&mut Row)) {
    if let Screen::Work(work) = &mut state.screen
        && let Some(row) = work.rows.get_mut(device)
    {
        change(row);
    }
}

fn on_end(state: &mut State, result: Result<Vec<Outcome>, Failure>) {
    if let Screen::Work(work) = &mut state.screen {
        let receipts = mem::take(&mut work.receipts);
        let done = Done::new(work.devices.clone(), result.map(Arc::new), receipts);
        state.overlay = None;
        state.screen = Screen::Done(done);
    }
}

/// What a key means where it was typed.
fn on_key(state: &mut State, key: Key, commands: &mut Vec<Command>) -> Option<Answer> {
    if let Some(overlay) = &mut state.overlay {
        return on_overlay_key(overlay, key).unwrap_or_else(|| {
            state.overlay = None;
            None
        });
    }
    match key {
        Key::Interrupt => return Some(Answer::Leave),
        Key::Help => state.overlay = Some(Overlay::Help { scroll: 0 }),
        Key::Char('?') if !state.screen.takes_text() => state.overlay = Some(Overlay::Help { scroll: 0 }),
        Key::Refresh if matches!(state.screen, Screen::Devices(_)) => {
            commands.push(Command::ReadDevices(state.needed()));
        }
        key => {
            return match &mut state.screen {
                Screen::Image(screen) => screen.key(key),
                Screen::Devices(screen) => screen.key(key, &state.world.devices),
                Screen::Planning => None,
                Screen::Review(screen) => screen.key(key),
                Screen::Confirm(screen) => screen.key(key),
                Screen::Work(screen) => screen.key(key),
                Screen::Done(screen) => screen.key(key),
            };
        }
    }
    None
}

/// `None` when the key closes what lies over the screen.
fn on_overlay_key(overlay: &mut Overlay, key: Key) -> Option<Option<Answer>> {
    match (overlay, key) {
        (_, Key::Esc | Key::Interrupt) => return None,
        (Overlay::Help { scroll }, Key::Down) => *scroll += 1,
        (Overlay::Help { scroll }, Key::Up) => *scroll = scroll.saturating_sub(1),
        (Overlay::Help { .. }, _) => return None,
        (Overlay::Leave { at }, Key::Up | Key::BackTab) => *at = 0,
        (Overlay::Leave { at }, Key::Down | Key::Tab) => *at = 1,
        (Overlay::Leave { at }, Key::Enter) => {
            return Some(Some(if *at == 0 { Answer::Stay } else { Answer::Go }));
        }
        _ => {}
    }
    Some(None)
}

fn on_answer(state: &mut State, answer: Answer, commands: &mut Vec<Command>) {
    match answer {
        Answer::Leave => state.overlay = Some(Overlay::Leave { at: 0 }),
        Answer::Stay => state.overlay = None,
        Answer::Go => go(state, commands),
        Answer::Image(path) => {
            if matches!(state.screen, Screen::Image(_)) {
                commands.push(Command::Look(path));
            }
        }
        Answer::Toggle(target) => toggle(state, &target),
        Answer::Next => next(state, commands),
        Answer::Back => back(state, commands),
        Answer::Yes | Answer::Typed(_) => consent(state, &answer, commands),
        Answer::More => {
            if let Screen::Done(done) = &state.screen {
                state.earlier = state.earlier.max(done.code());
                state.chosen.clear();
                show_devices(state, commands);
            }
        }
    }
}

fn go(state: &mut State, commands: &mut Vec<Command>) {
    state.overlay = None;
    match &mut state.screen {
        Screen::Work(work) => {
            work.stopping = true;
            commands.push(Command::Stop);
        }
        _ => commands.push(Command::Leave(state.exit_code())),
    }
}

fn toggle(state: &mut State, target: &TargetDisk) {
    if !matches!(state.screen, Screen::Devices(_)) {
        return;
    }
    if let Some(at) = state.chosen.iter().position(|chosen| chosen.target() == target) {
        state.chosen.remove(at);
        return;
    }
    let found = state.world.devices.iter().find(|device| device.target() == target);
    match found {
        None => state.notice = Some("This device has changed or is no longer there.".into()),
        Some(device) if !device.usable() => {
            let reasons = device.candidate.refusals.join("; ");
            state.notice = Some(format!("{} cannot be used: {reasons}.", device.name()));
        }
        Some(device) => state.chosen.push(device.clone()),
    }
}

fn next(state: &mut State, commands: &mut Vec<Command>) {
    match (&state.screen, &state.image) {
        (Screen::Devices(_), _) if state.chosen.is_empty() => {
            state.notice = Some("No device is chosen yet.".into());
        }
        (Screen::Devices(_), Some(image)) => {
            // The plan has them in the order of the list, whatever the order in which they were chosen.
            let place = |device: &Device| {
                let same = |listed: &Device| listed.target() == device.target();
                state.world.devices.iter().position(same)
            };
            state.chosen.sort_by_key(place);
            let paths = state.chosen.iter().map(|device| device.target().path.clone()).collect();
            commands.push(Command::Plan(Box::new(image.clone()), paths));
            state.screen = Screen::Planning;
        }
        (Screen::Devices(_), None) => state.screen = Screen::Image(ImageScreen::new(&state.world.images)),
        (Screen::Review(review), _) => {
            state.screen = Screen::Confirm(Confirm::new(review.plan.clone(), state.chosen.clone()));
        }
        _ => {}
    }
}

fn back(state: &mut State, commands: &mut Vec<Command>) {
    match &state.screen {
        Screen::Image(_) | Screen::Work(_) | Screen::Done(_) => {
            state.overlay = Some(Overlay::Leave { at: 0 });
        }
        Screen::Devices(_) => state.screen = Screen::Image(ImageScreen::new(&state.world.images)),
        Screen::Planning => {}
        Screen::Review(_) => show_devices(state, commands),
        Screen::Confirm(confirm) => state.screen = Screen::Review(Review::new(confirm.plan.clone())),
    }
}

fn consent(state: &mut State, answer: &Answer, commands: &mut Vec<Command>) {
    let Screen::Confirm(confirm) = &mut state.screen else { return };
    match confirm.answer(answer) {
        None => state.notice = Some("That is something else. Nothing has been written.".into()),
        Some(false) => {}
        Some(true) => {
            let plan = confirm.plan.clone();
            commands.push(Command::Write(plan.clone()));
            state.screen = Screen::Work(Work::new(plan, mem::take(&mut confirm.devices)));
        }
    }
}
