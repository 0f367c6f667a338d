//! Every block device of a machine and how they stand on each other: Linux `Documentation/ABI/stable/sysfs-block`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{disk::DeviceNumber, usage::Usage};
use crate::{
    error::Error,
    tree::{Directory, Tree},
    units::Bytes,
};

/// Unit of `size` and `start` in sysfs, whatever the sector size of the disk.
const SYSFS_SECTOR: u64 = 512;

/// What a block device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A disk of its own.
    Disk,
    /// An optical drive.
    Optical,
    /// RAID by the kernel, from other devices.
    Raid {
        /// Such as `raid1`.
        level: Option<String>,
        /// Such as `clean`, `active` and `inactive`.
        state: Option<String>,
        /// Members that the array has when it is complete.
        members: Option<u64>,
        /// Members that are missing.
        degraded: Option<u64>,
    },
    /// Encryption by device-mapper.
    Crypt,
    /// A volume of LVM.
    Lvm,
    /// Several ways to one disk, by device-mapper.
    Multipath,
    /// Anything else of device-mapper.
    Mapper,
    /// A file that is shown as a disk.
    Loop {
        /// The file.
        file: Option<String>,
    },
    /// Memory.
    Memory,
    /// Boot areas of eMMC, floppy drives, and what has no device behind it.
    Other,
    /// One of the ways to an NVMe namespace, which is listed by itself.
    Hidden,
}

/// A partition, as the kernel knows it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) device: Option<DeviceNumber>,
    pub(super) number: u32,
    pub(super) start: u64,
    pub(super) size: Bytes,
    pub(super) read_only: bool,
    pub(super) label: Option<String>,
    pub(super) guid: Option<String>,
    pub(super) holders: Vec<String>,
}

/// A block device that is no partition.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) name: String,
    /// Its directory, without links but for a loop device without a file.
    pub(super) directory: String,
    pub(super) kind: Kind,
    pub(super) device: Option<DeviceNumber>,
    /// Name by device-mapper.
    pub(super) label: Option<String>,
    pub(super) partitions: Vec<Part>,
    pub(super) slaves: Vec<String>,
    pub(super) holders: Vec<String>,
}

/// All of them, with what leads from one to another.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub(super) all: Vec<Block>,
    /// Kernel names of devices and partitions: index of the device, and of the partition.
    names: BTreeMap<String, (usize, Option<usize>)>,
    numbers: BTreeMap<DeviceNumber, String>,
    labels: BTreeMap<String, String>,
    /// Loop devices with their files.
    loops: Vec<(String, String)>,
}

impl Blocks {
    /// # Errors
    /// When the list of block devices cannot be read. A device that vanishes meanwhile is left out.
    pub(super) fn read(tree: &Tree) -> Result<Self, Error> {
        let mut blocks = Self::default();
        let names = tree.list("/sys/block")?;
        let sized = sized(tree);
        let has_size = |name: &str| sized.as_ref().is_none_or(|sized| sized.contains(name));
        for name in names {
            let listed = format!("/sys/block/{name}");
            // No question for each, as idle ones are most of what many machines list.
            let idle = is_loop(&name)
                && !(has_size(&name) && tree.text(&format!("{listed}/{BACKING_FILE}")).is_some());
            let block =
                if idle { Some(Block::idle(&name, listed)) } else { read_block(tree, &name, &listed) };
            if let Some(block) = block {
                blocks.add(block);
            }
        }
        Ok(blocks)
    }

    fn add(&mut self, block: Block) {
        let index = self.all.len();
        self.names.insert(block.name.clone(), (index, None));
        self.numbers.extend(block.device.map(|number| (number, block.name.clone())));
        for (number, part) in block.partitions.iter().enumerate() {
            self.names.insert(part.name.clone(), (index, Some(number)));
            self.numbers.extend(part.device.map(|number| (number, part.name.clone())));
        }
        self.labels.extend(block.label.clone().map(|label| (label, block.name.clone())));
        if let Kind::Loop { file: Some(file) } = &block.kind {
            self.loops.push((block.name.clone(), file.clone()));
        }
        self.all.push(block);
    }

    pub(super) fn by_number(&self, number: DeviceNumber) -> Option<String> {
        self.numbers.get(&number).cloned()
    }

