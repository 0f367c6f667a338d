//! The end, good or bad: the same outcomes decide this screen and the exit code.

use std::sync::Arc;

use aegis_core::report::exit;

use super::Answer;
use crate::{
    flash::{Outcome, dialog::world::Device, outcome},
    tui::{keys::Key, screen::Failure},
};

/// What may follow, in the order of the menu.
pub const NEXT: [&str; 2] = ["Leave", "Write this image to more devices"];

/// How it ended.
#[derive(Clone, Debug)]
pub struct Done {
    /// The devices that were to be written.
    pub devices: Vec<Device>,
    /// What each ended as, or why none was begun.
    pub result: Result<Arc<Vec<Outcome>>, Failure>,
    /// Index of the marked choice.
    pub at: usize,
    /// First line of the text that is shown.
    pub scroll: usize,
}

impl Done {
    /// The first choice is marked.
    pub fn new(devices: Vec<Device>, result: Result<Arc<Vec<Outcome>>, Failure>) -> Self {
        Self { devices, result, at: 0, scroll: 0 }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match &self.result {
            Ok(outcomes) => outcome::exit_code(outcomes),
            Err(failure) => failure.code,
        }
    }

    /// One line about all of it.
    pub fn summary(&self) -> String {
        let all = self.devices.len();
        match &self.result {
            Err(_) => "Nothing was written.".into(),
            Ok(_) if self.code() == exit::OK && all == 1 => {
                "The device is complete and was read back.".into()
            }
            Ok(_) if self.code() == exit::OK => format!("All {all} devices are complete and were read back."),
            Ok(outcomes) => {
                let failed = outcomes.iter().filter(|outcome| outcome.failure().is_some()).count();
                format!("{failed} of {all} devices were NOT written.")
            }
        }
    }

    pub(in super::super) fn key(&mut self, key: Key) -> Option<Answer> {
        match key {
            Key::Up | Key::BackTab => self.at = 0,
            Key::Down | Key::Tab => self.at = 1,
            Key::PageUp => self.scroll = self.scroll.saturating_sub(5),
            Key::PageDown => self.scroll = self.scroll.saturating_add(5),
            Key::Enter if self.at == 0 => return Some(Answer::Go),
            Key::Enter => return Some(Answer::More),
            _ => {}
        }
        None
    }
}
