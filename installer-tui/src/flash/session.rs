//! Sessions of writing as files: everything that a command line says, with devices named by what they are.
//!
//! The file is TOML, and relative paths in it begin at its directory. Each device is named by properties that exactly one
//! device of the machine must have. Naming it so is the consent to erase it: a serial number in the file stands for the
//! serial number that would have been typed. A device without one is named by its port, model and size.

mod rules;

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::Write,
    path::{Path, PathBuf},
};

use aegis_core::{edition::Edition, hex::Digest};
use aegis_hw::{
    Bytes, Tree,
    inventory::{self, Disk},
    text::Shown,
};
use serde::{Deserialize, Serialize};

use super::{
    auto::{Auto, SizeRange},
    batch::Batch,
    engine::Image as _,
    image::{Authority, ImageFile},
    plan::{FlashPlan, Wishes},
    ranges::{self, KeyFile, Wanted},
    receipt::Destination,
};
use crate::{error::Error, plan::TargetDisk, select};

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Only what differs is written.
    #[serde(default, skip_serializing_if = "is_false")]
    pub update: bool,
    /// What a desktop mounted of removable devices is unmounted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unmount: bool,
    /// Seconds for which a device that was pulled out is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_return: Option<u64>,
    /// Public keys that may sign the range manifests of images; without it, those of the running system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<PathBuf>,
    /// Edition that the signed range manifest of each image must name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<Edition>,
    /// Directory for receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<PathBuf>,
    /// Key that signs receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_key: Option<PathBuf>,
    /// The images, each with its devices.
    #[serde(default, rename = "image")]
    pub images: Vec<ImageEntry>,
    /// Sticks that are taken as they are plugged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<AutoEntry>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// An image and the devices that get it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImageEntry {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 that the file must have, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// File of digests that must name it. Without either, a file of digests beside it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<PathBuf>,
    /// Its block map, in place of anything beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bmap: Option<PathBuf>,
    /// The devices.
    #[serde(default, rename = "device", skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceEntry>,
}

/// Properties of a device; exactly one must have all that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceEntry {
    /// Serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Vendor and model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Place on the USB, such as `2-1.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The kernel's name, such as `loop0`. Names can change between two starts of a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A regular file that stands for a device; it has no other property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// Sticks that are taken as they are plugged in; see [`Auto`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AutoEntry {
    /// How many.
    pub count: u32,
    /// Smallest and largest size, such as `14GiB..16GB`.
    pub size: String,
    /// Text that the model has to contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The consent: [`Auto::consent`].
    pub confirm: String,
}

