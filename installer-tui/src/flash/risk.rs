//! How a device is confirmed before it is erased, by what it is and what is on it.
//!
//! Invariant: the more would be lost, the more has to be typed. Where the inventory is not sure of something, it counts as
//! the worse case.

use std::fmt;

use aegis_hw::{
    Bytes,
    inventory::{Content, Disk, System},
    text::Shown,
};

/// Largest stick of which a blank one is confirmed by a plain yes. What is sold as 64 GB has up to 64.2 GB.
pub const SMALL: Bytes = Bytes(64 << 30);
/// Largest stick that is confirmed without its serial number. What is sold as 128 GB has up to 128.4 GB.
pub const LARGE: Bytes = Bytes(128 << 30);

/// What is asked before a device is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Care {
    /// A plain yes, on a button that is not the first one: it is a small removable stick without a table or a file system.
    Yes,
    /// A yes below the list of what is on it.
    Listed,
    /// Its serial number, typed, for these reasons.
    Serial(Vec<Danger>),
}

/// Why a device is only confirmed by its serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Danger {
    /// It cannot be taken out of the machine.
    Internal,
    /// It is larger than [`LARGE`].
    Large,
    /// An operating system is on it.
    System(String),
    /// It is encrypted: whoever wrote to it thought it worth the trouble.
    Encrypted(String),
    /// It is a part of a RAID, of LVM or of another larger thing.
    Member(String),
    /// Signs of several contents, so nobody knows which one it is.
    Unclear(String),
    /// Another device has the same serial number.
    SharedSerial,
    /// What is on it or what uses it could not be found out.
    Unknown,
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internal => f.write_str("it cannot be taken out"),
            Self::Large => write!(f, "it is larger than {LARGE}"),
            Self::System(what) => write!(f, "an operating system is on it: {what}"),
            Self::Encrypted(on) => write!(f, "{} is encrypted", Shown(on)),
            Self::Member(on) => write!(f, "{} is a part of something larger", Shown(on)),
            Self::Unclear(on) => write!(f, "{} has signs of several contents", Shown(on)),
            Self::SharedSerial => f.write_str("another device has the same serial number"),
            Self::Unknown => f.write_str("what is on it cannot be found out"),
        }
    }
}

/// Grades a device. `systems` are those of the whole inventory.
pub fn care(disk: &Disk, systems: &[System]) -> Care {
    let dangers = dangers(disk, systems);
    match dangers.is_empty() {
        false => Care::Serial(dangers),
        true if is_blank(disk) && disk.size <= SMALL => Care::Yes,
        true => Care::Listed,
    }
}

/// Whether nothing is on a device that anything recognises: no table, no partition, no file system, nobody who uses it.
pub fn is_blank(disk: &Disk) -> bool {
    let bare = disk.table.is_none() && disk.content.is_none() && disk.partitions.is_empty();
    let unused = disk.uses_known && disk.uses.is_empty() && disk.holders.is_empty();
    bare && unused && disk.faults.is_empty() && disk.size > Bytes(0)
}

/// What would be lost, a line for each: what the whole device holds, then its partitions.
pub fn holds(disk: &Disk) -> Vec<String> {
    let whole = disk.content.iter().map(|content| format!("{} {content}", Shown(&disk.name)));
    let parts = disk.partitions.iter().map(|partition| {
        let content = partition.content.as_ref().map(|content| format!(" {content}")).unwrap_or_default();
        let label = partition.label.as_deref().map(|label| format!(" ({})", Shown(label)));
        let label = label.unwrap_or_default();
        format!("{} {}{content}{label}", Shown(&partition.name), partition.size)
    });
    let all: Vec<String> = whole.chain(parts).collect();
    match (all.is_empty(), &disk.table) {
        (true, Some(table)) => vec![format!("an empty table of the form {}", Shown(table))],
        _ => all,
    }
}

fn dangers(disk: &Disk, systems: &[System]) -> Vec<Danger> {
    let mut found = Vec::new();
    if !disk.removable {
        found.push(Danger::Internal);
    }
    if disk.size > LARGE {
        found.push(Danger::Large);
    }
    let own = systems.iter().filter(|system| system.disk == disk.name);
    found.extend(own.map(|system| Danger::System(system.to_string())));
    let whole = disk.content.iter().map(|content| (&disk.name, content));
    let parts = disk.partitions.iter().filter_map(|part| Some((&part.name, part.content.as_ref()?)));
    found.extend(whole.chain(parts).filter_map(|(name, content)| of_content(name, content)));
    let parts = disk.partitions.iter().map(|part| (&part.name, &part.holders));
    let held = [(&disk.name, &disk.holders)].into_iter().chain(parts);
    for (name, _) in held.filter(|(_, holders)| !holders.is_empty()) {
        let member = Danger::Member(name.clone());
        if !found.contains(&member) {
            found.push(member);
        }
    }
    if disk.told_apart_by.is_some() {
        found.push(Danger::SharedSerial);
    }
    if !disk.uses_known || !disk.faults.is_empty() {
        found.push(Danger::Unknown);
    }
    found
}

