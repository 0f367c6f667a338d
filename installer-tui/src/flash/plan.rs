//! What will be written where, as data: the only thing that [`super::run`] accepts.

use std::{collections::BTreeSet, fmt, path::Path};

use aegis_hw::{Bytes, Tree, text::Shown};
use serde::Serialize;

use super::image::ImageFile;
use crate::{error::Error, plan::TargetDisk, select};

/// A session of writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlashPlan {
    /// The image.
    pub image: ImageFile,
    /// The devices; each one once.
    pub targets: Vec<TargetDisk>,
    /// Where file systems of the devices are mounted that have to be unmounted first.
    pub unmount: Vec<String>,
    /// Only what differs is written.
    pub update: bool,
}

/// How devices are chosen and written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// Only what differs is written.
    pub update: bool,
    /// What a desktop mounted is unmounted.
    pub unmount: bool,
}

impl FlashPlan {
    /// Looks at the devices. `medium` names the disks that the running system came from.
    ///
    /// # Errors
    /// When a device does not exist, must not be used, is too small, or is named twice.
    pub fn new(
        tree: &Tree,
        image: ImageFile,
        devices: &[impl AsRef<Path>],
        medium: &BTreeSet<String>,
        Wishes { update, unmount }: Wishes,
    ) -> Result<Self, Error> {
        let needed = Bytes(super::engine::Image::length(&image).unwrap_or(1));
        let own = image.path.canonicalize().map_err(Error::io("look at", &image.path))?;
        let mut targets: Vec<TargetDisk> = Vec::new();
        let mut mounts = Vec::new();
        for device in devices {
            let (target, mounted) = select::by_path(tree, device.as_ref(), medium, needed, unmount)?;
            mounts.extend(mounted);
            let refuse = |reason: &str| {
                Err(Error::Refused { disk: target.description.clone(), reasons: vec![reason.into()] })
            };
            if target.path == own {
                return refuse("it is the image itself");
            }
            if targets.iter().any(|other| other.path == target.path) {
                return refuse("it is named twice");
            }
            if target.identity.size < needed {
                let Bytes(size) = needed;
                return refuse(&format!("it is too small, the image has {}", Bytes(size)));
            }
            targets.push(target);
        }
        Ok(Self { image, targets, unmount: mounts, update })
    }

    /// Demands that exactly the devices that will be erased were named by their serial numbers, or files by their names.
    ///
    /// # Errors
    /// [`Error::Confirmation`] with the first one that was not named, or the first name that is of none.
    pub fn check_confirmation(&self, typed: &[String]) -> Result<(), Error> {
        let mut left: Vec<&String> = typed.iter().collect();
        for target in &self.targets {
            let Some(at) = left.iter().position(|word| **word == target.token) else {
                let found = typed.join(", ");
                return Err(Error::Confirmation { expected: target.token.clone(), found });
            };
            left.remove(at);
        }
        match left.first() {
            None => Ok(()),
            Some(word) => Err(Error::Confirmation {
                expected: "the chosen devices alone".into(),
                found: (*word).clone(),
            }),
        }
    }
}

impl fmt::Display for FlashPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImageFile { path, format, size, expected, .. } = &self.image;
        writeln!(f, "Image      {} ({format}, {})", path.display(), Bytes(*size))?;
        match expected {
            Some(expected) => writeln!(f, "           checked against {}", expected.by)?,
            None => writeln!(f, "           NOT CHECKED: nothing beside it says what it must be")?,
        }
        for target in &self.targets {
            writeln!(f, "Erased     {}: {}", target.path.display(), target.description)?;
            for lost in &target.lost {
                writeln!(f, "           with {lost}")?;
            }
            writeln!(f, "           confirmed by `{}`", target.token)?;
        }
        for at in &self.unmount {
            writeln!(f, "Unmounted  {}", Shown(at))?;
        }
        let how = if self.update { "Only what differs is written." } else { "Everything is written." };
        writeln!(f, "{how} Everything is read back. The first mebibyte comes last.")
    }
}
