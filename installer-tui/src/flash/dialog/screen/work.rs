//! Devices that are written: a row for each.

use super::{Answer, moved};
use crate::{
    flash::{Event, FlashPlan, Phase, dialog::world::Device},
    tui::keys::Key,
};

/// What is known of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What it is at; `None` before its first report.
    pub phase: Option<Phase>,
    /// Bytes so far in this phase.
    pub bytes: u64,
    /// Bytes of this phase in all, where that is known.
    pub total: Option<u64>,
    /// Bytes a second.
    pub rate: u64,
    /// Seconds until the phase ends.
    pub eta: Option<u64>,
    /// Seconds for which it did not answer, when these are many.
    pub waits: Option<u64>,
    /// It was pulled out, and is waited for up to so many seconds.
    pub awaited: Option<u64>,
}

impl Row {
    /// The share of the present phase in per cent, where its end is known.
    pub fn percent(&self) -> Option<u64> {
        self.total.and_then(|total| self.bytes.min(total).saturating_mul(100).checked_div(total))
    }

    /// Whether nothing will happen to it any more.
    pub fn ended(&self) -> bool {
        matches!(self.phase, Some(Phase::Complete | Phase::Failed))
    }

    /// Nothing more comes; what is complete has a full bar.
    pub(in super::super) fn end(&mut self, phase: Phase) {
        let total = (phase == Phase::Complete).then_some(1);
        *self = Self { phase: Some(phase), bytes: total.unwrap_or(0), total, ..Self::default() };
    }

    /// One word for its state.
    pub fn word(&self) -> String {
        if self.awaited.is_some() {
            return "missing".into();
        }
        match self.phase {
            None => "waiting".into(),
            Some(Phase::Failed) => "FAILED".into(),
            Some(phase) => phase.to_string(),
        }
    }
}

/// A session that writes.
#[derive(Clone, Debug)]
pub struct Work {
    /// The plan that is carried out.
    pub plan: Box<FlashPlan>,
    /// Its devices.
    pub devices: Vec<Device>,
    /// What is known of each.
    pub rows: Vec<Row>,
    /// Index of the row at the cursor.
    pub at: usize,
    /// A person asked to stop.
    pub stopping: bool,
    /// Receipts of the devices that ended: where each is and its label, or why there is none.
    pub receipts: Vec<Result<String, String>>,
}

impl Work {
    /// Nothing has happened yet.
    pub fn new(plan: Box<FlashPlan>, devices: Vec<Device>) -> Self {
        let rows = vec![Row::default(); devices.len()];
        Self { plan, devices, rows, at: 0, stopping: false, receipts: Vec::new() }
    }

    pub(in super::super) fn key(&mut self, key: Key) -> Option<Answer> {
        match key {
            Key::Esc => return Some(Answer::Leave),
            key => self.at = moved(self.at, key, self.rows.len()),
        }
        None
    }

    /// Takes a report.
    pub(in super::super) fn report(&mut self, event: &Event) {
        if let Some(row) = self.rows.get_mut(event.device) {
            let Event { phase, bytes, total, rate, eta, waits, .. } = *event;
            *row = Row { phase: Some(phase), bytes, total, rate, eta, waits, awaited: None };
        }
    }

    /// How many are complete, failed, and still being written.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |phase| self.rows.iter().filter(|row| row.phase == Some(phase)).count();
        let (complete, failed) = (count(Phase::Complete), count(Phase::Failed));
        (complete, failed, self.rows.len() - complete - failed)
    }

    /// What state the devices are in, and what stopping would mean.
    pub fn consequences(&self) -> String {
        let (complete, failed, open) = self.counts();
        let untouched = self.rows.iter().filter(|row| row.phase.is_none()).count();
        let mut parts = Vec::new();
        let mut add = |count: usize, one: &str, many: &str| {
            if count > 0 {
                parts.push(format!("{count} {}.", if count == 1 { one } else { many }));
            }
        };
        add(complete, "device is complete", "devices are complete");
        add(failed, "device failed", "devices failed");
        add(
            open - untouched,
            "device is being written: its former content is gone, and it will not start",
            "devices are being written: their former content is gone, and they will not start",
        );
        add(untouched, "device was not begun", "devices were not begun");
        parts.join(" ")
    }
}
