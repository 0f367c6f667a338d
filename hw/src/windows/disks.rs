//! The disks of a machine with Windows, in the same type as those of Linux.

use std::{collections::BTreeSet, io, path::PathBuf};

use super::{
    Api, Question, Volume,
    answers::{self, Descriptor, Extent, Part},
};
use crate::{
    inventory::{Content, Disk, Fault, Partition, Source, Transport, Use},
    text::reported,
    units::Bytes,
};

/// Numbers that are tried. Windows gives the lowest that is free, so that there are rarely gaps.
const DISKS: u32 = 64;

// winerror.h
const ERROR_NOT_READY: i32 = 21;
const ERROR_NO_MEDIA_IN_DRIVE: i32 = 1112;

/// Partitions that are parts of something larger, by their types (winioctl.h), and what that is.
const MEMBERS: [(&str, &str); 4] = [
    ("e75caf8f-f680-4cee-afa3-b001e56efc2d", "Storage Spaces"),
    ("af9b60a0-1431-4f62-bc68-3311714a69ad", "dynamic disks"),
    ("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "dynamic disks"),
    ("0x42", "dynamic disks"),
];

/// What is known of all disks.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order of their numbers.
    pub(crate) disks: Vec<Disk>,
    /// Names of those that the running Windows is on, or was started from.
    pub(crate) system: BTreeSet<String>,
}

/// The name of a disk, which is the end of its path.
pub(crate) fn name(number: u32) -> String {
    format!("PhysicalDrive{number}")
}

/// A volume, and on which disks it is; `None` when that is not known.
struct Placed {
    volume: Volume,
    extents: Option<Vec<Extent>>,
}

/// Asks for everything.
pub(crate) fn read(api: &dyn Api) -> Found {
    let volumes = api.volumes();
    // Where volumes or page files are not known, any disk may be in use.
    let page_files = api.page_files();
    let known = volumes.is_ok() && page_files.is_ok();
    let placed: Vec<Placed> = volumes
        .unwrap_or_default()
        .into_iter()
        .map(|volume| Placed { extents: answers::extents(&volume.extents), volume })
        .collect();
    let known = known && placed.iter().all(|placed| placed.extents.is_some());
    let page_files = page_files.unwrap_or_default();
    let mut found = Found::default();
    for number in 0..DISKS {
        if let Some(mut disk) = read_disk(api, number) {
            disk.uses_known = known;
            add_volumes(&mut disk, number, &placed, &page_files);
            found.disks.push(disk);
        }
    }
    let (directory, device) = (api.system_directory(), api.boot_device());
    for placed in &placed {
        let of_system = directory.as_deref().is_some_and(|path| placed.volume.holds(path))
            || device.is_some() && placed.volume.device == device;
        if of_system {
            let disks = placed.extents.iter().flatten().map(|(disk, ..)| name(*disk));
            found.system.extend(disks);
        }
    }
    if found.system.is_empty() {
        // Then it may be any of them.
        found.disks.iter_mut().for_each(|disk| disk.uses_known = false);
    }
    found
}

