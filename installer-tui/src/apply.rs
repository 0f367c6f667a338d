//! The executor: does what a plan says, in the one order that is safe.
//!
//! Invariant: the partition table is written after everything else was written and read back, and the boot sector is its
//! last sector. Whatever interrupts the installation before leaves a disk that does not look installed.

mod data;
mod esp;
mod fat_parents;
mod fat_window;
mod slot;
mod staging;
mod table;
mod undo;

use std::path::Path;

use aegis_hw::target::{self, Target};

pub use crate::progress::Step;
use crate::{
    error::{DiskState, Error},
    plan::InstallPlan,
    progress::{Meter, Observer},
    source::Source,
};

/// What an installation reads and where it may put temporary files.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The medium.
    pub source: &'a Source,
    /// Directory for temporary files.
    pub staging: &'a Path,
    /// Where the undo file is put before the first write; it is removed before the image overwrites data.
    pub undo: &'a Path,
}

/// Applies a plan to the disk that it names.
pub fn apply(plan: &InstallPlan, context: Context<'_>, observer: &mut dyn Observer) -> Result<(), Error> {
    let failed = |source| Error::Step {
        step: Step::Prepare,
        disk: DiskState::Untouched,
        undo: None,
        source: Box::new(source),
    };
    let target = target::open(&plan.target.path, &plan.target.identity).map_err(|e| failed(e.into()))?;
    apply_to(plan, context, target.as_ref(), observer)
}

/// Applies a plan to an open target.
pub fn apply_to(
    plan: &InstallPlan,
    context: Context<'_>,
    target: &dyn Target,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let mut run = Run { plan, context, target, observer, can_undo: false };
    let (staged, can_undo) = run.step(Step::Prepare, |run, meter| {
        let staged = staging::stage(run.plan, run.context, meter)?;
        Ok((staged, undo::keep(run.plan, run.target, run.context.undo)?))
    })?;
    run.can_undo = can_undo;
    run.step(Step::Wipe, |run, _| table::wipe(run.plan, run.target))?;
    run.step(Step::Image, |run, meter| {
        undo::forget(run.context.undo)?;
        slot::write_image(run.plan, run.context.source, run.target, meter)
    })?;
    run.step(Step::BootFiles, |run, meter| esp::write(run.plan, run.context.source, run.target, meter))?;
    run.step(Step::Data, |run, meter| data::write(run.plan, &staged, run.target, meter))?;
    drop(staged);
    run.step(Step::Verify, |run, meter| {
        run.target.sync()?;
        run.target.forget_cache()?;
        slot::verify_image(run.plan, run.target, meter)?;
        esp::verify(run.plan, run.target, meter)
    })?;
    run.step(Step::Slot, |run, _| slot::write_trailer(run.plan, run.target))?;
    run.step(Step::Table, |run, _| table::write(run.plan, run.context.source, run.target))
}

/// The state of a running installation.
struct Run<'a> {
    plan: &'a InstallPlan,
    context: Context<'a>,
    target: &'a dyn Target,
    observer: &'a mut dyn Observer,
    /// What the disk held is in an undo file until its data are overwritten.
    can_undo: bool,
}

impl<'a> Run<'a> {
    /// Does one step and says, when it fails, what is on the disk.
    fn step<T>(
        &mut self,
        step: Step,
        work: impl FnOnce(&Parts<'a>, &mut Meter<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let file = self.context.undo;
        let failed = |disk| {
            let undo = (disk == DiskState::Restorable).then(|| file.into());
            move |source| Error::Step { step, disk, undo, source: Box::new(source) }
        };
        let (before, during, after) = disk_states(step, self.can_undo);
        let parts = Parts { plan: self.plan, context: self.context, target: self.target };
        let total = total(step, self.plan);
        let mut meter = Meter::start(self.observer, step, total).map_err(failed(before))?;
        let result = work(&parts, &mut meter).map_err(failed(during))?;
        match meter.finish() {
            // After the last write nothing is left to stop.
            Err(Error::Cancelled) if step == Step::Table => {}
            other => other.map_err(failed(after))?,
        }
        Ok(result)
    }
}

/// What is on the disk before a step, while it runs, and after it.
fn disk_states(step: Step, can_undo: bool) -> (DiskState, DiskState, DiskState) {
    use DiskState::{NotInstalled, Restorable, Uncertain, Untouched};
    match (step, can_undo) {
        (Step::Prepare, _) => (Untouched, Untouched, Untouched),
        (Step::Wipe, true) => (Untouched, Restorable, Restorable),
        (Step::Wipe, false) => (Untouched, Uncertain, NotInstalled),
        (Step::Image, true) => (Restorable, NotInstalled, NotInstalled),
        _ => (NotInstalled, NotInstalled, NotInstalled),
    }
}

/// What a step works with.
struct Parts<'a> {
    plan: &'a InstallPlan,
    context: Context<'a>,
    target: &'a dyn Target,
}

/// Bytes that a step moves, where that is known before.
fn total(step: Step, plan: &InstallPlan) -> u64 {
    let boot_files = plan.boot_files.iter().map(|f| f.file.size).sum::<u64>();
    match step {
        Step::Image => plan.image.size,
        Step::BootFiles => boot_files,
        Step::Verify => plan.image.size + boot_files,
        _ => 0,
    }
}
