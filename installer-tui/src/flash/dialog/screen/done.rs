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
    /// Receipts: where each is and its label, or why there is none.
    pub receipts: Vec<Result<String, String>>,
    /// Index of the marked choice.
    pub at: usize,
    /// First line of the text that is shown.
    pub scroll: usize,
}

impl Done {
    /// The first choice is marked.
    pub fn new(
        devices: Vec<Device>,
        result: Result<Arc<Vec<Outcome>>, Failure>,
        receipts: Vec<Result<String, String>>,
    ) -> Self {
        Self { devices, result, receipts, at: 0, scroll: 0 }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match &self.result {
            // A receipt that is missing is a failure too, which hides none of a device.
            Ok(outcomes) if self.missing() > 0 => outcome::exit_code(outcomes).max(exit::FAILED),
            Ok(outcomes) => outcome::exit_code(outcomes),
            Err(failure) => failure.code,
        }
    }

    /// How many receipts could not be written.
    fn missing(&self) -> usize {
        self.receipts.iter().filter(|receipt| receipt.is_err()).count()
    }

    /// The receipts in lines: where each is and its label, or why there is none.
    pub fn receipt_lines(&self) -> impl Iterator<Item = &str> {
        self.receipts.iter().flat_map(|receipt| {
            let (Ok(text) | Err(text)) = receipt;
            text.lines()
        })
    }

    /// One line about all of it.
    pub fn summary(&self) -> String {
        let all = self.devices.len();
        let Ok(outcomes) = &self.result else { return "Nothing was written.".into() };
        let devices = match outcome::exit_code(outcomes) {
            exit::OK if all == 1 => "The device is complete and was read back.".into(),
            exit::OK => format!("All {all} devices are complete and were read back."),
            _ => {
                let failed = outcomes.iter().filter(|outcome| outcome.failure().is_some()).count();
                format!("{failed} of {all} devices were NOT written.")
            }
        };
        match self.missing() {
            0 => devices,
            1 => format!("{devices} A receipt is MISSING."),
            missing => format!("{devices} {missing} receipts are MISSING."),
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
