//! The cache of stages: each result lies under the digest of everything it was made from.
//!
//! Layout below the cache directory: `stages/<stage>/<digest>`. A result is made beside its final name and
//! renamed, so that a build killed half-way leaves nothing that a later build would take for whole.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use aegis_core::{crypto::Sha256, hex::Digest};

use crate::error::{Error, Result};

/// Results that are kept of each stage.
const KEEP: usize = 8;

/// Results that are kept of a stage of gigabytes.
const KEEP_LARGE: usize = 2;

/// The cache directory.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// Collects the inputs of a stage.
#[derive(Clone)]
pub struct Key(Sha256);

impl Key {
    /// Starts with the stage's name. A stage whose code makes other bytes of the same inputs changes this name
    /// (`image-3`), which makes its cached results stale.
    pub fn new(stage: &str) -> Self {
        // The first input is the format of the keys themselves.
        Self(Sha256::new()).with("1").with(stage)
    }

    /// Adds an input. Inputs of different length never run together.
    #[must_use]
    pub fn with(mut self, input: impl AsRef<[u8]>) -> Self {
        let bytes = input.as_ref();
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds the content of a file.
    pub fn with_file(self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::io("reading", path))?;
        Ok(self.with(bytes))
    }

    /// The digest of all inputs.
    pub fn finish(self) -> Digest {
        self.0.finish()
    }
}

impl Cache {
    /// Uses `root`, which need not exist.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory of a part of the cache, created.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).map_err(Error::io("creating", &path))?;
        Ok(path)
    }

    /// The result of a stage, made by `make` at the path it is given unless it exists. The second value is
    /// true when it existed.
    pub fn stage(
        &self,
        stage: &str,
        key: Key,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<(PathBuf, bool)> {
        self.keeping(KEEP, stage, key, make)
    }

    /// As [`Self::stage`], for results of gigabytes, of which fewer are kept.
    pub fn large_stage(
        &self,
        stage: &str,
        key: Key,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<(PathBuf, bool)> {
        self.keeping(KEEP_LARGE, stage, key, make)
    }

    fn keeping(
        &self,
        keep: usize,
        stage: &str,
        key: Key,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<(PathBuf, bool)> {
        let directory = self.directory(&format!("stages/{stage}"))?;
        let path = directory.join(key.finish().to_string());
        if path.exists() {
            touch(&path);
            return Ok((path, true));
        }
        let temporary = tempfile::Builder::new()
            .prefix("partial-")
            .tempdir_in(&directory)
            .map_err(Error::io("creating a directory in", &directory))?;
        let result = temporary.path().join("result");
        make(&result)?;
        match fs::rename(&result, &path) {
            // Another build made the same in the meantime.
            Err(_) if path.exists() => return Ok((path, true)),
            renamed => renamed.map_err(Error::io("renaming", &result))?,
        }
        prune(&directory, keep);
        Ok((path, false))
    }
}

/// Marks a result as used. Failure only makes the pruning less exact.
fn touch(path: &Path) {
    if let Ok(file) = fs::File::open(path) {
        file.set_modified(SystemTime::now()).ok();
    }
}

/// Removes all but the last results. Failure costs space, not correctness.
fn prune(directory: &Path, keep: usize) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut results: Vec<_> = entries
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with("partial-"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    results.sort();
    let old = results.len().saturating_sub(keep);
    for (_, path) in results.into_iter().take(old) {
        if path.is_dir() {
            fs::remove_dir_all(&path).ok()
        } else {
            fs::remove_file(&path).ok()
        };
    }
}
