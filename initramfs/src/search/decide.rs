//! What follows from the devices that were looked at: pure.

use aegis_core::{
    cmdline::{BootParams, Target},
    install::Role,
};

use super::{Found, Place, Seen, Verdict};
use crate::{block::BlockDevice, error::Error, log, release::Release};

/// Takes the match out of the list when everything that the target needs is there. A note of it stays in the list.
pub(super) fn take_match(target: &Target, seen: &mut Seen) -> Option<Found> {
    match *target {
        Target::Medium(_) => {
            let name = names(seen, |verdict| matches!(verdict, Verdict::Medium(_))).next()?.to_string();
            let (device, release) = take(seen, &name)?;
            Some(Found { release, place: Place::Medium(device) })
        }
        Target::Installed { id, slot } => {
            let (name, data) = slot_with_data(seen)?;
            let (partition, release) = take(seen, &name)?;
            Some(Found { release, place: Place::Slot { id, slot, partition, data } })
        }
    }
}

/// The first slot whose disk has the data partition too: after a disk was copied, both may be there twice, and a mix
/// of the two would be wrong.
fn slot_with_data(seen: &Seen) -> Option<(String, BlockDevice)> {
    let is_data = |verdict: &Verdict| matches!(verdict, Verdict::Data);
    let mut complete = names(seen, |verdict| matches!(verdict, Verdict::Slot(_))).filter_map(|slot| {
        let disk = seen.get(slot)?.0.disk();
        let data = names(seen, is_data).filter_map(|name| seen.get(name)).find(|(d, _)| d.disk() == disk)?;
        Some((slot.to_string(), data.0.clone()))
    });
    let first = complete.next()?;
    if let Some((other, _)) = complete.next() {
        log::notice(&format!("{} and {other} are the same slot; {} is used", first.0, first.0));
    }
    Some(first)
}

/// Names of the devices with such a verdict, in the order of the names.
fn names(seen: &Seen, is_it: impl Fn(&Verdict) -> bool) -> impl Iterator<Item = &str> {
    seen.iter().filter(move |(_, (_, verdict))| is_it(verdict)).map(|(name, _)| name.as_str())
}

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

/// The first device that should be the target and must not be used.
pub(super) fn refused(seen: &Seen) -> Option<&str> {
    names(seen, |verdict| matches!(verdict, Verdict::Refused { .. })).next()
}

/// The most telling reason: something that was refused, then a slot without its data, then nothing at all.
pub(super) fn failure(target: &Target, seconds: u64, seen: &mut Seen) -> Error {
    if let Some(error) = seen.values_mut().find_map(|(_, verdict)| verdict.take_error()) {
        return error;
    }
    let slot = names(seen, |verdict| matches!(verdict, Verdict::Slot(_))).next();
    if let (Target::Installed { id, .. }, Some(slot)) = (target, slot) {
        let guid = id.partition_guid(Role::Data).to_string();
        return Error::NoDataPartition { guid, slot_device: slot.to_string() };
    }
    Error::NotFound { wanted: wanted(target), seconds, devices: seen.len() }
}

fn wanted(target: &Target) -> String {
    match target {
        Target::Medium(id) => format!("the medium {id}"),
        Target::Installed { id, slot } => format!("slot {slot} of the installation {id}"),
    }
}

/// What a person is told who waits.
pub(super) fn waiting_line(params: &BootParams, usb_without_disk: bool, seen: &Seen) -> String {
    let state = match (refused(seen), seen.len()) {
        (Some(name), _) => format!("{name} was refused"),
        (None, _) if usb_without_disk => "a USB disk is starting".to_string(),
        (None, 0) => "no disk is there yet".to_string(),
        (None, count) => format!("it is none of the block devices so far, {count}"),
    };
    format!("waiting for {}, at most {} s: {state}", wanted(&params.target), params.wait)
}

#[cfg(test)]
mod tests {
    use std::io;

    use aegis_core::{install::InstallId, slot::Slot};

    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn medium() -> Target {
        Target::Medium(InstallId::parse(ID).unwrap().0)
    }

