//! The disks as they were when they were last read, and how a new reading differs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::pending::{Pending, Touched};
use crate::{
    error::Error,
    inventory::{self, Disk},
    tree::Tree,
};

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Change {
    /// A disk is there.
    Added {
        /// What it is now.
        disk: Box<Disk>,
    },
    /// A disk is no longer there.
    Removed {
        /// What it was.
        disk: Box<Disk>,
    },
    /// A disk has other properties.
    Changed {
        /// What it is now.
        disk: Box<Disk>,
        /// Names of the properties that differ, as they are in JSON.
        what: Vec<String>,
    },
    /// Events were lost. Changes until [`Change::Rescanned`] were found by a look at everything.
    Lost,
    /// The picture is whole again.
    Rescanned,
}

/// The disks, and what is built upon them.
#[derive(Debug, Default)]
pub(super) struct Picture {
    disks: BTreeMap<String, Disk>,
    /// Devices that are made from disks, such as `dm-0`, with these disks.
    built: BTreeMap<String, BTreeSet<String>>,
}

impl Picture {
    pub(super) fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.disks.values()
    }

    /// Reads every device.
    pub(super) fn look_at_all(&mut self, tree: &Tree, pending: &Pending) -> Result<Vec<Change>, Error> {
        let mut names: BTreeSet<String> = inventory::names(tree)?.into_iter().collect();
        self.built.clear();
        for name in &names {
            let below = backing(tree, name)?;
            if !below.is_empty() {
                self.built.insert(name.clone(), below);
            }
        }
        names.extend(self.disks.keys().cloned());
        self.read(tree, pending, names)
    }

    /// Reads what events were about, and the disks below it.
    pub(super) fn look_at(&mut self, tree: &Tree, pending: &Pending) -> Result<Vec<Change>, Error> {
        let mut names = BTreeSet::new();
        for name in pending.touched.keys() {
            names.insert(name.clone());
            let below = backing(tree, name)?;
            names.extend(below.iter().cloned());
            let before = match below.is_empty() {
                true => self.built.remove(name),
                false => self.built.insert(name.clone(), below),
            };
            names.extend(before.unwrap_or_default());
        }
        self.read(tree, pending, names)
    }

    fn read(
        &mut self,
        tree: &Tree,
        pending: &Pending,
        names: BTreeSet<String>,
    ) -> Result<Vec<Change>, Error> {
        let touched = |name: &String| pending.touched.get(name).copied().unwrap_or_default();
        let there = names.iter().filter(|name| pending.lost || !touched(name).gone);
        let mut now = inventory::disks_named(tree, there)?;
        now.extend(self.disks.values().filter(|disk| !names.contains(&disk.name)).cloned());
        // A disk that comes can have the serial number of one that is there.
        inventory::tell_apart(&mut now);
        let now = now.into_iter().map(|disk| (disk.name.clone(), disk)).collect();
        let before = std::mem::replace(&mut self.disks, now);
        let names: BTreeSet<&String> = before.keys().chain(self.disks.keys()).collect();
        let mut changes = Vec::new();
        for name in names {
            compare(before.get(name), self.disks.get(name), touched(name), &mut changes);
        }
        // What went makes room for what came.
        changes.sort_by_key(|change| !matches!(change, Change::Removed { .. }));
        Ok(changes)
    }
}

fn compare(before: Option<&Disk>, after: Option<&Disk>, touched: Touched, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let boxed = |disk: &Disk| Box::new(disk.clone());
    if let (Some(before), Some(disk)) = (before, after)
        && !is_another(before, disk, touched)
    {
        changes.push(Change::Changed { disk: boxed(disk), what: differences(before, disk) });
        return;
    }
    changes.extend(before.map(|disk| Change::Removed { disk: boxed(disk) }));
    changes.extend(after.map(|disk| Change::Added { disk: boxed(disk) }));
}

/// Whether a name has passed to another disk. The number of the appearance alone does not tell: it changes with the
/// card in a reader too.
fn is_another(before: &Disk, after: &Disk, touched: Touched) -> bool {
    let identity = |disk: &Disk| (disk.transport, disk.model.clone(), disk.serial.clone(), disk.wwn.clone());
    touched.replaced && before.diskseq != after.diskseq || identity(before) != identity(after)
}

/// Names of the properties that differ. JSON has all of them, also those that this module does not know.
fn differences(before: &Disk, after: &Disk) -> Vec<String> {
    let properties = |disk: &Disk| match serde_json::to_value(disk) {
        Ok(serde_json::Value::Object(properties)) => properties,
        _ => serde_json::Map::new(),
    };
    let (mut before, after) = (properties(before), properties(after));
    let mut what: Vec<String> = Vec::new();
    for (name, value) in after {
        if before.remove(&name).is_none_or(|old| old != value) {
            what.push(name);
        }
    }
    what.extend(before.into_iter().map(|(name, _)| name));
    what
}

/// The disks below a device that is made from others.
fn backing(tree: &Tree, name: &str) -> Result<BTreeSet<String>, Error> {
    let mut below = inventory::if_there(inventory::backing_disks(tree, name.as_ref()))?.unwrap_or_default();
    below.remove(name);
    Ok(below)
}
