//! Which slot to boot: tries, confirmation and roll-back, as a pure state machine.
//!
//! A slot is tried a few times after an update and confirmed by a system that came up well. A slot that used up its
//! tries is bad, and the other one boots. Nothing here takes a confirmed slot away: an update goes into the slot that
//! does not run, so that at every moment at least one slot that once worked can be booted.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::slot::Slot;

/// Boots that a new image gets to be confirmed.
pub const TRIES: u8 = 3;

/// What is known of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotState {
    /// It holds no whole image.
    Empty,
    /// Its image has not been confirmed and may be booted so many times more.
    Trying(u8),
    /// Its image came up well at least once.
    Good,
    /// Its image used up its tries, or its check failed.
    Bad,
}

/// The state of both slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootState {
    /// Slot A.
    pub a: SlotState,
    /// Slot B.
    pub b: SlotState,
    /// The slot to boot when both can be.
    pub preferred: Slot,
}

/// A step that must not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootStateError {
    /// No slot can be booted.
    NothingToBoot,
    /// An image must not be written into the slot that runs.
    Running(Slot),
    /// An image must not be written into this slot: it is the only one that once worked.
    OnlyGood(Slot),
    /// The slot does not hold an image that could be confirmed.
    NotTrying(Slot),
    /// Nothing is being written into the slot.
    NotBegun(Slot),
    /// There is no system in this slot that once worked.
    NotGood(Slot),
}

impl fmt::Display for BootStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToBoot => f.write_str("no slot holds an image that can be booted"),
            Self::Running(slot) => write!(f, "slot {slot} runs now and cannot be written"),
            Self::OnlyGood(slot) => write!(f, "slot {slot} holds the only system that is known to work"),
            Self::NotTrying(slot) => write!(f, "slot {slot} holds no image that waits to be confirmed"),
            Self::NotBegun(slot) => write!(f, "no update is being written into slot {slot}"),
            Self::NotGood(slot) => write!(f, "slot {slot} holds no system that is known to work"),
        }
    }
}

impl core::error::Error for BootStateError {}

impl BootState {
    /// The state after an installation: slot A holds an image that came from a verified medium and was read back.
    pub const INSTALLED: Self = Self { a: SlotState::Good, b: SlotState::Empty, preferred: Slot::A };

    /// What is known of a slot.
    pub const fn slot(&self, slot: Slot) -> SlotState {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }

    const fn with(mut self, slot: Slot, state: SlotState) -> Self {
        match slot {
            Slot::A => self.a = state,
            Slot::B => self.b = state,
        }
        self
    }

    fn boots(&self, slot: Slot) -> bool {
        matches!(self.slot(slot), SlotState::Good | SlotState::Trying(1..))
    }

    /// The slot to boot, and the state to store before it is booted: a try is used up by starting it.
    ///
    /// # Errors
    /// [`BootStateError::NothingToBoot`].
    pub fn boot(self) -> Result<(Slot, Self), BootStateError> {
        let slot = [self.preferred, self.preferred.other()]
            .into_iter()
            .find(|slot| self.boots(*slot))
            .ok_or(BootStateError::NothingToBoot)?;
        let state = match self.slot(slot) {
            SlotState::Trying(left) => SlotState::Trying(left - 1),
            other => other,
        };
        let mut next = self.with(slot, state);
        if slot != self.preferred {
            // What was preferred has used up its tries: it is bad, and the other stays preferred.
            if self.slot(self.preferred) != SlotState::Empty {
                next = next.with(self.preferred, SlotState::Bad);
            }
            next.preferred = slot;
        }
        Ok((slot, next))
    }

    /// An update begins to write into a slot: until it is whole, the slot holds nothing.
    ///
    /// # Errors
    /// When the slot runs, or is the only good one.
    pub fn begin_update(self, slot: Slot, running: Slot) -> Result<Self, BootStateError> {
        if slot == running {
            return Err(BootStateError::Running(slot));
        }
        if self.slot(slot) == SlotState::Good && self.slot(slot.other()) != SlotState::Good {
            return Err(BootStateError::OnlyGood(slot));
        }
        Ok(Self { preferred: slot.other(), ..self.with(slot, SlotState::Empty) })
    }

    /// The update is written, read back and verified: the slot is tried at the next boot.
    ///
    /// # Errors
    /// When none was begun in this slot.
    pub fn finish_update(self, slot: Slot) -> Result<Self, BootStateError> {
        if self.slot(slot) != SlotState::Empty {
            return Err(BootStateError::NotBegun(slot));
        }
        Ok(Self { preferred: slot, ..self.with(slot, SlotState::Trying(TRIES)) })
    }

    /// The running system came up well.
    ///
    /// # Errors
    /// When the slot is not one that runs on trial or is good already.
    pub fn confirm(self, running: Slot) -> Result<Self, BootStateError> {
        match self.slot(running) {
            SlotState::Trying(_) | SlotState::Good => Ok(self.with(running, SlotState::Good)),
            SlotState::Empty | SlotState::Bad => Err(BootStateError::NotTrying(running)),
        }
    }

    /// A person or a failed check asks for the other slot.
    ///
    /// # Errors
    /// When no system in the other slot is known to work; the state stays.
    pub fn roll_back(self, running: Slot) -> Result<Self, BootStateError> {
        let other = running.other();
        if self.slot(other) != SlotState::Good {
            return Err(BootStateError::NotGood(other));
        }
        Ok(Self { preferred: other, ..self.with(running, SlotState::Bad) })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, string::ToString, vec, vec::Vec};

