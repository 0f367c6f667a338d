//! `aegis-installer devices --watch`: the disks, then each change.
//!
//! In JSON each line is an object with `event`: first `present` for each disk, then `ready` with the `source` of events;
//! afterwards `added`, `removed`, `changed` with the names of the properties in `what`, `lost`, and `rescanned` when a
//! look at everything has healed a loss.

use std::{collections::BTreeSet, io, os::fd::AsFd};

use aegis_core::uevent::Origin;
use aegis_hw::{
    Tree,
    inventory::Disk,
    watch::{Change, End, Watch},
};
use nix::sys::signalfd::SfdFlags;
use serde_json::{Value, json};

use super::{DevicesArgs, Entry};
use crate::{
    cli::{lines, signals},
    error::Error,
};

/// Watches until a signal asks for the end, or standard output is closed.
pub(super) fn run(tree: &Tree, medium: &BTreeSet<String>, args: &DevicesArgs) -> Result<(), Error> {
    if tree.is_recorded() {
        return Err(Error::WatchOfRecording);
    }
    let printer = Printer { medium, json: args.json };
    let signals = signals::take(SfdFlags::empty()).map_err(Error::io("receive", "signals"))?;
    let mut watch = Watch::open(tree, args.receive_buffer)?;
    watch.disks().for_each(|disk| printer.disk("present", disk));
    printer.ready(watch.origin());
    let stdout = io::stdout();
    let ends = [End::Readable(signals.as_fd()), End::Closed(stdout.as_fd())];
    while let Some(changes) = watch.wait(&ends)? {
        changes.iter().for_each(|change| printer.change(change));
    }
    Ok(())
}

struct Printer<'a> {
    medium: &'a BTreeSet<String>,
    json: bool,
}

impl Printer<'_> {
    fn line(&self, object: Value, text: &str) {
        match self.json {
            true => lines::out(&format!("{object}\n")),
            false => lines::out(&format!("{text}\n")),
        }
    }

    fn disk(&self, event: &str, disk: &Disk) {
        let entry = Entry { disk, medium: self.medium };
        if !self.json && event == "present" {
            return lines::out(&entry.text());
        }
        let mut object = entry.json();
        object["event"] = event.into();
        self.line(object, &format!("{event:<9}{}  {}", disk.node.display(), disk.summary()));
    }

    fn ready(&self, origin: Origin) {
        let source = match origin {
            Origin::Kernel => "kernel",
            Origin::Udev => "udev",
        };
        self.line(
            json!({ "event": "ready", "source": source }),
            &format!("watching by events of {source}; Ctrl-C ends"),
        );
    }

    fn change(&self, change: &Change) {
        match change {
            Change::Added { disk } => self.disk("added", disk),
            Change::Removed { disk } => self.disk("removed", disk),
            Change::Changed { disk, what } => {
                let mut object = Entry { disk, medium: self.medium }.json();
                object["event"] = "changed".into();
                object["what"] = what.clone().into();
                let what = what.join(", ");
                self.line(object, &format!("changed  {}  {}: {what}", disk.node.display(), disk.summary()));
            }
            Change::Lost => {
                self.line(json!({ "event": "lost" }), "events were lost; every disk was looked at again:");
            }
            Change::Rescanned => {
                self.line(json!({ "event": "rescanned" }), "the list is whole again");
            }
        }
    }
}
