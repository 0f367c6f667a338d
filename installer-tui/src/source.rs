//! What is installed: the medium, its verified manifest, and the image's own files.

use std::{
    error::Error as _,
    fs,
    path::{Path, PathBuf},
};

use aegis_core::{
    crypto::Ring,
    key::PublicKey,
    license::{
        armour,
        document::{self, License},
    },
    manifest::{File, Manifest, path},
};
use aegis_editions::{
    licensing::Licensing,
    spec::{PATH_IN_IMAGE, Spec},
};

use aegis_hw::license;

use crate::{accounts::Accounts, error::Error, offers::Offers};

/// Where the parts of a live system are; every path can be another in a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The mounted medium.
    pub medium: PathBuf,
    /// The directory of `manifest.json`, `manifest.json.sig` and `boot.json`, which the initramfs verified.
    pub state: PathBuf,
    /// The pristine image, mounted read-only.
    pub image_root: PathBuf,
}

/// The medium as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where everything is.
    pub paths: Paths,
    /// The manifest's exact bytes, for the slot's trailer.
    pub manifest_bytes: Vec<u8>,
    /// Its signature's exact bytes.
    pub signature_bytes: Vec<u8>,
    /// The manifest.
    pub manifest: Manifest,
    /// The edition's specification, as it is in the image.
    pub edition: Spec,
    /// Account files of the image.
    pub accounts: Accounts,
    /// What the image can do.
    pub features: Features,
    /// What the image lets one choose from.
    pub offers: Offers,
}

/// What the image has that changes which files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Networks are set up by NetworkManager rather than by systemd-networkd.
    pub network_manager: bool,
    /// An SSH server is in the image.
    pub ssh_server: bool,
    /// That server starts unless told otherwise.
    pub ssh_enabled: bool,
}

impl Source {
    /// Reads everything but the large files.
    pub fn read(paths: Paths) -> Result<Self, Error> {
        let read = |path: PathBuf| fs::read(&path).map_err(Error::io("read", path));
        let manifest_bytes = read(paths.state.join("manifest.json"))?;
        let signature_bytes = read(paths.state.join("manifest.json.sig"))?;
        let manifest = Manifest::from_verified(&manifest_bytes).map_err(Error::Manifest)?;
        let edition = read(paths.image_root.join(PATH_IN_IMAGE))?;
        let edition = serde_json::from_slice(&edition).map_err(Error::Edition)?;
        let accounts = Accounts::read(&paths.image_root)?;
        let features = Features::of(&paths.image_root);
        let offers = Offers::read(&paths.image_root);
        Ok(Self { paths, manifest_bytes, signature_bytes, manifest, edition, accounts, features, offers })
    }

    /// Size and digest of a file that every medium has.
    pub fn listed(&self, path: &'static str) -> Result<&File, Error> {
        self.manifest.files.get(path).ok_or(Error::NotListed(path))
    }

    /// Whether the medium has GRUB for machines with a BIOS.
    pub fn has_bios_loader(&self) -> bool {
        [path::BIOS_BOOT_SECTOR, path::BIOS_CORE].iter().all(|path| self.manifest.files.contains_key(*path))
    }

    /// The text of a license document that is genuine and for this edition, or for one that includes it. Whether it fits
    /// the machine and the time is judged at every start of the installed system.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn license_document(&self, path: &Path) -> Result<String, String> {
        let read = |path: &Path, limit| match license::read(path, limit) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(format!("cannot be used: there is no file {}", path.display())),
            Err(error) => Err(format!("cannot be used: {error}")),
        };
        let keys =
            serde_json::from_slice::<Vec<PublicKey>>(&read(&self.paths.state.join("keys.json"), 1 << 20)?)
                .map_err(|error| {
                    format!("cannot be checked: the key ring of this system is damaged: {error}")
                })?;
        // Twice the room, for carriage returns and spaces at the ends of lines.
        let text = armour::tidy(&String::from_utf8_lossy(&read(path, 2 * document::LICENSE_TEXT)?));
        let license = License::verify::<Ring>(text.as_bytes(), &keys).map_err(|error| {
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            format!("is not accepted: {error}{source}")
        })?;
        let (owned, own) = (license.claims().edition, self.edition.id);
        let inclusions = Licensing::load().map_err(|error| error.to_string())?.inclusions();
        if inclusions.allow(Some(owned), own) {
            Ok(text)
        } else {
            Err(format!("is for the edition {owned}, not for {own}"))
        }
    }

    /// Reads a small file of the medium and compares it with the manifest.
    pub fn read_verified(&self, name: &'static str) -> Result<Vec<u8>, Error> {
        let listed = self.listed(name)?;
        let path = self.paths.medium.join(name);
        let bytes = fs::read(&path).map_err(Error::io("read", path))?;
        let found = aegis_core::crypto::Sha256::of(&bytes);
        if found != listed.sha256 {
            let (expected, found) = (listed.sha256.to_string(), found.to_string());
            return Err(Error::Medium { path: name.into(), expected, found });
        }
        Ok(bytes)
    }
}

impl Features {
    fn of(image: &Path) -> Self {
        let has = |path: &str| image.join(path).symlink_metadata().is_ok();
        Self {
            network_manager: has("usr/sbin/NetworkManager"),
            ssh_server: has("usr/lib/systemd/system/ssh.service"),
            ssh_enabled: has("etc/systemd/system/multi-user.target.wants/ssh.service")
                || has("etc/systemd/system/sockets.target.wants/ssh.socket"),
        }
    }
}
