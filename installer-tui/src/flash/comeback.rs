//! Devices that were pulled out while they were written, and their return.

use aegis_hw::{Tree, inventory::Disk};

use super::outcome::{Failure, Outcome};
use crate::plan::TargetDisk;

/// Whether a device that failed may have been pulled out: it has to be looked for.
pub(super) fn may_be_gone(outcome: &Outcome) -> bool {
    let (Outcome::NotBootable(failure) | Outcome::Untouched(failure)) = outcome else { return false };
    matches!(failure, Failure::Device { source, .. } if source.may_be_gone())
}

/// Whether the kernel no longer has a device, or has another one by its name.
pub(super) fn is_gone(tree: &Tree, target: &TargetDisk) -> bool {
    let Some(hardware) = &target.hardware else { return false };
    let directory = format!("/sys/block/{}", hardware.name.replace('/', "!"));
    if !tree.exists(&directory) {
        return true;
    }
    let number = tree.number(&format!("{directory}/diskseq"));
    matches!((number, target.identity.diskseq), (Some(now), Some(before)) if now != before)
}

/// The failure of a device that is gone.
pub(super) fn gone(outcome: Outcome) -> Outcome {
    let told = |failure| match failure {
        Failure::Device { offset, source, .. } => Failure::Gone { offset, source },
        other => other,
    };
    match outcome {
        Outcome::NotBootable(failure) => Outcome::NotBootable(told(failure)),
        Outcome::Untouched(failure) => Outcome::Untouched(told(failure)),
        complete @ Outcome::Complete { .. } => complete,
    }
}

/// The disk, of those that are there, that is the one that was pulled out: the same serial number, model, size and sector
/// size in a new appearance. `None` when there are two, and always for a device without a serial number.
pub(super) fn find<'d>(target: &TargetDisk, disks: impl IntoIterator<Item = &'d Disk>) -> Option<&'d Disk> {
    let mut found = disks.into_iter().filter(|disk| is_same(target, disk));
    found.next().filter(|_one| found.next().is_none())
}

fn is_same(target: &TargetDisk, disk: &Disk) -> bool {
    let Some(hardware) = &target.hardware else { return false };
    let (before, now) = (&target.identity, disk.identity());
    let another_time = before.diskseq.is_none() || before.diskseq != now.diskseq;
    let port = disk.usb.as_ref().map(|usb| &usb.port);
    hardware.serial.is_some()
        && hardware.serial == disk.serial
        && hardware.model == disk.model
        && (before.size, before.sector_size) == (now.size, now.sector_size)
        && (!hardware.shares_serial || hardware.port.as_ref() == port)
        && another_time
}
