//! Events that came in quick succession and have not led to a look yet. Time is an argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use aegis_core::uevent::{Action, Uevent};

use crate::tree::Tree;

/// So long after the last event one looks: a disk and its partitions come as one burst.
const QUIET: Duration = Duration::from_millis(10);
/// One looks at the latest so long after the first event, however many follow.
const LONGEST: Duration = Duration::from_millis(200);
/// So long after the first event a removal that was announced is expected to have happened.
const REMOVAL: Duration = Duration::from_secs(2);

/// What the events say of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// Number of the event that counts.
    sequence: u64,
    /// The last word is that it goes.
    pub(super) gone: bool,
    /// It went in between, so what has its name now can be another.
    pub(super) replaced: bool,
}

/// Gathered events.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// By the names of whole devices.
    pub(super) touched: BTreeMap<String, Touched>,
    /// Any disk can be concerned.
    pub(super) everything: bool,
    /// Events are missing, so what came says nothing about what is.
    pub(super) lost: bool,
    /// Devices and partitions that were announced to go.
    going: BTreeSet<String>,
    /// Times of the first event, and of the last.
    span: Option<(Instant, Instant)>,
}

impl Pending {
    /// Adds an event. What is not about block devices changes nothing.
    pub(super) fn note(&mut self, event: &Uevent<'_>, now: Instant) {
        let (Some(name), Some(whole)) = (event.block_device(), event.whole_disk()) else { return };
        self.stir(now);
        let goes = event.action == Action::Remove;
        match goes {
            true => self.going.insert(name.into()),
            false => self.going.remove(name),
        };
        let touched = self.touched.entry(whole.into()).or_default();
        let sequence = event.sequence.unwrap_or(touched.sequence);
        if name == whole && sequence >= touched.sequence {
            *touched = Touched { sequence, gone: goes, replaced: touched.replaced || goes };
        }
    }

    /// Any disk can be concerned, as by a mount.
    pub(super) fn note_everything(&mut self, now: Instant) {
        self.stir(now);
        self.everything = true;
    }

    /// Events were lost.
    pub(super) fn note_loss(&mut self, now: Instant) {
        self.stir(now);
        self.lost = true;
    }

    /// Moves the deadline.
    pub(super) fn stir(&mut self, now: Instant) {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
    }

    /// When to look; `None` when there is nothing to look at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.span.map(|(first, last)| (last + QUIET).min((first + LONGEST).max(last)))
    }

    /// Whether the kernel has still to take away what it announced to go; the deadline is moved then.
    pub(super) fn waits_for_removals(&mut self, tree: &Tree, now: Instant) -> bool {
        self.going.retain(|name| tree.link(&format!("/sys/class/block/{name}")).is_some());
        let patient = self.span.is_some_and(|(first, _)| now < first + REMOVAL);
        let waits = !self.going.is_empty() && patient;
        if waits {
            self.span = self.span.map(|(first, _)| (first, now + QUIET));
        }
        waits
    }
}
