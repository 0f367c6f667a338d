//! The rules of a session, which need no machine.

use aegis_core::hex::Digest;

use super::{AutoEntry, DeviceEntry, ImageEntry, Session};
use crate::{
    answers::Problem,
    flash::auto::{Auto, SizeRange},
};

/// Longest time for which a device is waited for, in seconds.
pub(crate) const LONGEST_WAIT: u64 = 3600;
/// Most sticks that one run takes.
pub(crate) const MOST_STICKS: u32 = 10_000;

/// Everything that breaks a rule.
pub(super) fn problems(session: &Session) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut check = |field, holds: bool, rule: String| {
        if !holds {
            found.push(Problem { field, rule });
        }
    };
    check("image", !session.images.is_empty(), "is missing".into());
    let wait = session.wait_return.is_none_or(|seconds| (1..=LONGEST_WAIT).contains(&seconds));
    check("wait_return", wait, format!("must be 1 to {LONGEST_WAIT} seconds"));
    let key = session.receipt_key.is_none() || session.receipts.is_some();
    check("receipt_key", key, "needs receipts, the directory for them".into());
    for (number, image) in session.images.iter().enumerate() {
        let number = number + 1;
        for rule in image_rules(image) {
            check("image", false, format!("number {number} {rule}"));
        }
        let used = !image.devices.is_empty() || session.auto.is_some();
        check("image", used, format!("number {number} is for no device"));
    }
    let devices: Vec<&DeviceEntry> = session.images.iter().flat_map(|image| &image.devices).collect();
    for (number, device) in devices.iter().enumerate() {
        if let Err(rule) = device_rule(device) {
            check("image.device", false, format!("number {} {rule}", number + 1));
        }
        let again = devices[..number].contains(device);
        check("image.device", !again, format!("number {} is named twice", number + 1));
    }
    if let Some(auto) = &session.auto {
        check("auto", session.images.len() < 2, "needs one image alone".into());
        for (field, rule) in auto_rules(auto) {
            check(field, false, rule);
        }
    }
    found
}

fn image_rules(image: &ImageEntry) -> Vec<&'static str> {
    let rules = [
        (image.path.as_os_str().is_empty(), "has an empty path"),
        (image.sha256.is_some() && image.sums.is_some(), "has both sha256 and sums"),
        (
            image.sha256.as_deref().is_some_and(|text| Digest::parse(text).is_none()),
            "has a sha256 that is not 64 hexadecimal digits",
        ),
    ];
    rules.into_iter().filter_map(|(broken, rule)| broken.then_some(rule)).collect()
}

fn device_rule(device: &DeviceEntry) -> Result<(), &'static str> {
    let DeviceEntry { serial, model, size, port, name, file } = device;
    let texts = [serial, model, port, name];
    if texts.iter().any(|text| text.as_deref() == Some("")) {
        return Err("has an empty property");
    }
    let others = size.is_some() || texts.iter().any(|text| text.is_some());
    match (file, others) {
        (Some(_), true) => Err("is a file, which has no other property"),
        (Some(_), false) => Ok(()),
        (None, _) => {
            let by_place = port.is_some() && model.is_some() && size.is_some();
            let by_name = name.is_some() && size.is_some();
            match serial.is_some() || by_place || by_name {
                true => Ok(()),
                false => Err("needs its serial; without one its port, model and size, or its name and size"),
            }
        }
    }
}

fn auto_rules(entry: &AutoEntry) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if !(1..=MOST_STICKS).contains(&entry.count) {
        found.push(("auto.count", format!("must be 1 to {MOST_STICKS}")));
    }
    match SizeRange::parse(&entry.size) {
        Err(problem) => found.push(("auto.size", format!("is not usable: {problem}"))),
        Ok(size) => {
            let consent = Auto { count: entry.count, size, model: None }.consent();
            if entry.confirm != consent {
                found.push(("auto.confirm", format!("must be `{consent}`")));
            }
        }
    }
    if entry.model.as_deref().is_some_and(|model| model.trim().is_empty()) {
        found.push(("auto.model", "must not be empty".into()));
    }
    found
}