/// By the names of libblkid; those of RAID and its kin end in `_member`.
fn of_content(name: &str, content: &Content) -> Option<Danger> {
    let name = name.to_owned();
    match content.kind.as_str() {
        kind if kind.contains('+') => Some(Danger::Unclear(name)),
        "BitLocker" => Some(Danger::Encrypted(name)),
        kind if kind.starts_with("crypto_") => Some(Danger::Encrypted(name)),
        "bcache" | "stratis" | "ceph_bluestore" | "drbd" => Some(Danger::Member(name)),
        kind if kind.ends_with("_member") => Some(Danger::Member(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aegis_hw::inventory::{Fault, Partition, Source, SystemKind, Transport, Use};

    use super::*;

    fn stick() -> Disk {
        Disk {
            name: "sdb".into(),
            size: Bytes(30_752_636_928),
            logical_sector: 512,
            serial: Some("4C530001".into()),
            removable: true,
            transport: Transport::Usb,
            uses_known: true,
            ..Disk::default()
        }
    }

    fn content(kind: &str) -> Option<Content> {
        Some(Content { kind: kind.into(), label: None, uuid: None, version: None, source: Source::Udev })
    }

    fn with_partition(kind: &str) -> Disk {
        let partition = Partition { name: "sdb1".into(), content: content(kind), ..Partition::default() };
        Disk { partitions: vec![partition], table: Some("dos".into()), ..stick() }
    }

    fn dangers_of(disk: &Disk) -> Vec<Danger> {
        match care(disk, &[]) {
            Care::Serial(dangers) => dangers,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_blank_small_stick_is_confirmed_by_a_plain_yes() {
        assert_eq!(care(&stick(), &[]), Care::Yes);
        let sold_as_64 = Disk { size: Bytes(64_160_400_896), ..stick() };
        assert_eq!(care(&sold_as_64, &[]), Care::Yes);
        let no_serial = Disk { serial: None, ..stick() };
        assert_eq!(care(&no_serial, &[]), Care::Yes);
        for size in [Bytes(SMALL.0 + 1), Bytes(128_320_801_792), LARGE] {
            assert_eq!(care(&Disk { size, ..stick() }, &[]), Care::Listed, "{size}");
        }
        assert_eq!(care(&Disk { table: Some("gpt".into()), ..stick() }, &[]), Care::Listed);
        assert_eq!(care(&Disk { content: content("iso9660"), ..stick() }, &[]), Care::Listed);
        assert_eq!(care(&with_partition("vfat"), &[]), Care::Listed);
    }

    #[test]
    fn what_is_large_or_built_in_takes_the_serial_number() {
        assert_eq!(dangers_of(&Disk { size: Bytes(LARGE.0 + 1), ..stick() }), [Danger::Large]);
        assert_eq!(dangers_of(&Disk { removable: false, ..stick() }), [Danger::Internal]);
        let shared = Disk { told_apart_by: Some("1-2".into()), ..stick() };
        assert_eq!(dangers_of(&shared), [Danger::SharedSerial]);
    }

    #[test]
    fn what_belongs_to_something_larger_takes_the_serial_number() {
        let encrypted = [Danger::Encrypted("sdb1".into())];
        let member = [Danger::Member("sdb1".into())];
        for kind in ["crypto_LUKS", "BitLocker"] {
            assert_eq!(dangers_of(&with_partition(kind)), encrypted, "{kind}");
        }
        for kind in ["linux_raid_member", "LVM2_member", "isw_raid_member", "zfs_member", "bcache"] {
            assert_eq!(dangers_of(&with_partition(kind)), member, "{kind}");
            let whole = Disk { content: content(kind), ..stick() };
            assert_eq!(dangers_of(&whole), [Danger::Member("sdb".into())], "{kind}");
        }
        assert_eq!(dangers_of(&with_partition("ext4+ntfs")), [Danger::Unclear("sdb1".into())]);
        let mut held = with_partition("LVM2_member");
        held.partitions[0].holders = vec!["dm-0".into()];
        assert_eq!(dangers_of(&held), member);
        held.partitions[0].content = None;
        assert_eq!(dangers_of(&held), member);
    }

    #[test]
    fn a_system_on_it_takes_the_serial_number_and_one_elsewhere_does_not() {
        let system = |disk: &str| System {
            kind: SystemKind::Linux,
            name: None,
            disk: disk.into(),
            devices: vec![format!("{disk}2")],
            evidence: "the type of its root partition".into(),
        };
        assert_eq!(care(&stick(), &[system("sda")]), Care::Yes);
        let Care::Serial(dangers) = care(&stick(), &[system("sda"), system("sdb")]) else { panic!() };
        assert!(matches!(&dangers[..], [Danger::System(what)] if what.starts_with("Linux on sdb2")));
    }

    #[test]
    fn what_is_not_known_is_not_blank() {
        let fault = Fault { file: "size".into(), error: "input/output error".into() };
        let used = Use::Holder { device: "sdb".into(), through: Vec::new(), by: "dm-0".into() };
        for disk in [
            Disk { uses_known: false, ..stick() },
            Disk { faults: vec![fault], ..stick() },
            Disk { size: Bytes(0), ..stick() },
            Disk { uses: vec![used], ..stick() },
        ] {
            assert!(!is_blank(&disk), "{disk:?}");
            assert_ne!(care(&disk, &[]), Care::Yes, "{disk:?}");
        }
    }

    #[test]
    fn what_would_be_lost_is_listed_and_cannot_move_the_cursor() {
        let mut disk = with_partition("vfat");
        disk.partitions[0].size = Bytes(7 << 30);
        disk.partitions[0].label = Some("\u{202e}Data\x1b[2J".into());
        assert_eq!(holds(&disk), ["sdb1 7.0 GiB vfat (\\u{202e}Data\\u{1b}[2J)"]);
        assert_eq!(holds(&stick()), [""; 0]);
        assert_eq!(holds(&Disk { table: Some("gpt".into()), ..stick() }), ["an empty table of the form gpt"]);
        assert_eq!(holds(&Disk { content: content("iso9660"), ..stick() }), ["sdb iso9660"]);
    }
}
