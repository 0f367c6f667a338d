//! What the machine and the medium offer, as data for the screens.

use aegis_core::edition::Edition;
use aegis_hw::{
    Bytes,
    inventory::{Disk, Refusal},
};

use crate::{offers::Offers, plan::TargetDisk, select, source::Source};

/// A disk with the reasons against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is erased when it is chosen.
    pub target: TargetDisk,
    /// Vendor and model.
    pub model: String,
    /// Size, bus, serial number and name.
    pub details: String,
    /// Why it cannot be chosen; empty when it can.
    pub refusals: Vec<String>,
}

impl Candidate {
    /// From the inventory.
    pub fn new(disk: &Disk, refusals: &[Refusal]) -> Self {
        let shown = |text: &Option<String>| text.as_deref().map(|t| aegis_hw::text::Shown(t).to_string());
        let serial = shown(&disk.serial).map_or_else(|| "no serial".into(), |s| format!("serial {s}"));
        let removable = if disk.removable { ", removable" } else { "" };
        Self {
            target: TargetDisk::of_disk(disk),
            model: shown(&disk.model).unwrap_or_else(|| "Unknown model".into()),
            details: format!("{}, {}{removable}, {serial}, {}", disk.size, disk.transport, disk.name),
            refusals: refusals.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Everything that the screens choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Name of the product with its edition.
    pub product: String,
    /// Version.
    pub version: String,
    /// One line about the edition.
    pub tagline: String,
    /// The edition's colour, `#rrggbb`.
    pub colour: String,
    /// The edition, when it is opened by a license key.
    pub licensed: Option<Edition>,
    /// Locales, keyboards and time zones.
    pub offers: Offers,
    /// Disks.
    pub disks: Vec<Candidate>,
    /// Network interfaces.
    pub interfaces: Vec<String>,
    /// Names of users and groups that the image has.
    pub accounts: Vec<String>,
    /// Smallest disk.
    pub needed: Bytes,
    /// The machine can be restarted from here.
    pub live: bool,
}

impl World {
    /// From medium and image; disks and interfaces are added by the caller.
    pub fn of(source: &Source) -> Self {
        let names = [&source.accounts.passwd, &source.accounts.group];
        let names = names.into_iter().flat_map(|file| file.lines());
        Self {
            product: format!("Aegis OS {}", source.edition.name),
            version: source.manifest.version.to_string(),
            tagline: source.edition.tagline.clone(),
            colour: source.edition.colour.installer.clone(),
            licensed: source.edition.key_prefix.is_some().then_some(source.edition.id),
            offers: source.offers.clone(),
            disks: Vec::new(),
            interfaces: Vec::new(),
            accounts: names.filter_map(|line| Some(line.split(':').next()?.to_string())).collect(),
            needed: select::needed(source),
            live: false,
        }
    }
}
