//! The disk. Nothing is chosen at the start, not even when there is only one.

use super::Go;
use crate::{
    plan::TargetDisk,
    tui::{
        keys::Key,
        world::{Candidate, World},
    },
};

/// The list of disks.
#[derive(Clone, Debug, Default)]
pub struct DiskChoice {
    /// Index of the marked disk.
    pub at: Option<usize>,
    /// Why the last key did nothing.
    pub notice: Option<&'static str>,
}

impl DiskChoice {
    /// Handles a key; a disk that is not refused is stored in `chosen`.
    pub fn key(&mut self, key: Key, world: &World, chosen: &mut Option<TargetDisk>) -> Go {
        self.notice = None;
        let last = world.disks.len().checked_sub(1);
        match (key, self.at) {
            (Key::Esc, _) => return Go::Back,
            (Key::Down | Key::Tab, None) | (Key::Home, _) => self.at = last.map(|_| 0),
            (Key::Up | Key::BackTab, None) | (Key::End, _) => self.at = last,
            (Key::Down | Key::Tab, Some(at)) => self.at = last.map(|last| (at + 1).min(last)),
            (Key::Up | Key::BackTab, Some(at)) => self.at = Some(at.saturating_sub(1)),
            (Key::Enter, at) => match at.and_then(|at| world.disks.get(at)) {
                None => self.notice = Some("Mark a disk with the arrow keys first."),
                Some(disk) if !disk.refusals.is_empty() => {
                    self.notice = Some("This disk cannot be used; the reason is below its name.");
                }
                Some(disk) => {
                    *chosen = Some(disk.target.clone());
                    return Go::Next;
                }
            },
            _ => {}
        }
        Go::Stay
    }

    /// Keeps the mark on its disk, wherever it is in the new list; a mark on a disk that is gone or changed is forgotten.
    pub fn disks_changed(&mut self, before: &[Candidate], after: &[Candidate]) {
        let marked = self.at.and_then(|at| before.get(at));
        let at = marked.and_then(|marked| after.iter().position(|disk| disk == marked));
        *self = Self { at, notice: Some("The list of disks was read again.") };
    }
}
