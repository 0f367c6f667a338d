//! From a plan to written devices.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{atomic::AtomicBool, mpsc},
    thread,
    time::Duration,
};

use aegis_hw::{Tree, inventory::Disk, target};
#[cfg(target_os = "linux")]
use aegis_hw::{uevents::RECEIVE_BUFFER, watch::Watch};

use super::{
    batch::Batch,
    crew::{Crew, Job},
    engine::{self, Options, Order, Target},
    foreman::Foreman,
    outcome::{Event, Outcome},
    plan::FlashPlan,
};
use crate::{error::Error, mounts, plan::TargetDisk};

/// Opens every device of the plan, proves that it is the chosen one, and writes the image to all of them.
///
/// # Errors
/// When a device cannot be opened or is another one; none was changed then.
pub fn run(plan: &FlashPlan, observer: &mut dyn FnMut(Event) -> bool) -> Result<Vec<Outcome>, Error> {
    mounts::unmount(&plan.unmount)?;
    let targets = open_all(plan)?;
    let options = Options { update: plan.update, expected: plan.image.content_digest() };
    Ok(engine::flash(&Order { image: &plan.image, targets: &targets, options }, observer))
}

/// What a run tells while it goes on. Devices are numbered in the order of the batch, then as they are taken.
#[derive(Debug)]
pub enum Report<'a> {
    /// Sticks can be plugged in now.
    Ready,
    /// A stick is taken, and its writing begins.
    Taken {
        /// Number of the device.
        device: usize,
        /// What it is.
        target: &'a TargetDisk,
    },
    /// A device that came is not taken.
    Passed {
        /// The device.
        disk: &'a Disk,
        /// Why not, as a clause.
        why: String,
    },
    /// A device went on.
    Progress(Event),
    /// A device was pulled out, and is waited for.
    Vanished {
        /// Number of the device.
        device: usize,
        /// For so long.
        seconds: u64,
    },
    /// A device that was pulled out is there again, and its writing goes on.
    Returned {
        /// Number of the device.
        device: usize,
        /// What it is now.
        target: &'a TargetDisk,
    },
    /// A device ended.
    Ended {
        /// Number of the device.
        device: usize,
        /// What it is and was.
        end: &'a Ended,
    },
    /// The system no longer tells of devices: none is taken or waited for from now on.
    Deaf(&'a Error),
    /// Nothing happened for a moment.
    Pause,
}

/// A device and what it ended as.
#[derive(Debug)]
pub struct Ended {
    /// The device.
    pub target: TargetDisk,
    /// Which of the batch's plans it belongs to.
    pub plan: usize,
    /// It was plugged in meanwhile, and taken.
    pub taken: bool,
    /// What it ended as.
    pub outcome: Outcome,
}

/// Writes everything of a batch at the same time, and what is plugged in meanwhile. `medium` names the disks that the
/// running system came from. `reporter` hears of everything at least five times a second, and stops the work by returning
/// false; what was begun is then not bootable.
///
/// # Errors
/// When a device cannot be opened or is another one; none was changed then.
pub fn run_batch(
    batch: &Batch,
    tree: &Tree,
    medium: &BTreeSet<String>,
    reporter: &mut dyn FnMut(Report<'_>) -> bool,
) -> Result<Vec<Ended>, Error> {
    batch.writes.iter().try_for_each(|plan| mounts::unmount(&plan.unmount))?;
    // All are held before the first is changed.
    let opened = batch.writes.iter().map(open_all).collect::<Result<Vec<_>, _>>()?;
    let watched = batch.auto.is_some() || batch.wait_return.is_some();
    #[cfg(not(target_os = "linux"))]
    if watched {
        return Err(Error::Usage {
            problem: "sticks that come and go are not followed on this system".into(),
            next: "name the sticks that are there by --to",
        });
    }
    #[cfg(target_os = "linux")]
    let watch = watched.then(|| Watch::open(tree, RECEIVE_BUFFER)).transpose()?;
    #[cfg(target_os = "linux")]
    let (listening, hang_up) = std::io::pipe().map_err(Error::io("open", "a pipe"))?;
    let stop = AtomicBool::new(false);
    let (messages, inbox) = mpsc::channel();
    Ok(thread::scope(|scope| {
        // Dropped at the end of this scope, which ends the thread that listens.
        #[cfg(target_os = "linux")]
        let _hang_up = hang_up;
        let crew = Crew { scope, stop: &stop, messages };
        let mut foreman = Foreman::new(batch, tree, medium, crew, reporter);
        #[cfg(target_os = "linux")]
        if let Some(watch) = watch {
            let present = watch.disks().cloned().collect();
            foreman.listen(watch, listening, present);
        }
        for (plan, targets) in opened.into_iter().enumerate() {
            foreman.begin(plan, targets);
        }
        foreman.take_present();
        while !foreman.is_done() {
            foreman.step(inbox.recv_timeout(PAUSE).ok());
        }
        foreman.finish()
    }))
}

/// Time without news after which the reporter is asked whether to go on.
const PAUSE: Duration = Duration::from_millis(200);

fn open_all(plan: &FlashPlan) -> Result<Vec<Box<Target>>, Error> {
    plan.targets.iter().map(open).collect()
}

/// Opens a device and proves on the descriptor that it is the chosen one.
pub(super) fn open(target: &TargetDisk) -> Result<Box<Target>, Error> {
    target::open_direct(&target.path, &target.identity).map_err(|error| match error {
        aegis_hw::Error::Busy { path, source } => {
            let by = programs_with(&path);
            Error::Busy { path, by, source }
        }
        other => other.into(),
    })
}

/// The programs that have a device or file open, as far as the system lets this one see them.
fn programs_with(path: &Path) -> Vec<String> {
    let own = std::process::id().to_string();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in numbers {
        let number = entry.file_name().to_string_lossy().into_owned();
        if number == own || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let open = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
        if open.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == path)) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(format!("{} (process {number})", name.trim()));
        }
    }
    found
}

/// A job for each plan: the devices of a batch by their numbers.
pub(super) fn job<'b>(plan: &'b FlashPlan, targets: Vec<(usize, Box<Target>)>, update: bool) -> Job<'b> {
    Job { image: &plan.image, targets, options: Options { update, expected: plan.image.content_digest() } }
}
