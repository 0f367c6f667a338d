//! What to do after each error, and how the program ends.

use std::io;

use aegis_core::{
    key::VerifyError,
    ranges::RangesError,
    report::{Hint, exit},
};
use aegis_hw::text::Shown;

use super::{DiskState, Error};
use crate::flash::Failure;

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
            #[cfg(target_os = "linux")]
            Self::Download(source) => return source.hint(),
            Self::Specification(_) => "get this program again",
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
            #[cfg(target_os = "linux")]
            Self::Download(source) => source.exit_code(),
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
