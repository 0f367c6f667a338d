//! What `flash` prints while it goes on, and the table at the end.

use std::{collections::BTreeMap, path::Path};

use aegis_core::report::{Hint, render};
use aegis_hw::{Bytes, text::Shown};
use serde_json::{Value, json};

use crate::{
    cli::{lines::out, page::column},
    error::{DiskState, Error},
    flash::{Batch, Ended, Event, Outcome, Phase, Report},
    plan::TargetDisk,
};

/// Progress as lines.
pub(super) struct Lines<'a> {
    batch: &'a Batch,
    json: bool,
    /// The path of each device by its number.
    names: Vec<String>,
    /// Phase and tenth that were told last, for each device.
    told: BTreeMap<usize, (Phase, u64)>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(batch: &'a Batch, json: bool) -> Self {
        let names = batch.targets().into_iter().map(name_of).collect();
        Self { batch, json, names, told: BTreeMap::new() }
    }

    pub(super) fn report(&mut self, report: &Report<'_>) {
        match report {
            Report::Pause => {}
            Report::Progress(event) => self.progress(event),
            Report::Ended { device, end } => self.end(*device, end),
            Report::Ready => {
                let auto = self.batch.auto.as_ref().map(ToString::to_string).unwrap_or_default();
                self.line(json!({ "event": "ready" }), format!("plug in {auto}; Ctrl-C ends"));
            }
            Report::Taken { target, .. } => {
                self.names.push(name_of(target));
                let (device, description) = (name_of(target), &target.description);
                self.line(
                    json!({ "event": "taken", "device": device, "target": target }),
                    format!("{device}: taken, {description}"),
                );
            }
            Report::Passed { disk, why } => {
                let device = disk.node.display();
                self.line(
                    json!({ "event": "passed", "device": disk.node, "disk": disk, "why": why }),
                    format!("{device}: not taken, {why}; {}", disk.summary()),
                );
            }
            Report::Vanished { device, seconds } => {
                let name = &self.names[*device];
                self.line(
                    json!({ "event": "vanished", "device": name, "seconds": seconds }),
                    format!("{name}: pulled out; plug it in again within {seconds} s"),
                );
            }
            Report::Returned { device, target } => {
                let before = std::mem::replace(&mut self.names[*device], name_of(target));
                let name = &self.names[*device];
                self.told.remove(device);
                self.line(
                    json!({ "event": "returned", "device": name, "before": before, "target": target }),
                    format!("{name}: is back (was {before}), going on"),
                );
            }
            Report::Deaf(error) => {
                let text = render(*error);
                self.line(
                    json!({ "event": "deaf", "error": text }),
                    format!("no stick is taken any more: {text}"),
                );
            }
        }
    }

    /// A receipt was written.
    pub(super) fn receipt(&self, device: usize, path: &Path, label: &str) {
        let name = &self.names[device];
        self.line(
            json!({ "event": "receipt", "device": name, "path": path, "label": label }),
            format!("{name}: receipt {}\n{label}", path.display()),
        );
    }

    /// Somebody asked for the end.
    pub(super) fn stopping(&mut self) {
        self.line(
            json!({ "event": "stopping" }),
            "stopping; what is being written will not be bootable".into(),
        );
    }

    fn line(&self, object: Value, text: String) {
        match self.json {
            true => out(&format!("{object}\n")),
            false => out(&format!("{text}\n")),
        }
    }

    fn progress(&mut self, event: &Event) {
        let name = &self.names[event.device];
        if self.json {
            let mut value = json!(event);
            value["event"] = json!("progress");
            value["device"] = json!(name);
            return out(&format!("{value}\n"));
        }
        let Event { phase, bytes, total, rate, eta, waits, .. } = event;
        let tenth = total.and_then(|total| bytes.saturating_mul(10).checked_div(total));
        // Where the end is not known, a line for each gibibyte.
        let step = tenth.unwrap_or(bytes >> 30);
        if let Some(seconds) = waits.filter(|seconds| seconds % 10 == 0) {
            out(&format!("{name}: no answer for {seconds} s\n"));
        }
        if self.told.insert(event.device, (*phase, step)) != Some((*phase, step)) {
            let done = tenth.map_or_else(|| format!(" {}", Bytes(*bytes)), |tenth| format!(" {tenth}0 %"));
            let rate = if *rate > 0 { format!(", {}/s", Bytes(*rate)) } else { String::new() };
            let left = eta.map(|s| format!(", {s} s left")).unwrap_or_default();
            out(&format!("{name}: {phase}{done}{rate}{left}\n"));
        }
    }

    /// Tells what a device ended as; people read about failures at the end, on standard error.
    fn end(&self, device: usize, end: &Ended) {
        let name = &self.names[device];
        if let Outcome::Complete { length, skipped, sha256, written, ms } = &end.outcome {
            let object = json!({
                "event": "complete", "device": name, "bytes": length, "written": written,
                "skipped": skipped, "sha256": sha256, "ms": ms,
            });
            let rate = Bytes(length.saturating_mul(1000) / (*ms).max(1));
            let (length, time) = (Bytes(*length), seconds(*ms));
            let of = match skipped {
                0 => String::new(),
                some => format!(" of all but {} that are not needed", Bytes(*some)),
            };
            return self.line(
                object,
                format!(
                    "{name}: complete and read back, {length} in {time} ({rate}/s), SHA-256{of} {sha256}"
                ),
            );
        }
        let (disk, text, code) = told(end);
        self.line(
            json!({ "event": "failed", "device": name, "disk": disk, "error": text, "code": code }),
            format!("{name}: FAILED, {}", text.lines().next().unwrap_or_default()),
        );
    }

    /// What every device ended as, when there are several.
    pub(super) fn table(&self, ended: &[Ended]) {
        let complete = ended.iter().filter(|end| matches!(end.outcome, Outcome::Complete { .. })).count();
        if self.json {
            return out(&format!(
                "{}\n",
                json!({ "event": "end", "complete": complete, "failed": ended.len() - complete })
            ));
        }
        if ended.len() > 1 {
            out(&table(self.batch, ended));
        }
    }
}

