//! The plan, word for word as it will be applied.

use super::Go;
use crate::{plan::InstallPlan, tui::keys::Key};

/// A plan that is being read.
#[derive(Clone, Debug)]
pub struct Review {
    /// The plan.
    pub plan: Box<InstallPlan>,
    /// First line that is shown.
    pub scroll: usize,
}

impl Review {
    /// Starts at its first line.
    pub fn new(plan: Box<InstallPlan>) -> Self {
        Self { plan, scroll: 0 }
    }

    /// The lines.
    pub fn lines(&self) -> Vec<String> {
        self.plan.to_string().lines().map(String::from).collect()
    }

    /// Handles a key.
    pub fn key(&mut self, key: Key) -> Go {
        let last = self.lines().len().saturating_sub(1);
        match key {
            Key::Esc => return Go::Back,
            Key::Enter => return Go::Next,
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            Key::Down => self.scroll = (self.scroll + 1).min(last),
            Key::PageUp => self.scroll = self.scroll.saturating_sub(10),
            Key::PageDown => self.scroll = (self.scroll + 10).min(last),
            Key::Home => self.scroll = 0,
            Key::End => self.scroll = last,
            _ => {}
        }
        Go::Stay
    }
}
