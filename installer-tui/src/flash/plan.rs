//! What will be written where, as data: the only thing that [`super::run`] accepts.

use std::{collections::BTreeSet, fmt, path::Path};

use aegis_hw::{Bytes, Tree, target::Named, text::Shown};
use serde::Serialize;

use super::{engine, feed, image::ImageFile, outcome::Failure};
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
        wishes: Wishes,
    ) -> Result<Self, Error> {
        let needed = Bytes(engine::Image::length(&image).unwrap_or(1));
        let chosen = devices
            .iter()
            .map(|device| select::by_path(tree, device.as_ref(), medium, needed, wishes.unmount))
            .collect::<Result<_, _>>()?;
        Self::of_chosen(image, chosen, wishes)
    }

    /// From devices that were chosen before, each with the places where it has to be unmounted.
    ///
    /// # Errors
    /// When the image does not fit a device, or a device is named twice or is the image.
    pub fn of_chosen(
        image: ImageFile,
        chosen: Vec<(TargetDisk, Vec<String>)>,
        Wishes { update, .. }: Wishes,
    ) -> Result<Self, Error> {
        let own = match image.stream {
            Some(_) => None,
            None => Some(Named::resolve(&image.path).map_err(Error::io("look at", &image.path))?.path),
        };
        let fit = Fit::of(&image)?;
        let mut plan = Self { image, targets: Vec::new(), unmount: Vec::new(), update };
        for (target, mounts) in chosen {
            if own.as_ref() == Some(&target.path) {
                return Err(refused(&target, "it is the image itself".into(), "choose another device"));
            }
            if plan.targets.iter().any(|other| other.path == target.path) {
                return Err(refused(&target, "it is named twice".into(), "name each device once"));
            }
            fit.check(&target)?;
            plan.unmount.extend(mounts);
            plan.targets.push(target);
        }
        Ok(plan)
    }

    /// Demands that exactly the devices that will be erased were named by their serial numbers, or files by their names.
    ///
    /// # Errors
    /// [`Error::Confirmation`] with the first one that was not named, or the first name that is of none.
    pub fn check_confirmation(&self, typed: &[String]) -> Result<(), Error> {
        check_confirmation(&self.targets.iter().collect::<Vec<_>>(), typed)
    }
}

pub(super) fn refused(target: &TargetDisk, reason: String, next: &'static str) -> Error {
    Error::Refused { disk: target.description.clone(), reasons: vec![reason], next }
}

/// As [`FlashPlan::check_confirmation`], for devices of several plans.
pub(super) fn check_confirmation(targets: &[&TargetDisk], typed: &[String]) -> Result<(), Error> {
    let mut left: Vec<&String> = typed.iter().collect();
    for target in targets {
        let Some(at) = left.iter().position(|word| **word == target.token) else {
            let found = typed.join(", ");
            return Err(Error::Confirmation { expected: target.token.clone(), found });
        };
        left.remove(at);
    }
    match left.first() {
        None => Ok(()),
        Some(word) => {
            Err(Error::Confirmation { expected: "the chosen devices alone".into(), found: (*word).clone() })
        }
    }
}

/// What a device must be for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Bytes that it needs at least.
    pub needed: Bytes,
    /// Bytes of a sector by the image's partition table; `None` without a GPT, or with one for each size.
    pub sector: Option<u32>,
}

impl Fit {
    /// Reads the start of an image.
    ///
    /// # Errors
    /// [`Error::Check`] when its start cannot be read or decoded.
    pub fn of(image: &ImageFile) -> Result<Self, Error> {
        let mut start = vec![0; 2 * 4096];
        let length = engine::Image::open(image)
            .and_then(|mut reader| feed::fill(&mut reader, &mut start))
            .map_err(|source| {
                let source = Box::new(Failure::Image { offset: 0, source });
                Error::Check { path: image.path.clone(), source }
            })?;
        let needed = Bytes(engine::Image::length(image).unwrap_or(1));
        Ok(Self { needed, sector: sector_of(&start[..length]) })
    }

    /// # Errors
    /// [`Error::Refused`] when the device is too small or has sectors of another size.
    pub fn check(&self, target: &TargetDisk) -> Result<(), Error> {
        if target.identity.size < self.needed {
            let reason = format!("it is too small, the image has {}", self.needed);
            return Err(refused(target, reason, "use a larger device"));
        }
        // A file has no sectors of its own.
        let found = target.identity.sector_size;
        match self.sector.filter(|sector| target.hardware.is_some() && *sector != found) {
            None => Ok(()),
            Some(sector) => {
                let reason = format!(
                    "its sectors have {found} bytes, the partition table of the image is for sectors of {sector}"
                );
                Err(refused(target, reason, "nothing would find the table: use a device with such sectors"))
            }
        }
    }
}

/// The size of the sectors that a GPT is for: its header is in the second one (UEFI 2.10, 5.3.2).
fn sector_of(start: &[u8]) -> Option<u32> {
    let has = |at: usize| start.get(at..).is_some_and(|rest| rest.starts_with(b"EFI PART"));
    match (has(512), has(4096)) {
        (true, false) => Some(512),
        (false, true) => Some(4096),
        _ => None,
    }
}

impl fmt::Display for FlashPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImageFile { path, format, size, expected, map, .. } = &self.image;
        writeln!(f, "Image      {} ({format}, {})", path.display(), Bytes(*size))?;
        match expected {
            Some(expected) => writeln!(f, "           checked against {}", expected.by)?,
            None if map.is_some() => {}
            None => writeln!(f, "           NOT CHECKED: nothing beside it says what it must be")?,
        }
        if let Some(map) = map {
            for line in map.to_string().lines() {
                writeln!(f, "           {line}")?;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_tell_the_size_of_their_sectors() {
        let with = |places: &[usize]| {
            let mut start = vec![0; 8192];
            places.iter().for_each(|at| start[*at..at + 8].copy_from_slice(b"EFI PART"));
            sector_of(&start)
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[512]), Some(512));
        assert_eq!(with(&[4096]), Some(4096));
        // Hybrid media can have both.
        assert_eq!(with(&[512, 4096]), None);
        assert_eq!(sector_of(b"short"), None);
    }
}