impl Session {
    /// Reads a session. Relative paths become absolute.
    ///
    /// # Errors
    /// When it cannot be read, is no session, or breaks rules; all that are broken are named.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        let session: Self = toml::from_str(&text)
            .map_err(|source| Error::AnswerSyntax { path: path.into(), source: Box::new(source) })?;
        let problems = rules::problems(&session);
        if !problems.is_empty() {
            return Err(Error::Answers(problems));
        }
        let path = path.canonicalize().map_err(Error::io("look at", path))?;
        Ok(session.below(path.parent().unwrap_or(Path::new("/"))))
    }

    /// Whether a text is meant as a session, and not as the answers of an installation.
    pub fn is_meant(text: &str) -> bool {
        let table: toml::Table = toml::from_str(text).unwrap_or_default();
        ["image", "auto", "receipts"].iter().any(|name| table.contains_key(*name))
    }

    fn below(mut self, directory: &Path) -> Self {
        let place = |path: &mut PathBuf| *path = directory.join(&*path);
        for image in &mut self.images {
            place(&mut image.path);
            image.sums.iter_mut().chain(&mut image.bmap).for_each(place);
            image.devices.iter_mut().filter_map(|device| device.file.as_mut()).for_each(place);
        }
        self.keys.iter_mut().for_each(place);
        self.receipts.iter_mut().for_each(place);
        self.receipt_key.iter_mut().for_each(place);
        self
    }

    /// The session that repeats a batch; `authorities` has what each image was checked against. Receipts are added by the one
    /// who writes them, and what images must be besides by [`Session::with`].
    pub fn of(batch: &Batch, authorities: &[Authority], unmount: bool) -> Self {
        let images = batch.writes.iter().zip(authorities).map(|(plan, authority)| ImageEntry {
            path: absolute(&plan.image.path),
            sha256: match authority {
                Authority::Typed(digest) => Some(digest.to_string()),
                _ => None,
            },
            sums: match authority {
                Authority::Sums(file) => Some(absolute(file)),
                _ => None,
            },
            bmap: None,
            devices: plan.targets.iter().map(DeviceEntry::of).collect(),
        });
        Self {
            update: batch.writes.iter().any(|plan| plan.update),
            unmount,
            wait_return: batch.wait_return,
            keys: None,
            edition: None,
            receipts: None,
            receipt_key: None,
            images: images.collect(),
            auto: batch.auto.as_ref().map(|auto| AutoEntry {
                count: auto.count,
                size: format!("{}..{}", auto.size.min.0, auto.size.max.0),
                model: auto.model.clone(),
                confirm: auto.consent(),
            }),
        }
    }

    /// The session with what its images must be besides.
    #[must_use]
    pub fn with(mut self, wanted: &Wanted) -> Self {
        self.keys = match &wanted.keys {
            KeyFile::Named(path) => Some(absolute(path)),
            KeyFile::System(_) => None,
        };
        self.edition = wanted.edition;
        // One of several images has none of its own.
        if let [image] = self.images.as_mut_slice() {
            image.bmap = wanted.bmap.as_deref().map(absolute);
        }
        self
    }

    /// The session with its receipts.
    #[must_use]
    pub fn with_receipts(mut self, receipts: Option<Destination>) -> Self {
        // The directory may not exist yet, so links are left in.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let (directory, key) = receipts.map(|to| (to.directory, to.key)).unzip();
        self.receipts = directory.map(absolute);
        self.receipt_key = key.flatten().map(absolute);
        self
    }

    /// Where receipts go.
    pub fn receipts(&self) -> Option<Destination> {
        let (directory, key) = (self.receipts.clone(), self.receipt_key.clone());
        directory.map(|directory| Destination { directory, key })
    }

    /// Writes the session to a new file.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let text =
            toml::to_string(self).map_err(|error| Error::io("write", path)(std::io::Error::other(error)))?;
        let head = "# A session of writing: `aegis-installer flash --answers FILE` repeats it.\n\
                    # The devices that are named here are erased without a question.\n";
        let mut file = fs::File::create_new(path).map_err(Error::io("create", path))?;
        file.write_all(format!("{head}{text}").as_bytes()).map_err(Error::io("write", path))
    }

    /// What the session means on a machine. `medium` names the disks that the running system came from,
    /// and its key ring is in `state`.
    ///
    /// # Errors
    /// When an image is not usable, a device is not there exactly once, or as [`FlashPlan::of_chosen`].
    pub fn batch(&self, tree: &Tree, medium: &BTreeSet<String>, state: &Path) -> Result<Batch, Error> {
        let disks = inventory::disks(tree)?;
        let wishes = Wishes { update: self.update, unmount: self.unmount };
        let mut writes = Vec::new();
        for entry in &self.images {
            let image = ImageFile::look(&entry.path, &entry.authority())?;
            let image = ranges::find(image, &self.wanted(entry, state))?;
            let needed = Bytes(image.length().unwrap_or(1));
            let chosen = entry
                .devices
                .iter()
                .map(|device| device.choose(tree, &disks, medium, needed, self.unmount))
                .collect::<Result<_, _>>()?;
            writes.push(FlashPlan::of_chosen(image, chosen, wishes)?);
        }
        Batch::new(writes, self.auto(), self.wait_return)
    }

    fn wanted(&self, image: &ImageEntry, state: &Path) -> Wanted {
        let system = Wanted::of_system(state);
        let keys = self.keys.clone().map_or(system.keys, KeyFile::Named);
        Wanted { keys, edition: self.edition, bmap: image.bmap.clone() }
    }

    fn auto(&self) -> Option<Auto> {
        let entry = self.auto.as_ref()?;
        let size = SizeRange::parse(&entry.size).ok()?;
        Some(Auto { count: entry.count, size, model: entry.model.clone() })
    }

    /// The words that would have been typed.
    pub fn consent(&self, batch: &Batch) -> Vec<String> {
        let tokens = batch.targets().into_iter().map(|target| target.token.clone());
        tokens.chain(self.auto.iter().map(|auto| auto.confirm.clone())).collect()
    }
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_unknown| path.into())
}

