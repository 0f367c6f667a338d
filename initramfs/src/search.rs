//! Finds what the command line names: waits for its identity, never for silence.
//!
//! Invariant: a device is used only after the signature of its manifest was verified; its name, its label and its place
//! in the list decide nothing but the order in which devices are looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use aegis_core::{
    cmdline::{BootParams, Target},
    install::{InstallId, Role},
    key::PublicKey,
    slot::Slot,
};

use crate::{
    block::{self, BlockDevice},
    error::Error,
    hardware::{Hardware, Notice},
    log,
    release::Release,
};

pub(crate) mod examine;
pub(crate) mod wait;

use examine::Verdict;
use wait::{Next, Wait};

const SYS: &str = "/sys";
/// Drives without a medium are asked again after this time: a disc that spins up sends no event.
const RETRY: Duration = Duration::from_millis(500);

/// What every search needs.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The kernel's command line.
    pub(crate) params: BootParams,
    /// The trusted keys.
    pub(crate) keys: Vec<PublicKey>,
    /// Release of the running kernel.
    pub(crate) kernel: String,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The verified release.
    pub(crate) release: Release,
    /// Where it is.
    pub(crate) place: Place,
}

/// Where a release is.
#[derive(Debug)]
pub(crate) enum Place {
    /// On a live medium, which is mounted at [`crate::root::MEDIUM`].
    Medium(BlockDevice),
    /// In a slot.
    Slot {
        /// The installation.
        id: InstallId,
        /// Which slot.
        slot: Slot,
        /// The slot's partition.
        partition: BlockDevice,
        /// The data partition.
        data: BlockDevice,
    },
}

/// Every device that was looked at and what came of it, for the report after a failure.
pub(crate) type Seen = BTreeMap<String, (BlockDevice, Verdict)>;

/// Searches until the target is found or waiting is in vain. `seen` is filled as the search goes.
pub(crate) fn search(settings: &Settings, hardware: &Hardware, seen: &mut Seen) -> Result<Found, Error> {
    let mut wait = Wait::new(Instant::now(), Duration::from_secs(settings.params.wait.into()));
    let mut pending = all_devices();
    seen.clear();
    loop {
        look_at(settings, pending, seen);
        if let Some(found) = take_match(&settings.params.target, seen) {
            return Ok(found);
        }
        let refused = seen.values().any(|(_, verdict)| matches!(verdict, Verdict::Refused { .. }));
        match wait.next(Instant::now(), refused) {
            Next::GiveUp => return Err(failure(settings, &wait, seen)),
            Next::Tell => log::notice(&waiting_line(&settings.params, wait.usb_without_disk(), seen)),
            Next::Wait => {}
        }
        pending = not_ready(seen);
        for notice in hardware.wait(RETRY) {
            wait.notice(Instant::now(), &notice);
            match notice {
                Notice::Block(name) => _ = pending.insert(name),
                Notice::Rescan => pending.extend(all_devices()),
                Notice::Progress | Notice::UsbStorage => {}
            }
        }
    }
}

fn all_devices() -> BTreeSet<String> {
    block::names(Path::new(SYS)).unwrap_or_default().into_iter().collect()
}

fn not_ready(seen: &Seen) -> BTreeSet<String> {
    let waits =
        |(_, (_, verdict)): &(&String, &(BlockDevice, Verdict))| matches!(verdict, Verdict::NotReady(_));
    seen.iter().filter(waits).map(|(name, _)| name.clone()).collect()
}

/// Examines devices, whole ones before their partitions: a hybrid image is visible as both.
fn look_at(settings: &Settings, names: BTreeSet<String>, seen: &mut Seen) {
    let read = |name: String| {
        BlockDevice::from_sysfs(Path::new(SYS), &name)
            .inspect_err(|e| log::debug(&format!("{name} went away: {e}")))
            .ok()
            .flatten()
    };
    let mut devices: Vec<BlockDevice> = names.into_iter().filter_map(read).collect();
    devices.sort();
    for device in devices {
        let verdict = examine::examine(settings, &device);
        let is_match = matches!(verdict, Verdict::Medium(_));
        let is_news = seen.get(&device.name).is_none_or(|(_, old)| old.to_string() != verdict.to_string());
        if is_news {
            log::info(&format!("{}: {verdict}", describe(&device)));
        }
        seen.insert(device.name.clone(), (device, verdict));
        if is_match {
            return;
        }
    }
}

