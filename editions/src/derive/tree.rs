//! The derived files of a source tree: which are stale, and writing them anew.
//!
//! Invariant: nothing outside [`TIER_FEATURES`] and the marked block of [`README`] is ever changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{readme_table, replace_table, tier_features};
use crate::{error::Error, registry::Registry, spec::Spec};

/// The tiers for the site and for license tools, below the root of the tree.
pub const TIER_FEATURES: &str = "editions/TIER_FEATURES.json";
/// The file with the table of editions, below the root of the tree.
pub const README: &str = "README.md";

/// A derived file whose committed text differs from what the specifications say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The file.
    pub path: PathBuf,
    /// What it should contain.
    pub text: String,
}

/// The derived files below `root` that are stale; empty when everything is fresh.
///
/// # Errors
/// When a specification is not valid, a file cannot be read, or `README.md` lacks the markers.
pub fn stale(root: &Path) -> Result<Vec<Stale>, Error> {
    let specs = Spec::all()?;
    let readme = read(&root.join(README))?.unwrap_or_default();
    let wanted = [
        (TIER_FEATURES, tier_features(&specs, &Registry::load()?)),
        (README, replace_table(&readme, &readme_table(&specs))?),
    ];
    let mut stale = Vec::new();
    for (name, text) in wanted {
        let path = root.join(name);
        if read(&path)?.as_ref() != Some(&text) {
            stale.push(Stale { path, text });
        }
    }
    Ok(stale)
}

impl Stale {
    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<(), Error> {
        fs::write(&self.path, &self.text).map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

/// The text of a file; `None` when there is no such file, which counts as stale.
fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.into(), source }),
    }
}
