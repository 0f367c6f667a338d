//! What is known of a disk, and whether it can be used.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{content::Content, usage::Use, usb::UsbPlace};
use crate::{target::Identity, text::Shown, units::Bytes};

/// How a disk is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// SATA or PATA.
    Ata,
    /// SCSI or SAS.
    Scsi,
    /// NVM Express.
    Nvme,
    /// USB.
    Usb,
    /// SD card or eMMC.
    Mmc,
    /// Paravirtualised.
    Virtio,
    /// Anything else.
    #[default]
    Other,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ata => "SATA",
            Self::Scsi => "SCSI",
            Self::Nvme => "NVMe",
            Self::Usb => "USB",
            Self::Mmc => "MMC",
            Self::Virtio => "virtio",
            Self::Other => "other",
        })
    }
}

/// Number of a device node, as the kernel writes it in `dev` and in mountinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl DeviceNumber {
    /// Reads `8:1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// From the `st_rdev` of a device node, whose bits are split as the C library does it.
    #[cfg(target_os = "linux")]
    pub fn of_node(number: libc::dev_t) -> Self {
        Self { major: libc::major(number), minor: libc::minor(number) }
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A partition that the kernel knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// The kernel's name, such as `sda1`.
    pub name: String,
    /// Number of its node.
    pub device: Option<DeviceNumber>,
    /// Number in the table.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Size.
    pub size: Bytes,
    /// Cannot be written.
    pub read_only: bool,
    /// Type in the table: a GUID, or `0x83` and the like.
    pub kind: Option<String>,
    /// Its own GUID.
    pub guid: Option<String>,
    /// Name in the table.
    pub label: Option<String>,
    /// What is on it.
    pub content: Option<Content>,
    /// Devices directly above it, by their kernel names.
    pub holders: Vec<String>,
}

/// Why a disk is not offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Refusal {
    /// The running system was started from it.
    Medium,
    /// Something uses it.
    InUse(Use),
    /// What is mounted could not be found out.
    UsesUnknown,
    /// It cannot be written.
    ReadOnly,
    /// A drive without a medium, such as an empty slot of a card reader.
    Empty,
    /// The kernel gave it up, or its properties cannot be read.
    Failing {
        /// What was seen.
        what: String,
    },
    /// It is too small.
    TooSmall {
        /// Bytes that are needed.
        needed: Bytes,
    },
    /// Its sectors have neither 512 nor 4096 bytes.
    SectorSize {
        /// Bytes of a logical sector.
        found: u32,
    },
}

impl Refusal {
    /// What to do next, as a sentence without a full stop.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::InUse(Use::Mount { .. }) => {
                "choose another disk, or unmount everything that is on this one"
            }
            Self::InUse(Use::Swap { .. }) => "choose another disk, or swapoff what is on this one",
            Self::InUse(Use::Holder { .. }) => {
                "choose another disk, or stop the RAID, LVM or encryption on it"
            }
            Self::ReadOnly => "slide the write protection of the stick or card off, or use another one",
            Self::Empty => "put a medium in, or choose another disk",
            Self::Failing { .. } => "try another port or cable, or choose another disk",
            Self::TooSmall { .. } => "choose a larger disk",
            Self::SectorSize { .. } => "choose a disk with sectors of 512 or 4096 bytes",
            Self::UsesUnknown => "mount /proc, so that the mounts can be read",
            Self::Medium => "choose another disk",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Medium => f.write_str("this system runs from it"),
            Self::InUse(what) => what.fmt(f),
            Self::UsesUnknown => f.write_str("what is mounted cannot be read, it may be in use"),
            Self::ReadOnly => f.write_str("it is read-only"),
            Self::Empty => f.write_str("there is no medium in it"),
            Self::Failing { what } => f.write_str(what),
            Self::TooSmall { needed } => write!(f, "it is too small, {needed} are needed"),
            Self::SectorSize { found } => write!(f, "its sectors have {found} bytes"),
        }
    }
}

/// A file of a disk that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Path from the disk's directory in sysfs.
    pub file: String,
    /// What the system said.
    pub error: String,
}

