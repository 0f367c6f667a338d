//! From answers to one disk.

#[cfg(target_os = "linux")]
use std::fs;
use std::{collections::BTreeSet, path::Path};

use aegis_core::{edition::Edition, license::key::LicenseKey};
use aegis_editions::licensing::Licensing;
use aegis_hw::{
    Bytes, Tree,
    inventory::{self, Disk, Use},
    target,
};
#[cfg(target_os = "linux")]
use serde::Deserialize;

use crate::{
    answers::{Answers, DiskSelector, Problem},
    error::Error,
    plan::{self, TargetDisk},
    source::Source,
};

/// Names of the disks that the running system is on, or was started from.
#[cfg(not(target_os = "linux"))]
pub fn medium_disks(_tree: &Tree, _state: &Path) -> Result<BTreeSet<String>, Error> {
    Ok(inventory::system_disks())
}

/// Names of the disks that the live system came from.
#[cfg(target_os = "linux")]
pub fn medium_disks(tree: &Tree, state: &Path) -> Result<BTreeSet<String>, Error> {
    #[derive(Deserialize)]
    struct Boot {
        medium_device: Option<String>,
    }
    let path = state.join("boot.json");
    // Not a live system, so nothing of it is a medium; mounts are found anyway.
    let Some(text) = boot_record(tree, &path)? else { return Ok(BTreeSet::new()) };
    let boot: Boot = serde_json::from_slice(&text).map_err(|e| Error::io("parse", path)(e.into()))?;
    match boot.medium_device {
        Some(device) => {
            tree.note(BOOT_RECORD, serde_json::json!({ "medium_device": device }).to_string().as_bytes());
            Ok(inventory::backing_disks(tree, Path::new(&device))?)
        }
        None => Ok(BTreeSet::new()),
    }
}

/// What the initramfs left, in a recorded machine.
#[cfg(target_os = "linux")]
const BOOT_RECORD: &str = "/run/aegis/boot.json";

#[cfg(target_os = "linux")]
fn boot_record(tree: &Tree, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    if tree.is_recorded() {
        return Ok(tree.read_if_any(BOOT_RECORD)?);
    }
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("read", path)(source)),
    }
}

/// Whether a disk has every property that is asked for.
fn matches(disk: &Disk, wanted: &DiskSelector) -> bool {
    let same =
        |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == found);
    same(&wanted.serial, disk.serial.as_deref())
        && same(&wanted.wwn, disk.wwn.as_deref())
        && same(&wanted.model, disk.model.as_deref())
        && same(&wanted.path, disk.node.to_str())
        && wanted.size.is_none_or(|size| Bytes(size) == disk.size)
}

/// The one disk with the properties that the answers ask for, if it may be used.
pub fn by_answers(
    disks: &[Disk],
    wanted: &DiskSelector,
    medium: &BTreeSet<String>,
    needed: Bytes,
) -> Result<TargetDisk, Error> {
    // Disks that are refused take part, so that a wrong selector never falls through to another disk.
    let found: Vec<&Disk> = disks.iter().filter(|disk| matches(disk, wanted)).collect();
    let [disk] = found.as_slice() else {
        let all = disks.iter().map(Disk::summary).collect();
        let found = found.iter().map(|disk| disk.summary()).collect();
        return Err(Error::Selector { wanted: wanted.to_string(), found, all });
    };
    refuse(disk, medium, needed)?;
    Ok(TargetDisk::of_disk(disk))
}

fn refuse(disk: &Disk, medium: &BTreeSet<String>, needed: Bytes) -> Result<(), Error> {
    let found = disk.refusals(medium, needed);
    let Some(first) = found.first() else { return Ok(()) };
    let reasons = found.iter().map(ToString::to_string).collect();
    Err(Error::Refused { disk: disk.summary(), reasons, next: first.advice() })
}

/// Where desktops mount sticks by themselves.
const DESKTOP_MOUNTS: [&str; 2] = ["/media/", "/run/media/"];

/// A target that the command line names: a regular file or a block device. With `unmount`, mounts of a removable device
/// that a desktop made are no reason against it; they are returned, in the order in which they were made.
pub fn by_path(
    tree: &Tree,
    path: &Path,
    medium: &BTreeSet<String>,
    needed: Bytes,
    unmount: bool,
) -> Result<(TargetDisk, Vec<String>), Error> {
    if !tree.is_recorded() {
        let named = target::Named::resolve(path).map_err(Error::io("look at", path))?;
        if let Some(size) = named.file {
            return Ok((TargetDisk::of_file(named.path, size, 512), Vec::new()));
        }
    }
    let name = device_name(tree, path)?;
    let found = inventory::disk(tree, &name);
    if let Err(aegis_hw::Error::NoSuchDisk(name)) = &found {
        let whole = inventory::backing_disks(tree, Path::new(name))?.pop_first();
        if let Some(disk) = whole {
            return Err(Error::PartOfDisk { path: path.into(), disk });
        }
    }
    of_disk(found?, medium, needed, unmount)
}