fn table(batch: &Batch, ended: &[Ended]) -> String {
    let mut text = format!(
        "\n{:<14} {:<12} {:<10} {:<8} {:<16} image\n",
        "device", "outcome", "written", "time", "serial"
    );
    for Ended { target, plan, outcome, .. } in ended {
        let (word, written, time) = match outcome {
            Outcome::Complete { written, ms, .. } => ("complete", Bytes(*written).to_string(), seconds(*ms)),
            Outcome::Untouched(_) => ("untouched", "-".into(), "-".into()),
            Outcome::NotBootable(_) => ("NOT BOOTABLE", "-".into(), "-".into()),
        };
        let serial = target.hardware.as_ref().and_then(|hardware| hardware.serial.as_deref()).unwrap_or("-");
        let image = batch.writes.get(*plan).and_then(|plan| plan.image.path.file_name());
        let image = image.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = target.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let cells = [
            (Shown(&name.unwrap_or_default()).to_string(), 14),
            (word.to_owned(), 12),
            (written, 10),
            (time, 8),
            (Shown(serial).to_string(), 16),
        ];
        let row: String = cells.iter().map(|(cell, width)| format!("{} ", fitted(cell, *width))).collect();
        text.push_str(format!("{row}{}", fitted(&Shown(&image).to_string(), 15)).trim_end());
        text.push('\n');
    }
    text
}

/// A cell of a fixed width; of a text that is too long the end stays, which tells serial numbers apart.
fn fitted(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return column(text, width);
    }
    let end: String = text.chars().skip(length + 2 - width).collect();
    format!("..{end}")
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn name_of(target: &TargetDisk) -> String {
    target.path.display().to_string()
}

/// The state of a device that failed, the text of the failure, and the exit code that belongs to it.
fn told(end: &Ended) -> (DiskState, String, u8) {
    let (disk, failure) = match &end.outcome {
        Outcome::Untouched(failure) => (DiskState::Untouched, Some(failure)),
        Outcome::NotBootable(failure) => (DiskState::NotInstalled, Some(failure)),
        Outcome::Complete { .. } => (DiskState::Untouched, None),
    };
    let text = failure.map(|failure| render(failure)).unwrap_or_default();
    let code = failure.map_or(0, Hint::exit_code);
    (disk, text, code)
}

/// The failure of a device as an error; `None` for one that is complete.
pub(super) fn failure(end: Ended) -> Option<Error> {
    let (disk, failure) = match end.outcome {
        Outcome::Complete { .. } => return None,
        Outcome::Untouched(failure) => (DiskState::Untouched, failure),
        Outcome::NotBootable(failure) => (DiskState::NotInstalled, failure),
    };
    Some(Error::Flash { device: end.target.path, disk, source: Box::new(failure) })
}