    fn installed() -> Target {
        Target::Installed { id: InstallId::parse(ID).unwrap(), slot: Slot::A }
    }

    fn release() -> Box<Release> {
        Box::new(Release::sample())
    }

    fn seen(devices: Vec<(&str, &str, Verdict)>) -> Seen {
        let entry = |(name, disk, verdict): (&str, &str, Verdict)| {
            let device = BlockDevice {
                is_partition: name != disk,
                name: name.to_string(),
                parent: (name != disk).then(|| disk.to_string()),
                ..BlockDevice::default()
            };
            (name.to_string(), (device, verdict))
        };
        devices.into_iter().map(entry).collect()
    }

    fn refusal() -> Verdict {
        let error = Error::MediumTruncated { device: "sdb".to_string(), has: 1, needs: 2 };
        Verdict::Refused { why: error.to_string(), error: Some(error) }
    }

    #[test]
    fn a_medium_is_taken_and_a_note_stays() {
        let foreign = Verdict::Foreign("no ISO 9660 file system".to_string());
        let mut seen = seen(vec![("sda", "sda", foreign), ("sdb", "sdb", Verdict::Medium(release()))]);
        let found = take_match(&medium(), &mut seen).unwrap();
        assert!(matches!(found.place, Place::Medium(device) if device.name == "sdb"));
        assert!(matches!(&seen["sdb"].1, Verdict::Foreign(note) if note.starts_with("medium ")));
        assert!(take_match(&medium(), &mut seen).is_none());
    }

    #[test]
    fn slot_and_data_come_from_the_same_disk() {
        let mut seen = seen(vec![
            ("sda3", "sda", Verdict::Slot(release())),
            ("sdb3", "sdb", Verdict::Slot(release())),
            ("sdb5", "sdb", Verdict::Data),
        ]);
        let found = take_match(&installed(), &mut seen).unwrap();
        let Place::Slot { partition, data, .. } = found.place else { panic!("{:?}", found.place) };
        assert_eq!((partition.name.as_str(), data.name.as_str()), ("sdb3", "sdb5"));
    }

    #[test]
    fn a_slot_without_data_waits_and_is_named_at_the_end() {
        let mut seen = seen(vec![("sda3", "sda", Verdict::Slot(release())), ("sdb5", "sdb", Verdict::Data)]);
        assert!(take_match(&installed(), &mut seen).is_none());
        let error = failure(&installed(), 30, &mut seen);
        assert!(matches!(error, Error::NoDataPartition { slot_device, .. } if slot_device == "sda3"));
    }

    #[test]
    fn a_refusal_is_the_reason_before_anything_else() {
        let not_ready = Verdict::NotReady(io::Error::from_raw_os_error(libc::ENOMEDIUM));
        let mut seen = seen(vec![("sda", "sda", not_ready), ("sdb", "sdb", refusal())]);
        assert_eq!(refused(&seen), Some("sdb"));
        assert!(matches!(failure(&medium(), 5, &mut seen), Error::MediumTruncated { .. }));
        // The device stays in the list with its reason, for the report.
        assert!(seen["sdb"].1.to_string().contains("incomplete"));
    }

    #[test]
    fn nothing_found_names_the_target() {
        let error = failure(&medium(), 60, &mut Seen::new());
        assert_eq!(
            error.to_string(),
            format!("the medium {ID} was not found within 60 s; block devices looked at: 0")
        );
    }

    #[test]
    fn the_waiting_line_says_what_is_missing() {
        let params = BootParams::new(medium());
        let line = |usb, seen: &Seen| waiting_line(&params, usb, seen);
        assert!(line(false, &Seen::new()).ends_with("at most 60 s: no disk is there yet"));
        assert!(line(true, &Seen::new()).ends_with(": a USB disk is starting"));
        assert!(line(true, &seen(vec![("sdb", "sdb", refusal())])).ends_with(": sdb was refused"));
        let other = seen(vec![("sda", "sda", Verdict::Data)]);
        assert!(line(false, &other).ends_with(": it is none of the block devices so far, 1"));
    }
}
