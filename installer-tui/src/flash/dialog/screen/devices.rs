//! The devices. Nothing is chosen at the start, not even when there is only one.

use super::{Answer, moved};
use crate::{flash::dialog::world::Device, tui::keys::Key};

/// The list of devices.
#[derive(Clone, Debug, Default)]
pub struct DevicesScreen {
    /// Index of the device at the cursor.
    pub at: usize,
}

impl DevicesScreen {
    pub(in super::super) fn key(&mut self, key: Key, devices: &[Device]) -> Option<Answer> {
        match key {
            Key::Esc => Some(Answer::Back),
            Key::Enter => Some(Answer::Next),
            Key::Char(' ') => devices.get(self.at).map(|at| Answer::Toggle(Box::new(at.target().clone()))),
            key => {
                self.at = moved(self.at, key, devices.len());
                None
            }
        }
    }

    /// Keeps the cursor on its device, wherever that is in the new list.
    pub(in super::super) fn devices_changed(&mut self, before: &[Device], after: &[Device]) {
        let path = before.get(self.at).map(|device| &device.target().path);
        let found = after.iter().position(|device| Some(&device.target().path) == path);
        self.at = found.unwrap_or_else(|| self.at.min(after.len().saturating_sub(1)));
    }
}