    use super::*;

    const BOTH: BootState = BootState { a: SlotState::Good, b: SlotState::Good, preferred: Slot::A };

    /// A whole update of slot B.
    fn updated() -> BootState {
        BootState::INSTALLED
            .begin_update(Slot::B, Slot::A)
            .and_then(|state| state.finish_update(Slot::B))
            .unwrap()
    }

    #[test]
    fn an_update_that_works_is_confirmed_and_stays() {
        let state = BootState::INSTALLED.begin_update(Slot::B, Slot::A).unwrap();
        assert_eq!(state.boot().unwrap().0, Slot::A, "a cut during the update boots the old system");
        let state = state.finish_update(Slot::B).unwrap();
        let (slot, state) = state.boot().unwrap();
        assert_eq!((slot, state.b), (Slot::B, SlotState::Trying(TRIES - 1)));
        let state = state.confirm(Slot::B).unwrap();
        assert_eq!(state.boot(), Ok((Slot::B, state)));
    }

    #[test]
    fn an_update_that_never_comes_up_is_rolled_back() {
        let mut state = updated();
        for _ in 0..TRIES {
            let (slot, next) = state.boot().unwrap();
            assert_eq!(slot, Slot::B);
            state = next;
        }
        let (slot, state) = state.boot().unwrap();
        assert_eq!((slot, state.b, state.preferred), (Slot::A, SlotState::Bad, Slot::A));
        assert_eq!(state.boot(), Ok((Slot::A, state)));
    }

    #[test]
    fn what_runs_and_what_alone_works_is_not_overwritten() {
        assert_eq!(BOTH.begin_update(Slot::A, Slot::A), Err(BootStateError::Running(Slot::A)));
        assert_eq!(BOTH.finish_update(Slot::B), Err(BootStateError::NotBegun(Slot::B)));
        let (_, running_b) = updated().boot().unwrap();
        assert_eq!(running_b.begin_update(Slot::A, Slot::B), Err(BootStateError::OnlyGood(Slot::A)));
        assert_eq!(running_b.roll_back(Slot::A), Err(BootStateError::NotGood(Slot::B)));
        assert_eq!(BootState::INSTALLED.roll_back(Slot::A), Err(BootStateError::NotGood(Slot::B)));
        assert_eq!(BootState::INSTALLED.confirm(Slot::B), Err(BootStateError::NotTrying(Slot::B)));
        let back = BOTH.roll_back(Slot::A).unwrap();
        assert_eq!((back.a, back.boot().unwrap().0), (SlotState::Bad, Slot::B));
    }

    /// Also when the slot that is given up was preferred.
    #[test]
    fn the_other_slot_is_preferred_at_once() {
        let prefers_b = BootState { preferred: Slot::B, ..BOTH };
        let begun = prefers_b.begin_update(Slot::B, Slot::A).unwrap();
        assert_eq!(begun, BootState { b: SlotState::Empty, preferred: Slot::A, ..BOTH });
        let back = prefers_b.roll_back(Slot::B).unwrap();
        assert_eq!(back, BootState { b: SlotState::Bad, preferred: Slot::A, ..BOTH });
    }

    #[test]
    fn errors_name_the_slot() {
        let errors: [fn(Slot) -> BootStateError; 5] = [
            BootStateError::Running,
            BootStateError::OnlyGood,
            BootStateError::NotTrying,
            BootStateError::NotBegun,
            BootStateError::NotGood,
        ];
        let mut texts = HashSet::from([BootStateError::NothingToBoot.to_string()]);
        for (error, slot) in errors.iter().flat_map(|error| [(error, Slot::A), (error, Slot::B)]) {
            let text = error(slot).to_string();
            assert!((text.clone() + " ").contains(&std::format!("slot {slot} ")), "{text}");
            texts.insert(text);
        }
        assert_eq!(texts.len(), 11);
    }

    /// Every state that any order of events reaches from an installation, with the slot that runs in it.
    fn reachable() -> HashSet<(BootState, Slot)> {
        let mut seen = HashSet::new();
        let mut open = vec![(BootState::INSTALLED, Slot::A)];
        while let Some((state, running)) = open.pop() {
            if !seen.insert((state, running)) {
                continue;
            }
            let idle = running.other();
            let same = [
                state.begin_update(idle, running),
                state.finish_update(idle),
                state.confirm(running),
                state.roll_back(running),
            ];
            open.extend(same.into_iter().flatten().map(|state| (state, running)));
            open.extend(state.boot().map(|(slot, state)| (state, slot)));
        }
        seen
    }

    /// The promise of the module: in no order of events is there a moment at which nothing boots.
    #[test]
    fn something_that_once_worked_always_boots() {
        let reachable = reachable();
        assert!(reachable.len() > 15, "{}", reachable.len());
        for (state, _) in &reachable {
            let good = [state.a, state.b].contains(&SlotState::Good);
            assert!(good, "{state:?}");
            // However often it fails to come up, it ends in a slot that is good.
            let ends: Vec<Slot> = core::iter::successors(state.boot().ok(), |(_, next)| next.boot().ok())
                .map(|(slot, _)| slot)
                .take(2 * usize::from(TRIES) + 2)
                .collect();
            let last = ends[ends.len() - 1];
            assert_eq!(state.slot(last), SlotState::Good, "{state:?}");
        }
    }
}
