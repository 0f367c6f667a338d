//! Finds what the command line names: waits for its identity, never for silence.
//!
//! Invariant: a device is used only after the signature of its manifest was verified; its name, its label and its place
//! in the list decide nothing but the order in which devices are looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use aegis_core::{cmdline::BootParams, install::InstallId, key::PublicKey, slot::Slot};

use crate::{
    block::{self, BlockDevice},
    error::Error,
    hardware::{Hardware, Notice},
    log,
    release::Release,
};

mod decide;
pub(crate) mod examine;
pub(crate) mod wait;

pub(crate) use examine::Verdict;
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
    let target = &settings.params.target;
    let mut wait = Wait::new(Instant::now(), Duration::from_secs(settings.params.wait.into()));
    let mut pending = all_devices();
    seen.clear();
    loop {
        look_at(settings, pending, seen);
        if let Some(found) = decide::take_match(target, seen) {
            return Ok(found);
        }
        match wait.next(Instant::now(), decide::refused(seen).is_some()) {
            Next::GiveUp => {
                return Err(decide::failure(target, wait.elapsed(Instant::now()).as_secs(), seen));
            }
            Next::Tell => log::notice(&decide::waiting_line(&settings.params, wait.usb_without_disk(), seen)),
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
    let waits = seen.values().filter(|(_, verdict)| matches!(verdict, Verdict::NotReady(_)));
    waits.map(|(device, _)| device.name.clone()).collect()
}

/// Examines devices, whole ones before their partitions: a hybrid image is visible as both.
fn look_at(settings: &Settings, names: BTreeSet<String>, seen: &mut Seen) {
    let mut devices = Vec::new();
    for name in names {
        match BlockDevice::from_sysfs(Path::new(SYS), &name) {
            Ok(device) => devices.extend(device),
            Err(error) => {
                log::debug(&format!("{name} went away: {error}"));
                seen.remove(&name);
            }
        }
    }
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
