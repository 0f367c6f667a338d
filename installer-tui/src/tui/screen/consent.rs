//! The last question: the serial number of the disk, typed.

use super::Go;
use crate::{
    plan::InstallPlan,
    tui::{form::edit, keys::Key},
};

/// A plan that waits for consent.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The plan.
    pub plan: Box<InstallPlan>,
    /// What was typed.
    pub typed: String,
    /// Place of the cursor in characters.
    pub cursor: usize,
    /// What was typed is not the word.
    pub wrong: bool,
}

impl Consent {
    /// Nothing is typed yet.
    pub fn new(plan: Box<InstallPlan>) -> Self {
        Self { plan, typed: String::new(), cursor: 0, wrong: false }
    }

    /// Handles a key. `Next` only after the exact word.
    pub fn key(&mut self, key: Key) -> Go {
        match key {
            Key::Esc => Go::Back,
            Key::Enter => {
                self.wrong = self.typed.trim() != self.plan.target.token;
                if self.wrong { Go::Stay } else { Go::Next }
            }
            key => {
                self.wrong = false;
                edit(&mut self.typed, &mut self.cursor, key);
                Go::Stay
            }
        }
    }
}
