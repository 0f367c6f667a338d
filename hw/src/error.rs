//! Errors of this crate.

use std::{fmt, io, path::PathBuf};

use aegis_core::{
    install::Role,
    report::{Hint, exit},
};

use serde::{Deserialize, Serialize};

use crate::{sys, text::Shown, units::Bytes};

/// Why a disk could not be read, planned or written.
#[derive(Debug)]
pub enum Error {
    /// An operation of the system failed.
    Io {
        /// What was tried, such as `read`.
        operation: &'static str,
        /// On which file or device.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another program uses the disk.
    Busy {
        /// The device.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The open device is not the one that was chosen.
    Identity {
        /// The device.
        path: PathBuf,
        /// The property that differs.
        property: &'static str,
        /// Its value when the disk was chosen.
        expected: u64,
        /// Its value now.
        found: u64,
    },
    /// No disk has this name.
    NoSuchDisk(String),
    /// The disk cannot hold the layout.
    TooSmall {
        /// Size of the disk.
        size: Bytes,
        /// Size that the layout needs.
        needed: Bytes,
    },
    /// A logical sector size other than 512 and 4096 bytes.
    SectorSize(u32),
    /// The content does not fit into its partition.
    PartitionTooSmall {
        /// The partition.
        role: Role,
        /// Size of the partition.
        size: Bytes,
        /// Size of the content.
        needed: Bytes,
    },
    /// The partition table could not be put together.
    Table(io::Error),
    /// A recording of a machine is not one.
    #[cfg(feature = "record")]
    Recording {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        line: crate::tree::Line,
    },
    /// The layout is not possible.
    #[cfg(feature = "tables")]
    Layout(crate::tables::Reason),
    /// A table that must not be changed.
    #[cfg(feature = "tables")]
    Refused {
        /// The device.
        path: PathBuf,
        /// Why not.
        reason: crate::tables::Refusal,
    },
    /// The undo file, or the disk that it shall restore, is not as it must be.
    #[cfg(feature = "tables")]
    Undo {
        /// The file or the disk.
        path: PathBuf,
        /// Why not.
        reason: crate::undo::Problem,
    },
    /// What was written to a disk is not what is read from it.
    ReadBack {
        /// The device.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
    /// Neither a block device nor a regular file.
    NotADisk(PathBuf),
    /// A disk without a single sector, such as a card reader without a card.
    NoSectors(PathBuf),
    /// A loader file is not what its name says.
    Loader(&'static str),
}

impl Error {
    /// Adds operation and path to an error of the system; for `map_err`.
    pub fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }

    /// Whether the device may have been pulled out.
    pub fn may_be_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if sys::may_be_gone(source))
    }

    /// Whether the device that failed may do better at the next attempt.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Io { source, .. } if sys::may_pass(source))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { operation, path, .. } => write!(f, "cannot {operation} {}", path.display()),
            Self::Busy { path, .. } => write!(f, "{} is in use by another program", path.display()),
            Self::Identity { path, property, expected, found } => {
                let path = path.display();
                write!(f, "{path} is no longer the chosen disk: its {property} was {expected} and is {found}")
            }
            Self::NoSuchDisk(name) => write!(f, "no disk is called `{name}`"),
            Self::TooSmall { size, needed } => write!(f, "the disk has {size}, {needed} are needed"),
            Self::SectorSize(size) => write!(f, "sectors of {size} bytes are not supported"),
            Self::PartitionTooSmall { role, size, needed } => {
                write!(f, "the partition {} has {size}, its content needs {needed}", role.name())
            }
            Self::Table(_) => f.write_str("cannot put the partition table together"),
            #[cfg(feature = "record")]
            Self::Recording { path, line } => write!(f, "{} is no recorded machine: {line}", path.display()),
            #[cfg(feature = "tables")]
            Self::Layout(_) => f.write_str("the layout is not possible"),
            #[cfg(feature = "tables")]
            Self::Refused { path, reason } => write!(f, "{} is not changed: {reason}", path.display()),
            #[cfg(feature = "tables")]
            Self::Undo { path, reason } => {
                write!(f, "{} cannot be used for an undo: {reason}", path.display())
            }
            Self::ReadBack { path, what } => {
                write!(f, "the {what} of {} reads back differently from what was written", path.display())
            }
            Self::NotADisk(path) => write!(f, "{} is neither a disk nor a file", path.display()),
            Self::NoSectors(path) => write!(f, "{} has no size", path.display()),
            Self::Loader(what) => write!(f, "the boot loader's {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Busy { source, .. } | Self::Table(source) => Some(source),
            #[cfg(feature = "tables")]
            Self::Layout(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Busy { .. } => {
                "close what uses the disk: unmount it, swapoff, stop RAID, LVM or encryption on it"
            }
            Self::Identity { .. } => "the list of disks changed; choose the disk again",
            Self::NoSuchDisk(_) => "`aegis-installer devices` lists the disks",
            Self::TooSmall { .. } => "choose a larger disk",
            Self::SectorSize(_) => "choose a disk with sectors of 512 or 4096 bytes",
            Self::Loader(_) | Self::PartitionTooSmall { .. } => "the medium is not usable; get it again",
            #[cfg(feature = "record")]
            Self::Recording { .. } => "`aegis-installer hardware --save FILE` records this machine",
            #[cfg(feature = "tables")]
            Self::Refused { reason, .. } => reason.hint(),
            #[cfg(feature = "tables")]
            Self::Layout(_) => "change the layout, or choose another disk",
            #[cfg(feature = "tables")]
            Self::Undo { reason, .. } => reason.hint(),
            Self::ReadBack { .. } => "the disk or its cable is failing; use another disk",
            Self::NotADisk(_) if cfg!(windows) => "name a disk, such as PhysicalDrive1, or the image of one",
            Self::NotADisk(_) => "name a disk, such as /dev/sda, or the image of one",
            Self::NoSectors(_) => "put a medium in, or choose another disk",
            Self::Io { source, .. } => return advice(source).map(Into::into),
            Self::Table(_) => return None,
        };
        Some(text.into())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Busy { .. } | Self::Identity { .. } | Self::TooSmall { .. } => exit::REFUSED,
            #[cfg(feature = "tables")]
            Self::Refused { .. } | Self::Undo { .. } => exit::REFUSED,
            _ => exit::FAILED,
        }
    }
}

/// What to do next after an error of the system, as a sentence without a full stop.
pub fn advice(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::PermissionDenied => sys::MORE_RIGHTS,
        io::ErrorKind::NotFound => "check the name",
        io::ErrorKind::AlreadyExists => "give another name, or remove what is there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room, or use another directory",
        io::ErrorKind::ReadOnlyFilesystem => "slide the write protection off, or use another device",
        _ => return None,
    })
}

/// Why a library is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "problem")]
pub enum LoadError {
    /// It is not installed.
    Absent {
        /// Name of the library.
        library: String,
    },
    /// It is there and cannot be loaded.
    Unloadable {
        /// Name of the library.
        library: String,
        /// What the dynamic loader said.
        reason: String,
    },
    /// It lacks a function that every version has which this program knows.
    Incomplete {
        /// Name of the library.
        library: String,
        /// The function.
        function: String,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { library } => write!(f, "{library} is not installed"),
            Self::Unloadable { library, reason } => {
                write!(f, "{library} cannot be loaded: {}", Shown(reason))
            }
            Self::Incomplete { library, function } => write!(f, "{library} lacks {}", Shown(function)),
        }
    }
}

impl std::error::Error for LoadError {}