/// A disk. Text that the disk itself reported is raw: show it through [`Shown`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// The kernel's name, such as `nvme0n1`.
    pub name: String,
    /// Device node.
    pub node: PathBuf,
    /// Number of its node.
    pub device: Option<DeviceNumber>,
    /// Size; 0 without a medium.
    pub size: Bytes,
    /// Bytes of a logical sector.
    pub logical_sector: u32,
    /// Bytes of a physical sector.
    pub physical_sector: u32,
    /// Bytes that are best written at once; 0 when the disk does not say.
    pub optimal_io: u32,
    /// Bytes from the start to the first physical sector.
    pub alignment_offset: u32,
    /// Vendor and model, as far as they are known.
    pub model: Option<String>,
    /// Maker alone, where the bus tells it apart.
    pub vendor: Option<String>,
    /// Revision of hardware or firmware.
    pub revision: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// The port or name that tells it from another disk of this machine with the same serial number.
    pub told_apart_by: Option<String>,
    /// World-wide name or another identifier that the standard of the bus defines.
    pub wwn: Option<String>,
    /// The medium can be taken out, or the whole disk is hot-pluggable by USB.
    pub removable: bool,
    /// The kernel's own word on that: the medium can be taken out. Enclosures of disks say no.
    pub removable_medium: bool,
    /// Cannot be written.
    pub read_only: bool,
    /// Has rotating plates.
    pub rotational: bool,
    /// How it is attached.
    pub transport: Transport,
    /// Its place in the USB.
    pub usb: Option<UsbPlace>,
    /// Controllers by which one NVMe namespace is reached, when there are several ways to it.
    pub paths: Vec<String>,
    /// The kernel's sequence number of this appearance of the disk.
    pub diskseq: Option<u64>,
    /// What the disk says of itself, hashed, on systems without such a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<u64>,
    /// State by the SCSI layer or of the NVMe controller, such as `running` and `live`.
    pub state: Option<String>,
    /// Commands that ended with an error since the disk appeared (SCSI only).
    pub io_errors: Option<u64>,
    /// Form of its partition table, such as `gpt` and `dos`.
    pub table: Option<String>,
    /// What is on the disk outside of partitions.
    pub content: Option<Content>,
    /// Partitions that the kernel knows.
    pub partitions: Vec<Partition>,
    /// Devices directly above the disk, by their kernel names.
    pub holders: Vec<String>,
    /// What uses it now.
    pub uses: Vec<Use>,
    /// Whether `uses` could be found out.
    pub uses_known: bool,
    /// Files that could not be read.
    pub faults: Vec<Fault>,
}

impl Disk {
    /// What must still be true when the disk is opened.
    pub fn identity(&self) -> Identity {
        Identity {
            diskseq: self.diskseq,
            fingerprint: self.fingerprint,
            size: self.size,
            sector_size: self.logical_sector,
        }
    }

    /// What a person types before the disk is erased: the serial number, or the name of a disk without one. A number that
    /// another disk has too is followed by the port or the name.
    pub fn confirm_token(&self) -> String {
        let token = match (&self.serial, &self.told_apart_by) {
            (Some(serial), Some(place)) => format!("{serial} {place}"),
            (Some(serial), None) => serial.clone(),
            (None, _) => self.name.clone(),
        };
        Shown(&token).to_string()
    }

    /// One line for a list: model, size, transport, serial and name.
    pub fn summary(&self) -> String {
        let model = self.model.as_deref().unwrap_or("unknown model");
        let serial = self.serial.as_deref().map(|s| format!(", serial {}", Shown(s))).unwrap_or_default();
        format!("{}, {}, {}{serial} ({})", Shown(model), self.size, self.transport, Shown(&self.name))
    }

    /// Every reason against using the disk; `medium` names the disks that the running system came from.
    pub fn refusals(&self, medium: impl IntoIterator<Item = impl AsRef<str>>, needed: Bytes) -> Vec<Refusal> {
        let mut found = Vec::new();
        if medium.into_iter().any(|name| name.as_ref() == self.name) {
            found.push(Refusal::Medium);
        }
        found.extend(self.uses.iter().cloned().map(Refusal::InUse));
        if !self.uses_known {
            found.push(Refusal::UsesUnknown);
        }
        found.extend(self.failing().map(|what| Refusal::Failing { what }));
        if self.size == Bytes(0) && !self.faults.iter().any(|fault| fault.file == "size") {
            found.push(Refusal::Empty);
            return found;
        }
        if self.read_only {
            found.push(Refusal::ReadOnly);
        }
        if self.size < needed {
            found.push(Refusal::TooSmall { needed });
        }
        if !matches!(self.logical_sector, 512 | 4096) {
            found.push(Refusal::SectorSize { found: self.logical_sector });
        }
        found
    }

    /// What shows that the disk is out of order.
    fn failing(&self) -> Option<String> {
        if let Some(state) =
            self.state.as_deref().filter(|state| matches!(*state, "offline" | "blocked" | "dead"))
        {
            return Some(format!("the kernel says that it is {state}"));
        }
        let fault = self.faults.first()?;
        Some(format!("{} of it cannot be read: {}", fault.file, fault.error))
    }
}