impl Volume {
    /// Whether a path such as `C:\Windows` or `\??\C:\pagefile.sys` leads into it.
    fn holds(&self, path: &str) -> bool {
        let plain = |path: &str| path.trim_start_matches(r"\??\").to_lowercase();
        self.paths.iter().any(|root| plain(path).starts_with(&plain(root)))
    }
}

fn read_disk(api: &dyn Api, number: u32) -> Option<Disk> {
    let mut faults = Vec::new();
    let mut ask = |question, file: &str| match api.ask(number, question) {
        Ok(answer) => answer,
        Err(error) => {
            faults.push((file.to_owned(), error));
            None
        }
    };
    let described = ask(Question::Descriptor, "descriptor");
    let geometry = ask(Question::Geometry, "size");
    if described.is_none() && geometry.is_none() && faults.is_empty() {
        return None;
    }
    let mut disk =
        Disk { name: name(number), node: PathBuf::from(format!(r"\\.\{}", name(number))), ..Disk::default() };
    if let Some(found) = described.as_deref().and_then(Descriptor::read) {
        describe(&mut disk, found);
    }
    match geometry.as_deref().map(answers::geometry) {
        Some(Some((size, sector))) => (disk.size, disk.logical_sector) = (Bytes(size), sector),
        Some(None) => faults.push(("size".into(), io::Error::other("the answer is no geometry"))),
        None => {}
    }
    disk.physical_sector = disk.logical_sector;
    // An empty card reader is no failure.
    let empty =
        |error: &io::Error| matches!(error.raw_os_error(), Some(ERROR_NOT_READY | ERROR_NO_MEDIA_IN_DRIVE));
    let failed = faults.iter().filter(|(_, error)| !empty(error));
    disk.faults =
        failed.map(|(file, error)| Fault { file: file.clone(), error: error.to_string() }).collect();
    // What follows is told by some drivers only.
    let ask = |question| api.ask(number, question).ok().flatten();
    if let Some((physical, offset)) = ask(Question::Alignment).as_deref().and_then(answers::alignment)
        && physical >= disk.logical_sector
    {
        (disk.physical_sector, disk.alignment_offset) = (physical, offset);
    }
    disk.rotational = ask(Question::SeekPenalty).as_deref().and_then(answers::seeks).unwrap_or(false);
    let attributes = ask(Question::Attributes).as_deref().and_then(answers::attributes);
    let (offline, read_only) = attributes.unwrap_or_default();
    disk.state = offline.then(|| "offline".into());
    disk.read_only =
        read_only || matches!(api.ask(number, Question::Writable), Err(error) if is_protected(&error));
    if let Some((table, parts)) = ask(Question::Layout).as_deref().and_then(answers::layout) {
        disk.table = table.map(Into::into);
        disk.partitions = parts.into_iter().map(|part| partition(&disk.name, part)).collect();
    }
    Some(disk)
}

/// Whether an error says that the medium is write-protected.
pub(crate) fn is_protected(error: &io::Error) -> bool {
    const ERROR_WRITE_PROTECT: i32 = 19;
    error.raw_os_error() == Some(ERROR_WRITE_PROTECT)
}

fn describe(disk: &mut Disk, found: Descriptor) {
    disk.fingerprint = Some(found.fingerprint());
    let words: Vec<&str> =
        [&found.vendor, &found.product].into_iter().flatten().map(String::as_str).collect();
    disk.model = reported(words.join(" ").as_bytes());
    disk.transport = match found.bus {
        2 | 3 | 11 => Transport::Ata,
        1 | 9 | 10 => Transport::Scsi,
        7 => Transport::Usb,
        12 | 13 => Transport::Mmc,
        17 => Transport::Nvme,
        _ => Transport::Other,
    };
    disk.removable_medium = found.removable_medium;
    // FireWire and USB.
    disk.removable = found.removable_medium || matches!(found.bus, 4 | 7);
    (disk.vendor, disk.revision, disk.serial) = (found.vendor, found.revision, found.serial);
}

fn partition(disk: &str, part: Part) -> Partition {
    Partition {
        name: format!("{disk}p{}", part.number),
        number: part.number,
        start: part.start,
        size: Bytes(part.size),
        kind: Some(part.kind),
        guid: part.guid,
        label: part.label,
        ..Partition::default()
    }
}

/// Adds what the volumes tell: what is on the partitions, and what uses the disk.
///
/// A volume on a removable disk is no reason against it, as Windows gives a letter to every stick. When the disk is
/// opened, the volume is locked, which fails while anything on it is in use.
fn add_volumes(disk: &mut Disk, number: u32, placed: &[Placed], page_files: &[String]) {
    for Placed { volume, extents } in placed {
        let extents = extents.as_deref().unwrap_or_default();
        let Some((_, start, _)) = extents.iter().find(|(disk, ..)| *disk == number) else { continue };
        let at = disk.partitions.iter().position(|partition| partition.start == *start);
        let device = at.map_or_else(|| disk.name.clone(), |at| disk.partitions[at].name.clone());
        if let Some(partition) = at.and_then(|at| disk.partitions.get_mut(at)) {
            partition.content = content(volume);
            partition.label = volume.paths.first().cloned().or(partition.label.take());
        }
        if extents.len() > 1 {
            let by = volume.paths.first().unwrap_or(&volume.name).clone();
            disk.uses.push(Use::Holder { device: device.clone(), through: Vec::new(), by });
        }
        if page_files.iter().any(|file| volume.holds(file)) {
            disk.uses.push(Use::Swap { device: device.clone(), through: Vec::new() });
        }
        if !disk.removable {
            let mounts = volume.paths.iter();
            disk.uses.extend(mounts.map(|at| Use::Mount {
                device: device.clone(),
                through: Vec::new(),
                at: at.clone(),
            }));
        }
    }
    for partition in &disk.partitions {
        let member = MEMBERS.iter().find(|(kind, _)| partition.kind.as_deref() == Some(*kind));
        disk.uses.extend(member.map(|(_, by)| Use::Holder {
            device: partition.name.clone(),
            through: Vec::new(),
            by: (*by).into(),
        }));
    }
}

fn content(volume: &Volume) -> Option<Content> {
    let (label, serial, kind) = volume.content.as_ref()?;
    Some(Content {
        kind: match kind.as_str() {
            "NTFS" => "ntfs".into(),
            "FAT" | "FAT32" => "vfat".into(),
            "exFAT" => "exfat".into(),
            other => reported(other.as_bytes())?,
        },
        label: reported(label.as_bytes()),
        uuid: Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)),
        version: None,
        source: Source::Windows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::Refusal,
        windows::made::{self, Made},
    };