impl ImageEntry {
    fn authority(&self) -> Authority {
        let digest = self.sha256.as_deref().and_then(Digest::parse);
        match (digest, &self.sums) {
            (Some(digest), _) => Authority::Typed(digest),
            (None, Some(file)) => Authority::Sums(file.clone()),
            (None, None) => Authority::Beside,
        }
    }
}

impl DeviceEntry {
    /// What tells a device from all others of its machine, and holds wherever that is plugged in, if it can.
    fn of(target: &TargetDisk) -> Self {
        let Some(hardware) = &target.hardware else {
            return Self { file: Some(target.path.clone()), ..Self::default() };
        };
        let exact = hardware.serial.is_some() && !hardware.shares_serial;
        let port = hardware.port.clone().filter(|_port| !exact);
        Self {
            serial: hardware.serial.clone(),
            model: hardware.model.clone(),
            size: Some(target.identity.size.0),
            name: (!exact && port.is_none()).then(|| hardware.name.clone()),
            port,
            file: None,
        }
    }

    fn choose(
        &self,
        tree: &Tree,
        disks: &[Disk],
        medium: &BTreeSet<String>,
        needed: Bytes,
        unmount: bool,
    ) -> Result<(TargetDisk, Vec<String>), Error> {
        if let Some(file) = &self.file {
            if !file.is_file() {
                return Err(aegis_hw::Error::NotADisk(file.clone()).into());
            }
            return select::by_path(tree, file, medium, needed, unmount);
        }
        // What is no disk of its own, such as a loop device, has to be named.
        let named = self.name.as_ref().filter(|name| disks.iter().all(|disk| disk.name != **name));
        let named = named.and_then(|name| inventory::disk(tree, name).ok());
        // Devices that are refused take part, so that a wrong entry never falls through to another device.
        let found: Vec<&Disk> = disks.iter().chain(&named).filter(|disk| self.matches(disk)).collect();
        let [disk] = found.as_slice() else {
            let all = disks.iter().chain(&named).map(Disk::summary).collect();
            let found = found.iter().map(|disk| disk.summary()).collect();
            return Err(Error::Selector { wanted: self.to_string(), found, all });
        };
        select::of_disk((*disk).clone(), medium, needed, unmount)
    }

    fn matches(&self, disk: &Disk) -> bool {
        let same =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| Some(w) == found);
        same(&self.serial, disk.serial.as_deref())
            && same(&self.model, disk.model.as_deref())
            && same(&self.port, disk.usb.as_ref().map(|usb| usb.port.as_str()))
            && same(&self.name, Some(&disk.name))
            && self.size.is_none_or(|size| Bytes(size) == disk.size)
    }
}

impl fmt::Display for DeviceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size.map(|size| size.to_string());
        let properties = [
            ("serial", &self.serial),
            ("model", &self.model),
            ("size", &size),
            ("port", &self.port),
            ("name", &self.name),
        ];
        let given = properties.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        for (number, (name, value)) in given.enumerate() {
            write!(f, "{}{name} `{}`", if number == 0 { "" } else { " and " }, Shown(value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
