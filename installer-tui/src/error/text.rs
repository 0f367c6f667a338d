//! What each error says.

use std::fmt;

use aegis_hw::text::Shown;

use super::Error;

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
            #[cfg(target_os = "linux")]
            Self::Download(_) => f.write_str("the download failed"),
            Self::Specification(_) => f.write_str("what this program knows of the edition cannot be used"),
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
