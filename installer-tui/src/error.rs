//! Errors of the installer.

use std::{fmt, io, path::PathBuf, process::ExitStatus};

use aegis_core::{
    edition::Edition,
    key::VerifyError,
    manifest::ManifestError,
    ranges::RangesError,
    report::{Hint, exit},
    slot::TrailerError,
};
use aegis_hw::text::Shown;

use crate::{
    answers::Problem,
    backup::FileProblem,
    flash::{Failure, bmap::BmapError},
    progress::Step,
    stick::LabelProblem,
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

impl From<aegis_hw::Error> for Error {
    fn from(error: aegis_hw::Error) -> Self {
        Self::Disk(error)
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    items.iter().try_for_each(|item| write!(f, "\n  {item}"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { operation, path, .. } => write!(f, "cannot {operation} {}", path.display()),
            Self::Disk(_) => f.write_str("the disk cannot be used"),
            Self::Manifest(_) => f.write_str("the medium's manifest is not usable"),
            Self::Edition(_) => f.write_str("the medium's edition.json is not usable"),
            Self::NotListed(path) => write!(f, "the manifest does not list {path}"),
            Self::Medium { path, expected, found } => {
                write!(f, "{path} on the medium is damaged: expected {expected}, found {found}")
            }
            Self::ReadBack { what, expected, found } => {
                write!(f, "{what} reads back differently: wrote {expected}, read {found}")
            }
            Self::Trailer(_) => f.write_str("the slot cannot be completed"),
            Self::AnswerSyntax { path, .. } => write!(f, "{} is not an answer file", path.display()),
            Self::Answers(problems) => {
                f.write_str("the answers are not usable:")?;
                list(f, problems)
            }
            Self::Selector { wanted, found, all } => {
                write!(f, "{} disks have {wanted}, exactly one must; the disks are:", found.len())?;
                list(f, all)
            }
            Self::Refused { disk, reasons, .. } => write!(f, "{disk} is not used: {}", reasons.join("; ")),
            Self::PartOfDisk { path, disk } => {
                write!(f, "{} is no disk of its own, it is on {}", path.display(), Shown(disk))
            }
            Self::Confirmation { expected, found } if found.is_empty() => {
                write!(f, "the disk is confirmed by `{expected}`, and nothing was given")
            }
            Self::Confirmation { expected, found } => {
                write!(f, "the disk is confirmed by `{expected}`, not by `{found}`")
            }
            Self::ImageFormat { path, format } => {
                write!(
                    f,
                    "{} is an archive or image of the format {format}, which is not read",
                    path.display()
                )
            }
            Self::Busy { path, by, .. } if by.is_empty() => {
                write!(f, "{} is in use by another program", path.display())
            }
            Self::Busy { path, by, .. } => {
                write!(f, "{} is in use by {}", path.display(), Shown(&by.join(", ")))
            }
            Self::Sums { path, problem } => write!(f, "{} {problem}", path.display()),
            Self::Ranges { path, .. } | Self::Bmap { path, .. } => {
                write!(f, "{} does not say what the image must be", path.display())
            }
            Self::Map { path, problem } => write!(f, "{} {problem}", path.display()),
            Self::KeyRing { path, .. } => write!(f, "{} is not a key ring", path.display()),
            Self::EditionOfImage { wanted, found: Some(found) } => {
                write!(f, "the image is of the edition {found}, not of {wanted}")
            }
            Self::EditionOfImage { wanted, found: None } => {
                write!(f, "no signature says that the image is of the edition {wanted}")
            }
            Self::Flash { device, disk, .. } => write!(f, "{} was not written ({disk})", device.display()),
            Self::Check { path, .. } => write!(f, "{} failed the check", path.display()),
            Self::FlashSome { failed, all } => write!(f, "{failed} of {all} devices were not written"),
            Self::Output { path, problem } => write!(f, "{} {problem}", path.display()),
            Self::NoProgram { name, package } => {
                write!(f, "there is no {name} here, which Debian has in the package {package}")
            }
            Self::NotLive => f.write_str("this system does not run from a medium"),
            Self::Label { label, problem } => write!(f, "the label \"{}\" {problem}", Shown(label)),
            Self::Backup { device, .. } => write!(f, "no image of {} was made", device.display()),
            Self::Unread { device, bytes, places } => {
                write!(f, "{bytes} of {} in {places} places could not be read", device.display())
            }
            Self::Accounts(what) => write!(f, "the image's account files are not usable: {what}"),
            Self::Password => f.write_str("the password cannot be hashed"),
            Self::Program { name, status, output } => write!(f, "{name} ended with {status}: {output}"),
            Self::Staging { path, needed, free } => {
                write!(f, "{} has {free} free, {needed} are needed for a while", path.display())
            }
            Self::WatchOfRecording => f.write_str("a recorded machine does not change"),
            Self::Recorded { file, what } => {
                write!(f, "cannot {what}: {} is a recorded machine", file.display())
            }
            Self::Key { path, problem } => write!(f, "{} {problem}", path.display()),
            Self::Sealing => f.write_str("the receipt cannot be signed"),
            Self::Signature { path, .. } => write!(f, "the signature of {} was refused", path.display()),
            Self::Receipts { missing, .. } => {
                write!(f, "{missing} receipts are missing, of devices that ended as told above")
            }
            Self::Usage { problem, .. } => f.write_str(problem),
            Self::TooFewTaken { complete, wanted } => {
                write!(f, "{complete} of {wanted} blank sticks were completed before it ended")
            }
            Self::Cancelled => f.write_str("stopped on request"),
            Self::Terminal(_) => f.write_str("the terminal cannot be used"),
            Self::Step { step, disk, .. } => write!(f, "{step} failed ({disk})"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Busy { source, .. } | Self::Terminal(source) => Some(source),
            Self::Signature { source, .. } => Some(source),
            Self::Receipts { source, .. } => Some(source.as_ref()),
            Self::Disk(source) => Some(source),
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

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Disk(error) => return error.hint(),
            Self::Step { undo: Some(file), .. } => {
                return Some(format!(
                    "`aegis-installer table undo DISK --undo-file {}` puts back what was there",
                    file.display()
                ));
            }
            Self::Step { source, .. } => return source.hint(),
            Self::Flash { source, .. } | Self::Check { source, .. } => return source.hint(),
            Self::Output { problem, .. } => problem.hint(),
            Self::NoProgram { .. } => "install it, or do this in the live system, which has it",
            Self::NotLive => "start the machine from the medium, or name an image file",
            Self::Label { .. } => "use at most 11 characters; for FAT32, letters, digits, spaces, - and _",
            Self::Backup { source, .. } => match source.as_ref() {
                Failure::Device { .. } => {
                    "try another port or reader; with --skip-errors the rest is copied, with zeros in place of it"
                }
                other => return other.hint(),
            },
            Self::Unread { .. } => "the image has zeros there; try another port or reader, and copy again",
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some room, or name a place on another disk"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => {
                "the file system there takes no file so large; use another one"
            }
            Self::Busy { .. } => {
                "end that program, or wait for it; stop RAID, LVM or encryption on the device"
            }
            Self::ImageFormat { .. } => "unpack or convert it, and write what it holds",
            Self::Sums { .. } => {
                "get the file of sums again from where the image comes from, or give --sha256"
            }
            Self::Bmap { source, .. } => return source.hint(),
            Self::Ranges { source: RangesError::Signature(VerifyError::UnknownKey(_)), .. } => {
                "if you trust whoever made the image, give their public key with --keys; otherwise do not use it"
            }
            Self::Ranges { source: RangesError::Signature(_), .. } => {
                "do not use the image; get it and its range manifest again from their publisher"
            }
            Self::Ranges { .. } | Self::Map { .. } => {
                "get both again from where the image comes from, or move that file away to write without it"
            }
            Self::KeyRing { .. } => "give a public key such as release.pub.json, or a JSON array of them",
            Self::EditionOfImage { found: None, .. } => {
                "put its range manifest and signature beside it, and give --keys; or leave --edition out"
            }
            Self::EditionOfImage { .. } => "use the image of that edition, or name the other one",
            Self::FlashSome { .. } => "see above for each device; the others are complete",
            Self::Manifest(_)
            | Self::Edition(_)
            | Self::NotListed(_)
            | Self::Accounts(_)
            | Self::Trailer(_) => "the medium is not usable; get it again",
            Self::Medium { .. } => "write the medium again, or try another USB stick or drive",
            Self::ReadBack { .. } => "the disk or its cable is failing; use another disk",
            Self::AnswerSyntax { .. } | Self::Answers(_) => {
                "`aegis-installer check-answers FILE` checks without installing"
            }
            Self::Selector { .. } => "name the disk by its serial; `aegis-installer devices` lists the disks",
            Self::Recorded { .. } => {
                "with --sysroot use `devices`, `hardware` or `install --plan`; leave it out to change this machine"
            }
            Self::Refused { next, .. } | Self::Usage { next, .. } => next,
            Self::Key { .. } => "`aegis keys generate` makes keys; receipts are signed by receipt.key.pem",
            Self::Sealing => "use another key",
            Self::Signature { .. } => "do not trust the receipt; look at the stick itself, with `verify`",
            Self::Receipts { source, .. } => return source.hint(),
            Self::TooFewTaken { .. } => "repeat the command with the number that is left",
            Self::PartOfDisk { disk, .. } => {
                return Some(format!("if the whole disk may be erased, name /dev/{}", Shown(disk)));
            }
            Self::Confirmation { .. } => {
                "compare model and serial of the disk, then confirm it by its serial"
            }
            Self::Staging { .. } => {
                "the machine has too little memory; add some, or give --staging a directory on another disk"
            }
            Self::Terminal(_) => "use `aegis-installer install --answers FILE`",
            Self::WatchOfRecording => "leave --watch out, or watch the running machine",
            Self::Io { operation: "use as an image", .. } => "name the file of an image, such as aegis.iso",
            Self::Io { source, .. } => return aegis_hw::advice(source).map(Into::into),
            Self::Password | Self::Program { .. } | Self::Cancelled => return None,
        };
        Some(text.into())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Disk(error) => error.exit_code(),
            Self::Step { disk: DiskState::Untouched, source, .. } => source.exit_code(),
            Self::Ranges { source: RangesError::Signature(_), .. } => exit::REFUSED,
            Self::Selector { .. }
            | Self::EditionOfImage { .. }
            | Self::Map { .. }
            | Self::Refused { .. }
            | Self::PartOfDisk { .. }
            | Self::Signature { .. }
            | Self::Busy { .. }
            | Self::Confirmation { .. }
            | Self::Output { .. }
            | Self::Recorded { .. } => exit::REFUSED,
            Self::Medium { .. } => exit::FAILED,
            Self::AnswerSyntax { .. }
            | Self::Answers(_)
            | Self::Label { .. }
            | Self::Usage { .. }
            | Self::WatchOfRecording => exit::USAGE,
            _ => exit::FAILED,
        }
    }
}
