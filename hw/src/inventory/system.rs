//! Operating systems on disks, as far as they show without mounting anything.

use std::fmt;

use serde::Serialize;

use super::{
    disk::{Disk, Partition},
    usage::Usage,
    volume::Volume,
};
use crate::tree::Tree;

/// Which operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemKind {
    /// Aegis OS.
    Aegis,
    /// Windows.
    Windows,
    /// Another Linux.
    Linux,
    /// macOS.
    Macos,
}

/// An operating system, and what it was recognised by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct System {
    /// Which one.
    pub kind: SystemKind,
    /// Its own name, where it could be read.
    pub name: Option<String>,
    /// Disk by its kernel name.
    pub disk: String,
    /// Partitions or volumes, or the disk itself.
    pub devices: Vec<String>,
    /// What it was recognised by.
    pub evidence: String,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or(match self.kind {
            SystemKind::Aegis => "Aegis OS",
            SystemKind::Windows => "Windows",
            SystemKind::Linux => "Linux",
            SystemKind::Macos => "macOS",
        });
        write!(
            f,
            "{} on {}, by {}",
            crate::text::Shown(name),
            crate::text::Shown(&self.devices.join(", ")),
            self.evidence
        )
    }
}

// Types of partitions: Microsoft's documentation of `PARTITION_INFORMATION_GPT`, the Discoverable Partitions
// Specification, and Apple's Technical Note TN2166.
const MICROSOFT_RESERVED: &str = "e3c9e316-0b5c-4db8-817d-f92df00215ae";
const LINUX_ROOT_X86_64: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
const APPLE_APFS: &str = "7c3457ef-0000-11aa-aa11-00306543ecac";
const APPLE_HFS: &str = "48465300-0000-11aa-aa11-00306543ecac";

/// Fewest partitions with GUIDs of one installation.
const AEGIS_PARTITIONS: usize = 4;

pub(super) fn find(tree: &Tree, disks: &[Disk], volumes: &[Volume], usage: &Usage) -> Vec<System> {
    let mut found = Vec::new();
    for disk in disks {
        let aegis = aegis(disk);
        let known: Vec<String> = aegis.iter().flat_map(|system| system.devices.clone()).collect();
        found.extend(aegis);
        found.extend(windows(disk));
        found.extend(macos(disk));
        found.extend(mounted(tree, disk, volumes, usage, &known));
        found.extend(linux(disk, &known, &found));
    }
    found
}

fn system(kind: SystemKind, disk: &Disk, partitions: &[&Partition], evidence: String) -> Option<System> {
    let devices: Vec<String> = partitions.iter().map(|partition| partition.name.clone()).collect();
    (!devices.is_empty()).then(|| System { kind, name: None, disk: disk.name.clone(), devices, evidence })
}

/// GUIDs of version 8 that differ in the last digit alone, which is the role: `aegis_core::install::InstallId`.
fn aegis(disk: &Disk) -> Option<System> {
    let role = |partition: &&Partition| {
        let guid = partition.guid.as_deref().filter(|guid| guid.len() == 36 && guid.is_ascii())?;
        let digit = guid.get(35..)?.chars().next()?.to_digit(16)?;
        let (stem, version) = (guid.get(..35)?.to_ascii_lowercase(), guid.get(14..15)?);
        (version == "8" && digit == partition.number).then_some(stem)
    };
    let first = disk.partitions.iter().find_map(|partition| role(&partition))?;
    let ours = |partition: &&Partition| role(partition).as_ref() == Some(&first);
    let partitions: Vec<&Partition> = disk.partitions.iter().filter(ours).collect();
    let enough = partitions.len() >= AEGIS_PARTITIONS;
    enough.then(|| system(SystemKind::Aegis, disk, &partitions, "GUIDs of one installation".into())).flatten()
}

/// Whether a partition is of a type in the table.
fn is_type(partition: &Partition, kind: &str) -> bool {
    partition.kind.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(kind))
}

fn holds(partition: &Partition, kind: &str) -> bool {
    partition.content.as_ref().is_some_and(|content| content.kind == kind)
}

fn windows(disk: &Disk) -> Option<System> {
    let of = |test: &dyn Fn(&&Partition) -> bool| disk.partitions.iter().filter(test).collect::<Vec<_>>();
    let locked = of(&|partition| holds(partition, "BitLocker"));
    if !locked.is_empty() {
        return system(SystemKind::Windows, disk, &locked, "BitLocker".into());
    }
    // NTFS alone is a disk for data.
    let volumes = of(&|partition| holds(partition, "ntfs"));
    let reserved = disk.partitions.iter().any(|partition| is_type(partition, MICROSOFT_RESERVED));
    let labelled = |partition: &&Partition| {
        let label = partition.content.as_ref().and_then(|content| content.label.as_deref());
        matches!(label, Some("System Reserved" | "Windows" | "Windows RE tools" | "Recovery"))
    };
    match (reserved, volumes.iter().any(labelled)) {
        (true, _) if !volumes.is_empty() => {
            system(SystemKind::Windows, disk, &volumes, "NTFS beside a Microsoft reserved partition".into())
        }
        (_, true) => system(SystemKind::Windows, disk, &volumes, "names of its NTFS volumes".into()),
        _ => None,
    }
}

fn macos(disk: &Disk) -> Option<System> {
    let apple = |partition: &&Partition| is_type(partition, APPLE_APFS) || is_type(partition, APPLE_HFS);
    let partitions: Vec<&Partition> = disk.partitions.iter().filter(apple).collect();
    system(SystemKind::Macos, disk, &partitions, "types of its partitions".into())
}

/// Systems whose root is mounted, by os-release(5).
fn mounted(tree: &Tree, disk: &Disk, volumes: &[Volume], usage: &Usage, known: &[String]) -> Vec<System> {
    let mut found: Vec<System> = Vec::new();
    let above = volumes
        .iter()
        .filter(|volume| volume.disks.contains(&disk.name))
        .map(|volume| (&volume.name, &volume.label));
    let own =
        disk.partitions.iter().map(|partition| &partition.name).chain([&disk.name]).map(|name| (name, name));
    for (device, label) in own.chain(above).filter(|(device, _)| !known.contains(device)) {
        let mounts = usage.mounts.iter().filter(|mount| mount.on.contains(device));
        // An image or a boot partition has no system of its own to tell of.
        let roots =
            mounts.filter(|mount| matches!(mount.kind.as_str(), "ext4" | "btrfs" | "xfs" | "f2fs" | "ext3"));
        for mount in roots {
            let path = format!("{}/etc/os-release", mount.at.trim_end_matches('/'));
            let Some(name) = tree.read(&path).ok().and_then(|text| pretty_name(&text)) else { continue };
            if !found.iter().any(|system| system.devices == [label.clone()]) {
                let evidence = format!("os-release at {}", crate::text::Shown(&mount.at));
                let (disk, devices) = (disk.name.clone(), vec![label.clone()]);
                found.push(System { kind: SystemKind::Linux, name: Some(name), disk, devices, evidence });
            }
        }
    }
    found
}

fn linux(disk: &Disk, known: &[String], found: &[System]) -> Option<System> {
    let taken =
        |name: &String| known.contains(name) || found.iter().any(|system| system.devices.contains(name));
    let root = |partition: &&Partition| is_type(partition, LINUX_ROOT_X86_64) && !taken(&partition.name);
    let partitions: Vec<&Partition> = disk.partitions.iter().filter(root).collect();
    system(SystemKind::Linux, disk, &partitions, "the type of its root partition".into())
}

fn pretty_name(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let value = value.trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.into())
}
