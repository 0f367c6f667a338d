//! The running system, as its boot left word of it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use aegis_core::{edition::Edition, key::PublicKey, time::UnixTime};
use aegis_hw::{Tree, machine::Identity, tree::Roots};
use serde::{Deserialize, de::DeserializeOwned};

use crate::Error;

/// A system below a root directory, which is `/` but in tests.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
}

/// What PID 1 of the initramfs wrote about the boot; only what the utilities use.
#[derive(Clone, Debug, Deserialize)]
pub struct Boot {
    /// The edition that runs.
    pub edition: Edition,
    /// Its version.
    pub version: String,
    /// `live` or `installed`.
    pub mode: String,
    /// The disk that it runs from, by its kernel name.
    pub disk: Option<String>,
}

impl System {
    /// The system below `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The boot of this system.
    ///
    /// # Errors
    /// When the file is missing or damaged, as on a system that is not Aegis OS.
    pub fn boot(&self) -> Result<Boot, Error> {
        self.record("boot.json")
    }

    /// The public keys that the boot trusts.
    ///
    /// # Errors
    /// As [`System::boot`].
    pub fn keys(&self) -> Result<Vec<PublicKey>, Error> {
        self.record("keys.json")
    }

    /// Where a record is.
    pub fn record_path(&self, name: &str) -> PathBuf {
        self.root.join("run/aegis").join(name)
    }

    /// Whether this program may not read what names the machine, as every program of an ordinary user.
    pub fn is_restricted(&self) -> bool {
        let opened = File::open(self.root.join("sys/class/dmi/id/product_uuid"));
        opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// A JSON file that the boot or the licensing left for other programs.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn record<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let path = self.record_path(name);
        let text = fs::read(&path).map_err(Error::io("reading", &path))?;
        serde_json::from_slice(&text).map_err(|source| Error::Record { path, source })
    }

    /// The parts of the machine that a license can be bound to.
    pub fn identity(&self, boot: &Boot) -> Identity {
        let tree = Tree::live(Roots::below(&self.root));
        Identity::read(&tree, boot.disk.as_deref(), &self.root.join("etc/machine-id"))
    }

    /// What the clock says.
    pub fn now() -> UnixTime {
        // A clock before 1970 judges like one at 1970, which every license is later than.
        UnixTime::from_unsigned(
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()),
        )
    }
}

/// Removes a file and says whether there was one.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("removing", path)(error)),
    }
}
