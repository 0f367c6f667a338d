//! The end, good or bad: the same value decides this screen and the exit code.

use crate::tui::keys::Key;

/// What a person wants after the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// Restarts the machine.
    Reboot,
    /// Switches the machine off.
    PowerOff,
    /// A shell.
    Shell,
}

/// Why there is no installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed and what is on the disk now, as every program of the system prints it.
    pub text: String,
    /// Exit code.
    pub code: u8,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The disk that holds the new system, or the failure.
    pub result: Result<String, Failure>,
    /// What may follow.
    pub choices: Vec<(Option<Afterwards>, &'static str)>,
    /// Index of the marked choice.
    pub at: usize,
    /// First line of the text that is shown.
    pub scroll: usize,
}

/// What may follow, in the order of the menu. `None` ends the program.
pub(super) fn choices(live: bool) -> Vec<(Option<Afterwards>, &'static str)> {
    match live {
        true => vec![
            (Some(Afterwards::Reboot), "Restart"),
            (Some(Afterwards::PowerOff), "Power off"),
            (Some(Afterwards::Shell), "Open a shell"),
        ],
        false => vec![(None, "Leave the installer")],
    }
}

impl Done {
    /// The first choice is marked.
    pub fn new(result: Result<String, Failure>, live: bool) -> Self {
        Self { result, choices: choices(live), at: 0, scroll: 0 }
    }

    /// Handles a key; the choice when one is accepted.
    pub fn key(&mut self, key: Key) -> Option<Option<Afterwards>> {
        match key {
            Key::Up | Key::BackTab => self.at = self.at.saturating_sub(1),
            Key::Down | Key::Tab => self.at = (self.at + 1).min(self.choices.len() - 1),
            Key::PageUp => self.scroll = self.scroll.saturating_sub(3),
            Key::PageDown => self.scroll = (self.scroll + 3).min(60),
            Key::Enter => return self.choices.get(self.at).map(|(afterwards, _)| *afterwards),
            _ => {}
        }
        None
    }
}
