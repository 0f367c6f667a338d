//! What [`super::Watch`] does without its socket. Time is an argument.

use std::{
    mem,
    time::{Duration, Instant},
};

use aegis_core::uevent::{Origin, Uevent};

use super::{
    pending::Pending,
    picture::{Change, Picture},
    sequence::Sequence,
};
use crate::{error::Error, inventory::Disk, tree::Tree};

/// A look at everything is repeated after so long. What was announced to go before the socket listened, or in an event
/// that was lost, can still be in `/sys` at the first one; it is gone by then.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Turns events into changes.
#[derive(Debug)]
pub(super) struct Follower<'t> {
    tree: &'t Tree,
    /// Of the kernel's events. udev sends its own when its rules end, in no order.
    sequence: Option<Sequence>,
    pending: Pending,
    picture: Picture,
    second_look: Option<Instant>,
}

impl<'t> Follower<'t> {
    /// Looks at every disk. The socket listens already.
    pub(super) fn start(tree: &'t Tree, origin: Origin, now: Instant) -> Result<Self, Error> {
        let number = tree.number("/sys/kernel/uevent_seqnum");
        let sequence = (origin == Origin::Kernel).then(|| Sequence::after(number));
        let mut picture = Picture::default();
        picture.look_at_all(tree, &Pending::default())?;
        let second_look = Some(now + SECOND_LOOK);
        Ok(Self { tree, sequence, pending: Pending::default(), picture, second_look })
    }

    pub(super) fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.picture.disks()
    }

    /// When [`Self::settle`] has something to do; `None` when it has not.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.deadline().or(self.second_look)
    }

    /// Takes an event.
    pub(super) fn hear(&mut self, event: &Uevent<'_>, now: Instant) {
        self.pending.note(event, now);
        if let (Some(sequence), Some(number)) = (&mut self.sequence, event.sequence) {
            sequence.note(number);
            if sequence.has_gap() {
                self.pending.stir(now);
            }
        }
    }

    /// Events were lost.
    pub(super) fn lose(&mut self, now: Instant) {
        self.pending.note_loss(now);
    }

    /// Any disk can be concerned, as by a mount.
    pub(super) fn any_disk(&mut self, now: Instant) {
        self.pending.note_everything(now);
    }

    /// Reads what the events were about, once they have come to an end.
    pub(super) fn settle(&mut self, now: Instant) -> Result<Vec<Change>, Error> {
        let is_due = self.deadline().is_some_and(|at| at <= now);
        if !is_due || self.pending.waits_for_removals(self.tree, now) {
            return Ok(Vec::new());
        }
        if self.sequence.as_mut().is_some_and(Sequence::take_gap) {
            self.pending.note_loss(now);
        }
        let pending = mem::take(&mut self.pending);
        let looks_again = self.second_look.take_if(|at| *at <= now).is_some();
        if !pending.lost {
            return match looks_again || pending.everything {
                true => self.picture.look_at_all(self.tree, &pending),
                false => self.picture.look_at(self.tree, &pending),
            };
        }
        self.second_look = Some(now + SECOND_LOOK);
        let mut changes = vec![Change::Lost];
        changes.extend(self.picture.look_at_all(self.tree, &pending)?);
        changes.push(Change::Rescanned);
        Ok(changes)
    }
}
