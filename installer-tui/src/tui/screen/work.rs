//! The running installation.

use crate::{
    plan::InstallPlan,
    progress::{Event, Step},
};

/// What is known of the running installation.
#[derive(Clone, Debug)]
pub struct Work {
    /// The plan that is applied.
    pub plan: Box<InstallPlan>,
    /// The step that runs.
    pub step: Option<Step>,
    /// Steps that are done, with the milliseconds that they took.
    pub done: Vec<(Step, u64)>,
    /// Bytes, bytes in all, bytes a second and seconds left, of the step that runs.
    pub amount: (u64, u64, u64, Option<u64>),
    /// A person asked to stop.
    pub stopping: bool,
}

impl Work {
    /// Nothing has happened yet.
    pub fn new(plan: Box<InstallPlan>) -> Self {
        Self { plan, step: None, done: Vec::new(), amount: (0, 0, 0, None), stopping: false }
    }

    /// Takes a report.
    pub fn report(&mut self, event: Event) {
        match event {
            Event::Start { step, total } => {
                self.step = Some(step);
                self.amount = (0, total, 0, None);
            }
            Event::Advance { bytes, total, rate, eta, .. } => self.amount = (bytes, total, rate, eta),
            Event::Done { step, ms, .. } => {
                self.done.push((step, ms));
                self.step = None;
            }
        }
    }
}