    fn refusals(found: &Found, name: &str) -> Vec<String> {
        let disk = found.disks.iter().find(|disk| disk.name == name).unwrap();
        disk.refusals(&found.system, Bytes(0)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_notebook_with_a_stick() {
        let found = read(&Made::notebook());
        let names: Vec<_> = found.disks.iter().map(Disk::summary).collect();
        assert_eq!(
            names,
            [
                "Samsung SSD 990, 476.8 GiB, NVMe, serial S7DNNJ0W (PhysicalDrive0)",
                "SanDisk Ultra, 28.6 GiB, USB, serial 4C530001 (PhysicalDrive1)",
            ]
        );
        let stick = &found.disks[1];
        assert_eq!(stick.node.to_str(), Some(r"\\.\PhysicalDrive1"));
        assert_eq!(
            (stick.logical_sector, stick.physical_sector, stick.table.as_deref()),
            (512, 4096, Some("dos"))
        );
        let partition = &stick.partitions[0];
        assert_eq!((partition.name.as_str(), partition.label.as_deref()), ("PhysicalDrive1p1", Some(r"E:\")));
        let content = partition.content.as_ref().unwrap();
        assert_eq!((content.kind.as_str(), content.label.as_deref()), ("vfat", Some("STICK")));
        assert_eq!(content.uuid.as_deref(), Some("1234-ABCD"));
        assert_eq!(refusals(&found, "PhysicalDrive1"), [""; 0]);
        assert_eq!(stick.identity().fingerprint, stick.fingerprint);
    }

    #[test]
    fn the_disk_of_the_system_is_refused() {
        let found = read(&Made::notebook());
        assert_eq!(
            refusals(&found, "PhysicalDrive0"),
            [
                "this system runs from it",
                r"PhysicalDrive0p3 is used as swap space",
                r"PhysicalDrive0p3 is mounted at C:\",
            ]
        );
        // Windows on one disk, what the firmware starts on another.
        let mut machine = Made::notebook();
        machine.boot_device = Some(r"\Device\HarddiskVolume5".into());
        assert_eq!(refusals(&read(&machine), "PhysicalDrive1"), ["this system runs from it"]);
        // Where the system is cannot be found out.
        machine.boot_device = None;
        machine.system_directory = None;
        let unknown = "what is mounted cannot be read, it may be in use";
        assert_eq!(refusals(&read(&machine), "PhysicalDrive1"), [unknown]);
    }

    #[test]
    fn a_page_file_on_a_stick_is_a_use() {
        let mut machine = Made::notebook();
        machine.page_files = Some(vec![r"\??\e:\pagefile.sys".into()]);
        assert_eq!(refusals(&read(&machine), "PhysicalDrive1"), ["PhysicalDrive1p1 is used as swap space"]);
        machine.page_files = None;
        assert!(!read(&machine).disks[1].uses_known);
    }

    #[test]
    fn parts_of_something_larger_are_refused() {
        let mut machine = Made::notebook();
        let stick = machine.disks.get_mut(&1).unwrap();
        let part = made::gpt_part(1, 1 << 20, 1 << 30, MEMBERS[0].0, "");
        stick.insert(Question::Layout, made::layout(1, &[part]));
        assert!(
            refusals(&read(&machine), "PhysicalDrive1")
                .contains(&"PhysicalDrive1p1 is used by Storage Spaces".into())
        );
        let mut machine = Made::notebook();
        machine.volumes[1].extents = made::extents(&[(1, 1 << 20, 9), (0, 5 << 30, 9)]);
        assert_eq!(refusals(&read(&machine), "PhysicalDrive1"), [r"PhysicalDrive1p1 is used by E:\"]);
        machine.volumes[1].extents.clear();
        assert!(!read(&machine).disks[0].uses_known, "a volume that may be anywhere");
    }

    #[test]
    fn states_of_a_stick() {
        let with = |question, result: Result<Vec<u8>, i32>| {
            let mut machine = Made::notebook();
            match result {
                Ok(bytes) => drop(machine.disks.get_mut(&1).unwrap().insert(question, bytes)),
                Err(code) => drop(machine.failing.insert((1, question), code)),
            }
            let mut found = read(&machine);
            let disk = found.disks.remove(1);
            let refusals = disk.refusals(&found.system, Bytes(0));
            (disk, refusals)
        };
        let (_, refusals) = with(Question::Writable, Err(19));
        assert_eq!(refusals, [Refusal::ReadOnly]);
        // Without the right to read the disk, nobody knows.
        assert_eq!(with(Question::Writable, Err(5)).1, []);
        let mut attributes = vec![0; 16];
        attributes[8] = 3;
        let (_, refusals) = with(Question::Attributes, Ok(attributes));
        assert_eq!(refusals.len(), 2, "{refusals:?}");
        assert_eq!(with(Question::Geometry, Err(ERROR_NO_MEDIA_IN_DRIVE)).1, [Refusal::Empty]);
        let (disk, refusals) = with(Question::Geometry, Err(1117));
        assert!(
            matches!(&refusals[..], [Refusal::Failing { .. }, Refusal::SectorSize { .. }]),
            "{refusals:?}"
        );
        assert_eq!(disk.model.as_deref(), Some("SanDisk Ultra"));
        let (disk, _) = with(Question::Geometry, Ok(made::geometry(1 << 40, 4096)));
        assert_eq!((disk.logical_sector, disk.physical_sector), (4096, 4096));
        let (_, refusals) = with(Question::Geometry, Ok(made::geometry(1 << 40, 520)));
        assert_eq!(refusals, [Refusal::SectorSize { found: 520 }]);
    }

    #[test]
    fn a_machine_that_answers_nothing() {
        let found = read(&Made::default());
        assert!(found.disks.is_empty() && found.system.is_empty());
    }
}
