//! Windows: what it answers about disks, and what follows from that.
//!
//! Invariant: nothing here calls the system. [`Api`] asks, [`answers`] reads the bytes, [`disks`] decides; so everything but
//! the calls themselves, in `sys`, is tested on any system.

pub(crate) mod answers;
#[cfg(feature = "inventory")]
pub(crate) mod disks;
#[cfg(test)]
mod made;

use std::io;

/// What can be asked of a disk, each by one code of `DeviceIoControl` (winioctl.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// `IOCTL_STORAGE_QUERY_PROPERTY`, `StorageDeviceProperty`.
    Descriptor,
    /// The same, `StorageAccessAlignmentProperty`.
    Alignment,
    /// The same, `StorageDeviceSeekPenaltyProperty`.
    SeekPenalty,
    /// `IOCTL_DISK_GET_DRIVE_GEOMETRY_EX`.
    Geometry,
    /// `IOCTL_DISK_GET_DRIVE_LAYOUT_EX`.
    Layout,
    /// `IOCTL_DISK_GET_DISK_ATTRIBUTES`.
    Attributes,
    /// `IOCTL_DISK_IS_WRITABLE`, which needs the right to read the disk.
    Writable,
}

/// A volume, as Windows knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    /// `\\?\Volume{…}\`.
    pub(crate) name: String,
    /// `\Device\HarddiskVolume3`.
    pub(crate) device: Option<String>,
    /// Answer to `IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS`.
    pub(crate) extents: Vec<u8>,
    /// Drive letters and folders where it is seen, such as `C:\`.
    pub(crate) paths: Vec<String>,
    /// What `GetVolumeInformationW` says: label, serial number, name of the file system.
    pub(crate) content: Option<(String, u32, String)>,
}

/// The calls.
pub(crate) trait Api {
    /// What a disk answers; `None` where there is no disk of this number.
    ///
    /// # Errors
    /// When the disk does not answer.
    fn ask(&self, disk: u32, question: Question) -> io::Result<Option<Vec<u8>>>;

    /// Every volume that can be looked at.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn volumes(&self) -> io::Result<Vec<Volume>>;

    /// Path of the directory with Windows, such as `C:\Windows`.
    fn system_directory(&self) -> Option<String>;

    /// Volume from which the firmware started Windows, such as `\Device\HarddiskVolume1`.
    fn boot_device(&self) -> Option<String>;

    /// Files with memory that was swapped out, such as `\??\C:\pagefile.sys`.
    ///
    /// # Errors
    /// When it cannot be found out.
    fn page_files(&self) -> io::Result<Vec<String>>;
}