    /// The kernel's name of what a path below `/dev` names.
    pub(super) fn by_path(&self, tree: &Tree, path: &str) -> Option<String> {
        let rest = path.strip_prefix("/dev/")?;
        let known = |name: &str| {
            let name = name.replace('/', "!");
            self.names.contains_key(&name).then_some(name)
        };
        let mapped = || self.labels.get(rest.strip_prefix("mapper/")?).cloned();
        let real = || known(tree.real(path).ok()?.strip_prefix("/dev/")?);
        known(rest).or_else(mapped).or_else(real)
    }

    /// As [`Blocks::by_path`], also for a bare name of the kernel or of device-mapper.
    pub(super) fn by_any_name(&self, tree: &Tree, path: &str) -> Option<String> {
        let last = path.rsplit('/').next()?;
        let bare = || self.names.contains_key(last).then(|| last.to_owned());
        self.by_path(tree, path).or_else(bare).or_else(|| self.labels.get(last).cloned())
    }

    pub(super) fn find(&self, name: &str) -> Option<&Block> {
        let (index, _) = self.names.get(name)?;
        self.all.get(*index)
    }

    fn part(&self, name: &str) -> Option<&Part> {
        let (index, part) = self.names.get(name)?;
        self.all.get(*index)?.partitions.get((*part)?)
    }

    /// The name that people know a device by.
    pub(super) fn label(&self, name: &str) -> String {
        let label = self.find(name).filter(|block| block.name == name).and_then(|block| block.label.clone());
        label.unwrap_or_else(|| name.into())
    }

    /// The devices directly above one: holders, partitions of what is no disk, and loop devices over files on it.
    pub(super) fn above(&self, name: &str, usage: &Usage) -> Vec<String> {
        let mut above = match (self.part(name), self.find(name)) {
            (Some(part), _) => part.holders.clone(),
            (None, Some(block)) => {
                let parts = block.partitions.iter().map(|part| part.name.clone());
                // Partitions of a disk are asked for by themselves.
                let own: Vec<String> = if block.kind == Kind::Disk { Vec::new() } else { parts.collect() };
                [block.holders.clone(), own].concat()
            }
            (None, None) => Vec::new(),
        };
        let on = self.loops.iter().filter(|(_, file)| usage.device_of(file) == Some(name));
        above.extend(on.map(|(device, _)| device.clone()));
        above
    }

    /// The devices directly below one.
    pub(super) fn below(&self, name: &str, usage: &Usage) -> Vec<String> {
        let Some(block) = self.find(name) else { return Vec::new() };
        if block.name != name {
            return vec![block.name.clone()];
        }
        match &block.kind {
            Kind::Loop { file: Some(file) } => usage.device_of(file).map(Into::into).into_iter().collect(),
            _ => block.slaves.clone(),
        }
    }

    /// The disks that a device is on in the end.
    pub(super) fn disks_of(&self, name: &str, usage: &Usage) -> BTreeSet<String> {
        let (mut found, mut seen, mut pending) = (BTreeSet::new(), BTreeSet::new(), vec![name.to_owned()]);
        while let Some(name) = pending.pop() {
            if !self.names.contains_key(&name) || !seen.insert(name.clone()) {
                continue;
            }
            match self.below(&name, usage) {
                below if below.is_empty() => {
                    found.insert(name);
                }
                below => pending.extend(below),
            }
        }
        found
    }
}

impl Block {
    /// A loop device without a file, of which machines have many.
    fn idle(name: &str, directory: String) -> Self {
        let (partitions, slaves, holders) = Default::default();
        let kind = Kind::Loop { file: None };
        Self { name: name.into(), directory, kind, device: None, label: None, partitions, slaves, holders }
    }
}

/// Names of the devices that have a size: proc_partitions(5). `None` where there is no such list, as in older recordings.
fn sized(tree: &Tree) -> Option<BTreeSet<String>> {
    let text = tree.read("/proc/partitions").ok()?;
    let names = text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        str::from_utf8(words.nth(3)?).ok()
    });
    Some(names.map(Into::into).collect())
}

