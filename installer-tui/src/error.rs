//! Errors of the installer.

mod hint;
mod text;

use std::{fmt, io, path::PathBuf, process::ExitStatus};

use crate::{
    answers::Problem,
    backup::FileProblem,
    flash::{Failure, bmap::BmapError},
    progress::Step,
    stick::LabelProblem,
};
use aegis_core::{
    edition::Edition, key::VerifyError, manifest::ManifestError, ranges::RangesError, slot::TrailerError,
};

/// Why an installation was not possible.
#[derive(Debug)]
pub enum Error {
    /// An operation of the system failed.
    Io {
        /// What was tried, such as `read`.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Disks: inventory, plan or writing.
    Disk(aegis_hw::Error),
    /// The medium's manifest is not usable.
    Manifest(ManifestError),
    /// The medium's specification of the edition is not usable.
    Edition(serde_json::Error),
    /// The manifest does not list a file that every medium has.
    NotListed(&'static str),
    /// A file of the medium differs from the manifest.
    Medium {
        /// Path on the medium.
        path: String,
        /// What the manifest says.
        expected: String,
        /// What was read.
        found: String,
    },
    /// What was read back from the disk differs from what was written.
    ReadBack {
        /// Which part.
        what: String,
        /// Digest of what was written.
        expected: String,
        /// Digest of what was read.
        found: String,
    },
    /// The manifest does not fit into a slot.
    Trailer(TrailerError),
    /// The answer file is not TOML of the right shape.
    AnswerSyntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// Answers contradict a rule.
    Answers(Vec<Problem>),
    /// No disk, or more than one, has the properties that the answers ask for.
    Selector {
        /// The properties.
        wanted: String,
        /// The disks that have them.
        found: Vec<String>,
        /// Every disk of the machine.
        all: Vec<String>,
    },
    /// The chosen disk must not be used.
    Refused {
        /// The disk.
        disk: String,
        /// Why not.
        reasons: Vec<String>,
        /// What to do next.
        next: &'static str,
    },
    /// A partition, or what is built upon disks, was named in place of a disk.
    PartOfDisk {
        /// What was named.
        path: PathBuf,
        /// The disk that it is on.
        disk: String,
    },
    /// The confirmation does not name the disk.
    Confirmation {
        /// What has to be written.
        expected: String,
        /// What was written.
        found: String,
    },
    /// An image is in a format that is not read.
    ImageFormat {
        /// The file.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
    },
    /// A file of digests does not serve.
    Sums {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as a clause whose subject is the file.
        problem: &'static str,
    },
    /// Another program has a device.
    Busy {
        /// The device.
        path: PathBuf,
        /// The programs that have it open, as far as they can be seen.
        by: Vec<String>,
        /// What the system said.
        source: io::Error,
    },
    /// A range manifest does not serve.
    Ranges {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: RangesError,
    },
    /// A block map does not serve.
    Bmap {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<BmapError>,
    },
    /// A range manifest or block map is of another image.
    Map {
        /// The file.
        path: PathBuf,
        /// How that shows, as a clause whose subject is the file.
        problem: String,
    },
    /// A file is not a key ring.
    KeyRing {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: serde_json::Error,
    },
    /// An image is not known to be of the edition that it must be of.
    EditionOfImage {
        /// The edition that was asked for.
        wanted: Edition,
        /// What its signed range manifest names, if it has one.
        found: Option<Edition>,
    },
    /// An image was not written to a device, which is in the state that is named.
    Flash {
        /// The device.
        device: PathBuf,
        /// What is on it now.
        disk: DiskState,
        /// What failed.
        source: Box<Failure>,
    },
    /// An image, or the device that should hold it, is not what it must be.
    Check {
        /// The file or device.
        path: PathBuf,
        /// What is wrong.
        source: Box<Failure>,
    },
    /// Some of several devices were not written; what failed was told for each.
    FlashSome {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// A file cannot be made, or must not be.
    Output {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: FileProblem,
    },
    /// A program of the system is missing.
    NoProgram {
        /// Its name.
        name: &'static str,
        /// The package of Debian that has it.
        package: &'static str,
    },
    /// There is no medium that could be copied.
    NotLive,
    /// The name for a volume is not possible.
    Label {
        /// The name.
        label: String,
        /// What is wrong with it.
        problem: LabelProblem,
    },
    /// There is no image from a server.
    #[cfg(target_os = "linux")]
    Download(Box<crate::download::Problem>),
    /// The specification of an edition in this program cannot be used.
    Specification(aegis_editions::Error),
    /// A device was not copied into an image file.
    Backup {
        /// The device.
        device: PathBuf,
        /// What failed.
        source: Box<Failure>,
    },
    /// A device was copied, and what could not be read of it is zero in the image.
    Unread {
        /// The device.
        device: PathBuf,
        /// How much.
        bytes: aegis_hw::Bytes,
        /// In how many places.
        places: usize,
    },
    /// The image's account files are not as passwd(5) describes them.
    Accounts(String),
    /// A password could not be hashed.
    Password,
    /// A program ended with an error.
    Program {
        /// Its name.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed.
        output: String,
    },
    /// The temporary directory is too small for the data partition's first content.
    Staging {
        /// The directory.
        path: PathBuf,
        /// Bytes needed.
        needed: aegis_hw::Bytes,
        /// Bytes that are free.
        free: aegis_hw::Bytes,
    },
    /// A machine from a recording was to be watched.
    WatchOfRecording,
    /// The machine is only a recording, which cannot be changed.
    Recorded {
        /// The recording.
        file: PathBuf,
        /// What was asked for.
        what: &'static str,
    },
    /// A key file is none that serves.
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as a clause whose subject is the file.
        problem: &'static str,
    },
    /// A receipt cannot be signed.
    Sealing,
    /// A signature was refused.
    Signature {
        /// What is signed.
        path: PathBuf,
        /// Why.
        source: VerifyError,
    },
    /// What the devices ended as is told, and some receipts of that could not be written.
    Receipts {
        /// How many are missing.
        missing: usize,
        /// What happened to the first.
        source: Box<Error>,
    },
    /// Options that do not go together.
    Usage {
        /// What is wrong, as a clause.
        problem: String,
        /// What to do next.
        next: &'static str,
    },
    /// Fewer sticks were plugged in and completed than were asked for.
    TooFewTaken {
        /// How many were completed.
        complete: usize,
        /// How many were asked for.
        wanted: u32,
    },
    /// The person stopped the installation.
    Cancelled,
    /// The terminal cannot be used.
    Terminal(io::Error),
    /// A step of the installation failed; the disk is in the state that is named.
    Step {
        /// The step.
        step: Step,
        /// What is on the disk now.
        disk: DiskState,
        /// Where what was removed is kept, for [`DiskState::Restorable`].
        undo: Option<PathBuf>,
        /// What failed.
        source: Box<Error>,
    },
}

/// What is on the target after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskState {
    /// Not a byte was written.
    Untouched,
    /// Nothing but the old partition table and the starts of the new partitions was removed, and an undo file holds it.
    Restorable,
    /// Removing the old partition table was begun and not completed, and the disk could not be read before.
    Uncertain,
    /// Its former content is gone and it has no partition table.
    NotInstalled,
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untouched => "the disk was not changed",
            Self::Restorable => "the disk's partition table was removed and can be put back",
            Self::Uncertain => "the disk may be partly erased",
            Self::NotInstalled => {
                "the disk's former content is gone; it has no partition table and does not look installed"
            }
        })
    }
}

