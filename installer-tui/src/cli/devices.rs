//! `aegis-installer devices`: the disks, once or for as long as they change.

mod watch;

use std::collections::BTreeSet;

use aegis_hw::{
    Bytes, Tree,
    inventory::{self, Disk},
    text::Shown,
};
use serde_json::{Value, json};

use super::{PathArgs, lines};
use crate::{error::Error, select};

#[derive(Debug, clap::Args)]
pub(super) struct DevicesArgs {
    /// Prints JSON: a list, or with --watch one object a line.
    #[arg(long)]
    json: bool,

    /// Goes on with a line for each disk that comes, goes or changes.
    ///
    /// Ends with Ctrl-C, or when nobody reads any more.
    #[arg(long)]
    watch: bool,

    /// Bytes of events that may wait to be read while watching.
    ///
    /// Events that do not fit are lost; every disk is then looked at again.
    #[arg(long, value_name = "BYTES", requires = "watch", default_value_t = aegis_hw::uevents::RECEIVE_BUFFER)]
    receive_buffer: usize,
}

/// A disk with what was found out about it, for people and machines.
struct Entry<'a> {
    disk: &'a Disk,
    /// Names of the disks that the running system came from.
    medium: &'a BTreeSet<String>,
}

pub(super) fn run(paths: &PathArgs, args: &DevicesArgs) -> Result<(), Error> {
    let tree = paths.tree();
    let medium = select::medium_disks(&tree, &paths.state)?;
    if args.watch {
        return watch::run(&tree, &medium, args);
    }
    list(&tree, &medium, args.json)
}

fn list(tree: &Tree, medium: &BTreeSet<String>, json: bool) -> Result<(), Error> {
    let disks = inventory::disks(tree)?;
    let entries = disks.iter().map(|disk| Entry { disk, medium });
    if json {
        let list: Vec<_> = entries.map(|entry| entry.json()).collect();
        lines::out(&format!("{:#}\n", Value::from(list)));
        return Ok(());
    }
    entries.for_each(|entry| lines::out(&entry.text()));
    Ok(())
}

impl Entry<'_> {
    fn json(&self) -> Value {
        let Self { disk, medium } = self;
        json!({ "disk": disk, "confirm": disk.confirm_token(), "refused": disk.refusals(*medium, Bytes(0)) })
    }

    fn text(&self) -> String {
        let Self { disk, medium } = self;
        let mut text = format!("{}  {}\n", disk.node.display(), disk.summary());
        for partition in &disk.partitions {
            text.push_str(&format!("    {}  {}\n", Shown(&partition.name), partition.size));
        }
        for reason in disk.refusals(*medium, Bytes(0)) {
            text.push_str(&format!("    not offered: {reason}\n"));
        }
        text
    }
}
