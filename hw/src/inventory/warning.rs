//! What a person should know before choosing a disk.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    disk::{Disk, Transport},
    usb::Slow,
};
use crate::text::Shown;

/// Something about disks that is no reason against them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Disks with one serial number: it does not tell them apart.
    SharedSerial {
        /// Their names.
        disks: Vec<String>,
        /// The number.
        serial: String,
    },
    /// Disks with one world-wide name: several ways to the same disk.
    SameDisk {
        /// Their names.
        disks: Vec<String>,
        /// The name.
        wwn: String,
    },
    /// A disk is slower than it could be elsewhere.
    Slow {
        /// Its name.
        disk: String,
        /// Why.
        slow: Slow,
    },
    /// Commands to a disk failed.
    Errors {
        /// Its name.
        disk: String,
        /// How many.
        count: u64,
    },
    /// Partitions do not begin at physical sectors.
    Misaligned {
        /// Their names.
        partitions: Vec<String>,
    },
}

impl Warning {
    const fn code(&self) -> &'static str {
        match self {
            Self::SharedSerial { .. } => "shared_serial",
            Self::SameDisk { .. } => "same_disk",
            Self::Slow { .. } => "slow",
            Self::Errors { .. } => "errors",
            Self::Misaligned { .. } => "misaligned",
        }
    }

    /// The disks or partitions that it is about.
    pub fn devices(&self) -> &[String] {
        match self {
            Self::SharedSerial { disks, .. } | Self::SameDisk { disks, .. } => disks,
            Self::Slow { disk, .. } | Self::Errors { disk, .. } => std::slice::from_ref(disk),
            Self::Misaligned { partitions } => partitions,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedSerial { disks, serial } => {
                let (disks, serial) = (disks.join(", "), Shown(serial));
                write!(
                    f,
                    "{} have the same serial {serial}; each is confirmed with its port or name",
                    Shown(&disks)
                )
            }
            Self::SameDisk { disks, wwn } => {
                write!(f, "{} are ways to one disk, {}", Shown(&disks.join(", ")), Shown(wwn))
            }
            Self::Slow { disk, slow } => write!(f, "{} {slow}", Shown(disk)),
            Self::Errors { disk, count } => {
                write!(f, "{} failed {count} times since it appeared; it may be dying", Shown(disk))
            }
            Self::Misaligned { partitions } => {
                let partitions = partitions.join(", ");
                write!(f, "slow, as they do not begin at a physical sector: {}", Shown(&partitions))
            }
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("warning", self.code())?;
        map.serialize_entry("devices", self.devices())?;
        map.serialize_entry("text", &self.to_string())?;
        map.end()
    }
}

/// Failed commands from which on a disk is suspected. Drives refuse a few optional commands when they are first asked.
const SUSPICIOUS: u64 = 16;

/// Finds them, and marks disks that share their serial number.
pub(super) fn find(disks: &mut [Disk]) -> Vec<Warning> {
    let mut warnings = same_disk(disks);
    warnings.extend(shared_serials(disks));
    for disk in disks.iter() {
        let slow = disk.usb.as_ref().and_then(|usb| usb.slow.clone());
        warnings.extend(slow.map(|slow| Warning::Slow { disk: disk.name.clone(), slow }));
        let errors = disk.io_errors.filter(|count| *count >= SUSPICIOUS);
        warnings.extend(errors.map(|count| Warning::Errors { disk: disk.name.clone(), count }));
        warnings.extend(misaligned(disk));
    }
    warnings
}

/// Groups of two and more.
fn groups<'a, K: Ord>(
    disks: &'a [Disk],
    key: impl Fn(&'a Disk) -> Option<K>,
) -> impl Iterator<Item = (K, Vec<usize>)> {
    let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (index, disk) in disks.iter().enumerate() {
        if let Some(key) = key(disk) {
            groups.entry(key).or_default().push(index);
        }
    }
    groups.into_iter().filter(|(_, members)| members.len() > 1)
}

fn names(disks: &[Disk], members: &[usize]) -> Vec<String> {
    members.iter().filter_map(|index| disks.get(*index)).map(|disk| disk.name.clone()).collect()
}

/// Only names that SCSI and NVMe make unique; sticks invent theirs.
fn same_disk(disks: &[Disk]) -> Vec<Warning> {
    let unique = |disk: &Disk| matches!(disk.transport, Transport::Scsi | Transport::Nvme | Transport::Ata);
    let key = |disk: &'_ Disk| disk.wwn.clone().filter(|_wwn| unique(disk)).map(|wwn| (wwn, disk.size));
    groups(disks, key)
        .map(|((wwn, _), members)| Warning::SameDisk { disks: names(disks, &members), wwn })
        .collect()
}

fn shared_serials(disks: &mut [Disk]) -> Vec<Warning> {
    // Every slot of a card reader has the reader's number; those that are empty are not chosen.
    let found: Vec<_> = groups(disks, |disk| disk.serial.clone().filter(|_serial| disk.size.0 > 0)).collect();
    let mut warnings = Vec::new();
    for (serial, members) in found {
        let wwns: Vec<_> = members.iter().filter_map(|index| disks.get(*index)?.wwn.as_ref()).collect();
        let one_disk = wwns.len() == members.len() && wwns.windows(2).all(|two| two[0] == two[1]);
        let listed = names(disks, &members);
        let ports: Vec<_> = members.iter().map(|index| disks.get(*index).and_then(port)).collect();
        for (index, own) in members.iter().zip(&ports) {
            let alone = ports.iter().filter(|port| *port == own).count() == 1;
            if let Some(disk) = disks.get_mut(*index) {
                disk.told_apart_by = own.clone().filter(|_port| alone).or_else(|| Some(disk.name.clone()));
            }
        }
        if !one_disk {
            warnings.push(Warning::SharedSerial { disks: listed, serial });
        }
    }
    warnings
}

fn port(disk: &Disk) -> Option<String> {
    disk.usb.as_ref().map(|usb| usb.port.clone())
}

fn misaligned(disk: &Disk) -> Option<Warning> {
    let physical = u64::from(disk.physical_sector.max(1));
    let off = |start: u64| start.wrapping_sub(u64::from(disk.alignment_offset)) % physical != 0;
    let wrong = disk.partitions.iter().filter(|partition| partition.start > 0 && off(partition.start));
    let partitions: Vec<String> = wrong.map(|partition| partition.name.clone()).collect();
    (!partitions.is_empty()).then_some(Warning::Misaligned { partitions })
}