impl Error {
    /// Adds operation and path to an error of the system; for `map_err`.
    pub fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}

#[cfg(target_os = "linux")]
impl From<crate::download::Problem> for Error {
    fn from(problem: crate::download::Problem) -> Self {
        Self::Download(Box::new(problem))
    }
}

impl From<aegis_hw::Error> for Error {
    fn from(error: aegis_hw::Error) -> Self {
        Self::Disk(error)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Busy { source, .. } | Self::Terminal(source) => Some(source),
            Self::Signature { source, .. } => Some(source),
            Self::Receipts { source, .. } => Some(source.as_ref()),
            Self::Disk(source) => Some(source),
            Self::Specification(source) => Some(source),
            #[cfg(target_os = "linux")]
            Self::Download(source) => Some(source.as_ref()),
            Self::Manifest(source) => Some(source),
            Self::Edition(source) | Self::KeyRing { source, .. } => Some(source),
            Self::Ranges { source, .. } => Some(source),
            Self::Bmap { source, .. } => Some(source.as_ref()),
            Self::Trailer(source) => Some(source),
            Self::AnswerSyntax { source, .. } => Some(source.as_ref()),
            Self::Step { source, .. } => Some(source.as_ref()),
            Self::Flash { source, .. } | Self::Check { source, .. } | Self::Backup { source, .. } => {
                Some(source.as_ref())
            }
            _ => None,
        }
    }
}
