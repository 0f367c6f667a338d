//! The session as questions and answers in lines, for screen readers and slow serial lines.
//!
//! Nothing is drawn: what was printed stays, the cursor only moves on, and nothing turns in circles. The numbers of devices
//! are given once and never to another device, so that an answer cannot mean one that came meanwhile.

mod parse;
mod text;

use std::time::Duration;

use super::{
    screen::{Place, Row, Screen},
    state::State,
    world::Device,
};
use crate::{flash::Phase, plan::TargetDisk, tui::state::Overlay};

pub use parse::Reply;
pub use text::ended;

/// Progress is told this often at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Bytes after which progress is told where its end is not known.
const PART: u64 = 1 << 28;

/// What was said so far.
#[derive(Debug, Default)]
pub struct Linear {
    /// Devices by their numbers, which begin at 1.
    numbers: Vec<TargetDisk>,
    /// Devices as they were told last.
    told: Vec<(Device, bool)>,
    /// The question that was asked last.
    asked: Option<Asked>,
    /// It was printed and waits for its answer.
    prompted: bool,
    /// A line was answered since.
    heard: bool,
    notice: Option<String>,
    /// Phase and tenth of each row that were told last, or the number of [`PART`]s.
    rows: Vec<Option<(Phase, u64)>>,
    /// Whether the silence of a row was told.
    silent: Vec<bool>,
    progress_at: Option<Duration>,
}

/// What tells one question from the next.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    place: Place,
    /// Number of a question among several.
    number: usize,
    leave: bool,
    planning: bool,
}

impl Asked {
    fn of(state: &State) -> Self {
        Self {
            place: state.screen.place(),
            number: match &state.screen {
                Screen::Confirm(confirm) => confirm.number().0,
                _ => 0,
            },
            leave: matches!(state.overlay, Some(Overlay::Leave { .. })),
            planning: matches!(state.screen, Screen::Planning),
        }
    }
}

impl Linear {
    /// What is to be printed after events. `now` is the time since any moment.
    pub fn after(&mut self, state: &State, now: Duration) -> String {
        let mut out = String::new();
        let asked = Asked::of(state);
        let is_new = self.asked.as_ref() != Some(&asked);
        if is_new && !asked.leave && !self.was_leaving(&asked) {
            out.push_str(&self.introduce(state));
        } else if matches!(state.screen, Screen::Devices(_)) {
            out.push_str(&self.changes(state, false));
        }
        // Whoever is asked whether to stop is not interrupted.
        if let Screen::Work(work) = &state.screen
            && (!asked.leave || is_new)
        {
            out.push_str(&self.progress(&work.devices, &work.rows, now));
        }
        if state.notice != self.notice {
            self.notice.clone_from(&state.notice);
            state.notice.iter().flat_map(|text| text.lines()).for_each(|line| text::line(&mut out, line));
        }
        if out.is_empty() && !is_new && !self.heard {
            return out;
        }
        // A question that waits for its answer ends without a line feed, and so does the echo of Ctrl-C.
        let interrupted = asked.leave && is_new && !self.heard;
        let out = if self.prompted || interrupted { format!("\n{out}") } else { out };
        let prompt = text::prompt(state);
        (self.asked, self.heard, self.prompted) = (Some(asked), false, !prompt.is_empty());
        out + &prompt
    }

    /// Whether only the question whether to leave was taken back: nothing is told twice.
    fn was_leaving(&self, now: &Asked) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|before| before.leave && before.place == now.place && before.number == now.number)
    }

    fn introduce(&mut self, state: &State) -> String {
        match &state.screen {
            Screen::Devices(_) => {
                self.told.clear();
                text::heading(Place::Devices) + &self.changes(state, true)
            }
            Screen::Work(work) => {
                self.rows = vec![None; work.rows.len()];
                self.silent = vec![false; work.rows.len()];
                text::screen(state)
            }
            _ => text::screen(state),
        }
    }

    /// The number of a device; a new one when it has none yet.
    fn number(&mut self, target: &TargetDisk) -> usize {
        let known = self.numbers.iter().position(|known| known == target);
        known.unwrap_or_else(|| {
            self.numbers.push(target.clone());
            self.numbers.len() - 1
        }) + 1
    }

    /// Devices that were not told as they are now, then those that are gone.
    fn changes(&mut self, state: &State, first: bool) -> String {
        let mut out = String::new();
        let now: Vec<_> =
            state.world.devices.iter().map(|device| (device.clone(), state.is_chosen(device))).collect();
        for (device, chosen) in &now {
            if self.told.contains(&(device.clone(), *chosen)) {
                continue;
            }
            let before = self.told.iter().find(|(told, _)| told == device);
            match (before, device.usable()) {
                (Some(_), _) => {
                    let number = self.number(device.target());
                    text::line(&mut out, &text::choice(number, device, *chosen));
                }
                (None, true) => {
                    let number = self.number(device.target());
                    text::device(&mut out, number, device, *chosen);
                }
                (None, false) => text::refused(&mut out, device),
            }
        }
        let is_there =
            |told: &Device| now.iter().any(|(device, _)| device.target().path == told.target().path);
        for (gone, _) in self.told.iter().filter(|(told, _)| !is_there(told)) {
            text::line(&mut out, &format!("Gone: {}.", gone.name()));
        }
        if now.is_empty() && (first || !self.told.is_empty()) {
            text::line(&mut out, "There is no device. Plug one in; it is told at once.");
        }
        self.told = now;
        out
    }

    /// Rows whose phase or tenth is another than the one that was told.
    fn progress(&mut self, devices: &[Device], rows: &[Row], now: Duration) -> String {
        let mut out = String::new();
        let due = self.progress_at.is_none_or(|last| now.saturating_sub(last) >= INTERVAL);
        let mut parts = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let (Some(phase), Some(device)) = (row.phase, devices.get(index)) else { continue };
            // The end of a device is told at once, and its silence once.
            let state = (phase, row.percent().map_or(row.bytes / PART, |percent| percent / 10));
            let ended = row.ended() && self.rows.get(index) != Some(&Some(state));
            let is_silent = row.waits.is_some() || row.awaited.is_some();
            let silence = is_silent && self.silent.get(index) == Some(&false);
            if !(ended || silence || due && self.rows.get(index) != Some(&Some(state))) {
                continue;
            }
            parts.push(text::progress(device, row));
            if let (Some(told), Some(silent)) = (self.rows.get_mut(index), self.silent.get_mut(index)) {
                (*told, *silent) = (Some(state), is_silent);
            }
        }
        if !parts.is_empty() {
            self.progress_at = Some(now);
            text::line(&mut out, &parts.join("; "));
        }
        out
    }
}