/// Name, size and model of a device.
pub(crate) fn describe(device: &BlockDevice) -> String {
    let size = block::human_size(device.size);
    format!("{} ({size}{}{})", device.name, if device.model.is_empty() { "" } else { ", " }, device.model)
}

/// Takes the match out of the list when everything that the target needs is there.
fn take_match(target: &Target, seen: &mut Seen) -> Option<Found> {
    match *target {
        Target::Medium(_) => {
            let name = find(seen, None, |verdict| matches!(verdict, Verdict::Medium(_)))?;
            let (device, release) = take(seen, &name)?;
            Some(Found { release, place: Place::Medium(device) })
        }
        Target::Installed { id, slot } => {
            let name = find(seen, None, |verdict| matches!(verdict, Verdict::Slot(_)))?;
            let disk = seen.get(&name)?.0.disk();
            let data = find(seen, Some(disk), |verdict| matches!(verdict, Verdict::Data))?;
            let data = seen.get(&data)?.0.clone();
            let (partition, release) = take(seen, &name)?;
            Some(Found { release, place: Place::Slot { id, slot, partition, data } })
        }
    }
}

/// The device and its release, which leaves a note of it in the list.
fn take(seen: &mut Seen, name: &str) -> Option<(BlockDevice, Release)> {
    let (device, verdict) = seen.get_mut(name)?;
    let note = Verdict::Foreign(verdict.to_string());
    match std::mem::replace(verdict, note) {
        Verdict::Medium(release) | Verdict::Slot(release) => Some((device.clone(), *release)),
        other => {
            *verdict = other;
            None
        }
    }
}

/// The first device with such a verdict, on the given disk when one is given.
fn find(seen: &Seen, disk: Option<&str>, is_it: impl Fn(&Verdict) -> bool) -> Option<String> {
    seen.iter()
        .find(|(_, (device, verdict))| is_it(verdict) && disk.is_none_or(|disk| device.disk() == disk))
        .map(|(name, _)| name.clone())
}

/// The most telling reason: something that was refused, then a slot without its data, then nothing at all.
fn failure(settings: &Settings, wait: &Wait, seen: &mut Seen) -> Error {
    for (_, verdict) in seen.values_mut() {
        if let Some(error) = verdict.take_error() {
            return error;
        }
    }
    if let Target::Installed { id, .. } = settings.params.target
        && let Some(slot) = find(seen, None, |verdict| matches!(verdict, Verdict::Slot(_)))
    {
        let guid = id.partition_guid(Role::Data).to_string();
        return Error::NoDataPartition { guid, slot_device: slot };
    }
    Error::NotFound {
        wanted: wanted(&settings.params.target),
        seconds: wait.elapsed(Instant::now()).as_secs(),
        disks: seen.len(),
    }
}

fn wanted(target: &Target) -> String {
    match target {
        Target::Medium(id) => format!("the medium {id}"),
        Target::Installed { id, slot } => format!("slot {slot} of the installation {id}"),
    }
}

fn waiting_line(params: &BootParams, usb_without_disk: bool, seen: &Seen) -> String {
    let refused = seen.iter().find(|(_, (_, verdict))| matches!(verdict, Verdict::Refused { .. }));
    let state = match (refused, seen.len()) {
        (Some((name, _)), _) => format!("{name} was refused"),
        _ if usb_without_disk => "a USB disk is starting".to_string(),
        (None, 0) => "no disk is there yet".to_string(),
        (None, count) => format!("none of {count} block devices is it"),
    };
    format!("waiting for {}, at most {} s: {state}", wanted(&params.target), params.wait)
}
