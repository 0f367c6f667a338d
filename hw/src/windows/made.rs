//! Machines with Windows, made for tests.

use std::{collections::BTreeMap, io};

use super::{Api, Question, Volume};

/// `STORAGE_DEVICE_DESCRIPTOR` with vendor, product, revision and serial number.
pub(crate) fn descriptor(bus: u32, removable: bool, words: [&str; 4]) -> Vec<u8> {
    let mut bytes = vec![0; 40];
    bytes[10] = removable.into();
    bytes[28..32].copy_from_slice(&bus.to_le_bytes());
    for (at, word) in [12, 16, 20, 24].into_iter().zip(words) {
        if !word.is_empty() {
            let offset = u32::try_from(bytes.len()).unwrap();
            bytes[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            bytes.extend(word.bytes().chain([0]));
        }
    }
    bytes
}

/// `DISK_GEOMETRY_EX`.
pub(crate) fn geometry(size: u64, sector: u32) -> Vec<u8> {
    let mut bytes = vec![0; 24];
    bytes[20..24].copy_from_slice(&sector.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes
}

fn part(style: u32, number: u32, start: u64, size: u64) -> [u8; 144] {
    let mut bytes = [0; 144];
    bytes[..4].copy_from_slice(&style.to_le_bytes());
    bytes[8..16].copy_from_slice(&start.to_le_bytes());
    bytes[16..24].copy_from_slice(&size.to_le_bytes());
    bytes[24..28].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// `PARTITION_INFORMATION_EX` of a table for the BIOS.
pub(crate) fn mbr_part(number: u32, start: u64, size: u64, kind: u8) -> [u8; 144] {
    let mut bytes = part(0, number, start, size);
    bytes[32] = kind;
    bytes
}

/// `PARTITION_INFORMATION_EX` of a GPT.
pub(crate) fn gpt_part(number: u32, start: u64, size: u64, kind: &str, label: &str) -> [u8; 144] {
    let mut bytes = part(1, number, start, size);
    let hex: String = kind.chars().filter(|c| *c != '-').collect();
    let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
    for (at, from) in [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].into_iter().enumerate() {
        bytes[32 + at] = byte(from);
    }
    for (at, unit) in label.encode_utf16().enumerate() {
        bytes[72 + 2 * at..74 + 2 * at].copy_from_slice(&unit.to_le_bytes());
    }
    bytes
}

/// `DRIVE_LAYOUT_INFORMATION_EX`.
pub(crate) fn layout(style: u32, parts: &[[u8; 144]]) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[..4].copy_from_slice(&style.to_le_bytes());
    bytes[4..8].copy_from_slice(&u32::try_from(parts.len()).unwrap().to_le_bytes());
    bytes.extend(parts.concat());
    bytes
}

/// `VOLUME_DISK_EXTENTS`.
pub(crate) fn extents(extents: &[(u32, u64, u64)]) -> Vec<u8> {
    let mut bytes = u64::try_from(extents.len()).unwrap().to_le_bytes().to_vec();
    for (disk, start, size) in extents {
        bytes.extend(u64::from(*disk).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend(size.to_le_bytes());
    }
    bytes
}

/// A machine as data.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) disks: BTreeMap<u32, BTreeMap<Question, Vec<u8>>>,
    /// Questions that end with an error of Windows.
    pub(crate) failing: BTreeMap<(u32, Question), i32>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) system_directory: Option<String>,
    pub(crate) boot_device: Option<String>,
    pub(crate) page_files: Option<Vec<String>>,
}

impl Made {
    /// Windows on an NVMe drive, and a stick of two partitions, one of which is not in use.
    pub(crate) fn notebook() -> Self {
        let mut physical = vec![0; 28];
        physical[20..24].copy_from_slice(&4096u32.to_le_bytes());
        let esp = gpt_part(1, 1 << 20, 100 << 20, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI");
        let own = gpt_part(3, 200 << 20, 400 << 30, "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Basic data");
        let drive = BTreeMap::from([
            (Question::Descriptor, descriptor(17, false, ["", "Samsung SSD 990", "4B2Q", "S7DNNJ0W"])),
            (Question::Geometry, geometry(512_000_000_000, 512)),
            (Question::Layout, layout(1, &[esp, own])),
            (Question::SeekPenalty, vec![0; 12]),
        ]);
        let stick = BTreeMap::from([
            (Question::Descriptor, descriptor(7, true, ["SanDisk ", "Ultra", "1.00", "4C530001"])),
            (Question::Geometry, geometry(30_752_000_000, 512)),
            (Question::Layout, layout(0, &[mbr_part(1, 1 << 20, 28 << 30, 0x0c), [0; 144]])),
            (Question::Alignment, physical),
            (Question::Writable, Vec::new()),
        ]);
        let volume = |number: u32, disk, start, paths: &[&str], content| Volume {
            name: format!(r"\\?\Volume{{{number}}}\"),
            device: Some(format!(r"\Device\HarddiskVolume{number}")),
            extents: extents(&[(disk, start, 1 << 30)]),
            paths: paths.iter().map(ToString::to_string).collect(),
            content,
        };
        let stick_content = Some(("STICK".into(), 0x1234_abcd, "FAT32".into()));
        let own_content = Some(("Windows".into(), 1, "NTFS".into()));
        Self {
            disks: BTreeMap::from([(0, drive), (1, stick)]),
            failing: BTreeMap::new(),
            volumes: vec![
                volume(3, 0, 200 << 20, &[r"C:\"], own_content),
                volume(5, 1, 1 << 20, &[r"E:\"], stick_content),
            ],
            system_directory: Some(r"C:\Windows".into()),
            boot_device: Some(r"\Device\HarddiskVolume1".into()),
            page_files: Some(vec![r"\??\C:\pagefile.sys".into()]),
        }
    }
}

impl Api for Made {
    fn ask(&self, disk: u32, question: Question) -> io::Result<Option<Vec<u8>>> {
        if let Some(code) = self.failing.get(&(disk, question)) {
            return Err(io::Error::from_raw_os_error(*code));
        }
        Ok(self.disks.get(&disk).and_then(|answers| answers.get(&question).cloned()))
    }

    fn volumes(&self) -> io::Result<Vec<Volume>> {
        Ok(self.volumes.clone())
    }

    fn system_directory(&self) -> Option<String> {
        self.system_directory.clone()
    }

    fn boot_device(&self) -> Option<String> {
        self.boot_device.clone()
    }

    fn page_files(&self) -> io::Result<Vec<String>> {
        self.page_files.clone().ok_or_else(|| io::Error::from_raw_os_error(2))
    }
}
