//! What is known of a disk, and whether it can be used.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use crate::{target::Identity, text::Shown, units::Bytes};

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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

/// A partition that the kernel knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// The kernel's name, such as `sda1`.
    pub name: String,
    /// Number in the table.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Size.
    pub size: Bytes,
}

/// Something that uses a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Use {
    /// A mounted file system.
    Mount {
        /// Disk or partition.
        device: String,
        /// Where.
        at: String,
    },
    /// Swap space.
    Swap {
        /// Disk or partition.
        device: String,
    },
    /// A device above it, such as RAID, LVM or encryption.
    Holder {
        /// Disk or partition.
        device: String,
        /// The kernel's or the device-mapper's name of the holder.
        by: String,
    },
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount { device, at } => write!(f, "{device} is mounted at {}", Shown(at)),
            Self::Swap { device } => write!(f, "{device} is used as swap space"),
            Self::Holder { device, by } => write!(f, "{device} is used by {}", Shown(by)),
        }
    }
}

/// Why a disk is not offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Refusal {
    /// The running system was started from it.
    Medium,
    /// Something uses it.
    InUse(Use),
    /// It cannot be written.
    ReadOnly,
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

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Medium => f.write_str("this system runs from it"),
            Self::InUse(what) => what.fmt(f),
            Self::ReadOnly => f.write_str("it is read-only"),
            Self::TooSmall { needed } => write!(f, "it is too small, {needed} are needed"),
            Self::SectorSize { found } => write!(f, "its sectors have {found} bytes"),
        }
    }
}

/// A disk. Text that the disk itself reported is raw: show it through [`Shown`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// The kernel's name, such as `nvme0n1`.
    pub name: String,
    /// Device node.
    pub node: PathBuf,
    /// Size.
    pub size: Bytes,
    /// Bytes of a logical sector.
    pub logical_sector: u32,
    /// Bytes of a physical sector.
    pub physical_sector: u32,
    /// Vendor and model, as far as they are known.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World-wide name or another identifier that the standard of the bus defines.
    pub wwn: Option<String>,
    /// The medium can be taken out, or the whole disk is hot-pluggable by USB.
    pub removable: bool,
    /// Cannot be written.
    pub read_only: bool,
    /// Has rotating plates.
    pub rotational: bool,
    /// How it is attached.
    pub transport: Transport,
    /// The kernel's sequence number of this appearance of the disk.
    pub diskseq: Option<u64>,
    /// Partitions that the kernel knows.
    pub partitions: Vec<Partition>,
    /// What uses it now.
    pub uses: Vec<Use>,
}

impl Disk {
    /// What must still be true when the disk is opened.
    pub fn identity(&self) -> Identity {
        Identity { diskseq: self.diskseq, size: self.size, sector_size: self.logical_sector }
    }

    /// What a person types before the disk is erased: the serial number, or the name of a disk without one.
    pub fn confirm_token(&self) -> String {
        Shown(self.serial.as_deref().unwrap_or(&self.name)).to_string()
    }

    /// One line for a list: model, size, transport, serial and name.
    pub fn summary(&self) -> String {
        let model = self.model.as_deref().unwrap_or("unknown model");
        let serial = self.serial.as_deref().map(|s| format!(", serial {}", Shown(s))).unwrap_or_default();
        format!("{}, {}, {}{serial} ({})", Shown(model), self.size, self.transport, self.name)
    }

    /// Every reason against using the disk; `medium` names the disks that the running system came from.
    pub fn refusals(&self, medium: impl IntoIterator<Item = impl AsRef<str>>, needed: Bytes) -> Vec<Refusal> {
        let mut found = Vec::new();
        if medium.into_iter().any(|name| name.as_ref() == self.name) {
            found.push(Refusal::Medium);
        }
        found.extend(self.uses.iter().cloned().map(Refusal::InUse));
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
}