fn read_block(tree: &Tree, name: &str, listed: &str) -> Option<Block> {
    let path = tree.real(listed).ok()?;
    let directory = Directory::open(tree, &path);
    let kind = kind(tree, &directory, name);
    let names = |what: &str| directory.list(what).unwrap_or_default();
    let mapped = matches!(kind, Kind::Crypt | Kind::Lvm | Kind::Multipath | Kind::Mapper);
    let label = mapped.then(|| directory.text("dm/name")).flatten();
    Some(Block {
        kind,
        device: directory.text("dev").as_deref().and_then(DeviceNumber::parse),
        label,
        partitions: partitions(tree, &directory, name),
        slaves: names("slaves"),
        holders: names("holders"),
        name: name.into(),
        directory: path,
    })
}

/// Whatever else a driver calls its devices, these are the loop driver's.
fn is_loop(name: &str) -> bool {
    name.starts_with("loop")
}

const BACKING_FILE: &str = "loop/backing_file";

fn kind(tree: &Tree, directory: &Directory<'_>, name: &str) -> Kind {
    let there = |file: &str| tree.exists(&directory.at(file));
    let text = |file: &str| directory.text(file);
    if is_loop(name) {
        return Kind::Loop { file: text(BACKING_FILE) };
    }
    // Only disks and drives have a device behind them.
    if there("device") {
        let boot_area = name.starts_with("mmcblk") && (name.contains("boot") || name.ends_with("rpmb"));
        // SCSI type 5: SPC-4, 6.4.2.
        let optical = name.starts_with("sr") || text("device/type").as_deref() == Some("5");
        return match () {
            () if directory.number("hidden") == Some(1) => Kind::Hidden,
            () if optical => Kind::Optical,
            () if boot_area || name.starts_with("fd") => Kind::Other,
            () => Kind::Disk,
        };
    }
    if let Some(uuid) = text("dm/uuid") {
        return match uuid.split_once('-').map_or(uuid.as_str(), |(kind, _)| kind) {
            "CRYPT" => Kind::Crypt,
            "LVM" => Kind::Lvm,
            "mpath" => Kind::Multipath,
            _ => Kind::Mapper,
        };
    }
    match name {
        _ if there("dm") => Kind::Mapper,
        _ if there("md") => Kind::Raid {
            level: text("md/level"),
            state: text("md/array_state"),
            members: directory.number("md/raid_disks"),
            degraded: directory.number("md/degraded"),
        },
        _ if name.starts_with("zram") || name.starts_with("ram") => Kind::Memory,
        _ => Kind::Other,
    }
}

/// The directories below a disk that say they are partitions. The kernel begins their names with the disk's.
fn partitions(tree: &Tree, directory: &Directory<'_>, disk: &str) -> Vec<Part> {
    let names = tree.list_named(directory.path(), &|name| name.len() > disk.len() && name.starts_with(disk));
    let mut found = Vec::new();
    for name in names.unwrap_or_default() {
        let uevent = directory.read_if_any(&format!("{name}/uevent")).ok().flatten().unwrap_or_default();
        let uevent = String::from_utf8_lossy(&uevent);
        // The first of a name: those of the kernel come before the name that the table gives.
        let property = |key: &str| {
            let value = uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value.filter(|value| !value.is_empty()).map(String::from)
        };
        let file = |file: &str| directory.text(&format!("{name}/{file}"));
        let number = property("PARTN").or_else(|| file("partition"));
        let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) else { continue };
        let device =
            property("MAJOR").zip(property("MINOR")).map(|(major, minor)| format!("{major}:{minor}"));
        let number_in = |file: &str| directory.number(&format!("{name}/{file}"));
        let bytes = |file: &str| number_in(file).unwrap_or(0).saturating_mul(SYSFS_SECTOR);
        found.push(Part {
            device: device.or_else(|| file("dev")).as_deref().and_then(DeviceNumber::parse),
            number: u32::try_from(number).unwrap_or(u32::MAX),
            start: bytes("start"),
            size: Bytes(bytes("size")),
            read_only: number_in("ro") == Some(1),
            label: property("PARTNAME"),
            guid: property("PARTUUID"),
            holders: directory.list(&format!("{name}/holders")).unwrap_or_default(),
            name,
        });
    }
    found.sort_by_key(|part| part.number);
    found
}