/// As [`by_path`], for a disk of the inventory.
pub fn of_disk(
    mut disk: Disk,
    medium: &BTreeSet<String>,
    needed: Bytes,
    unmount: bool,
) -> Result<(TargetDisk, Vec<String>), Error> {
    let mounts = if unmount { take_desktop_mounts(&mut disk) } else { Vec::new() };
    refuse(&disk, medium, needed)?;
    Ok((TargetDisk::of_disk(&disk), mounts))
}

/// Takes out of the uses of a removable disk where a desktop mounted it, in the order in which that was done.
pub(crate) fn take_desktop_mounts(disk: &mut Disk) -> Vec<String> {
    let mut mounts = Vec::new();
    if disk.removable {
        disk.uses.retain(|one| match one {
            Use::Mount { at, .. } if DESKTOP_MOUNTS.iter().any(|place| at.starts_with(place)) => {
                mounts.push(at.clone());
                false
            }
            _ => true,
        });
    }
    mounts
}

/// The kernel's name of the device behind a path.
pub(crate) fn device_name(tree: &Tree, path: &Path) -> Result<String, Error> {
    let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    if tree.is_recorded() {
        let real = path.to_str().and_then(|path| tree.real(path).ok());
        return Ok(last(real.as_deref().map_or(path, Path::new)).unwrap_or_default());
    }
    Ok(target::disk_name(tree, path)?)
}

/// Demands that the answers name the disk that will be erased.
pub fn check_confirmation(answers: &Answers, target: &TargetDisk) -> Result<(), Error> {
    match &answers.confirm {
        Some(word) if *word == target.token => Ok(()),
        Some(word) => Err(Error::Confirmation { expected: target.token.clone(), found: word.clone() }),
        None => {
            let rule = format!("is missing; this disk is confirmed by `{}`", target.token);
            Err(Error::Answers(vec![Problem { field: "confirm", rule }]))
        }
    }
}

/// Rules that need the medium: the edition, and the form of its license keys.
pub fn check_edition(answers: &Answers, source: &Source) -> Result<(), Error> {
    let mut problems = source.offers.problems(answers, &source.paths.image_root);
    let own = source.edition.id;
    if let Some(wanted) = answers.edition.filter(|wanted| *wanted != own) {
        problems.push(Problem { field: "edition", rule: format!("is {wanted}, but the medium holds {own}") });
    }
    problems.extend(license_problems(answers, source));
    if let Err(Error::Accounts(rule)) = source.accounts.with_user(&crate::accounts::NewUser {
        name: &answers.user.name,
        full_name: "",
        password_hash: "",
        shell: "",
        today: 0,
    }) {
        problems.push(Problem { field: "user.name", rule });
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Answers(problems)) }
}

/// What is wrong with the license that the answers name.
fn license_problems(answers: &Answers, source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    let licensed = source.edition.key_prefix.is_some();
    let unneeded = || Err("is not needed for this edition; leave it out".to_string());
    if let Some(key) = &answers.license_key {
        let checked = if licensed { license_key(source.edition.id, key).map(drop) } else { unneeded() };
        problems.extend(checked.err().map(|rule| Problem { field: "license_key", rule }));
    }
    if let Some(path) = &answers.license_file {
        let checked = if licensed { source.license_document(path).map(drop) } else { unneeded() };
        problems.extend(checked.err().map(|rule| Problem { field: "license_file", rule }));
    }
    problems
}

/// Reads a license key as a person types it. It must be for the edition, or for one that includes it.
///
/// Whether the key was sold is found out by the installed system; an installation does not fail over it.
pub fn license_key(edition: Edition, text: &str) -> Result<LicenseKey, String> {
    let licensing = Licensing::load().map_err(|error| error.to_string())?;
    let (key, owned) = licensing.read_key(text).map_err(|error| format!("is not accepted: {error}"))?;
    if licensing.inclusions().allow(Some(owned), edition) {
        Ok(key)
    } else {
        Err(format!("is for the edition {owned}, not for {edition}"))
    }
}

/// The smallest disk that the medium can be installed to.
pub fn needed(source: &Source) -> Bytes {
    plan::minimum(source)
}
