//! Kernels: Debian's, unpacked with its module index, and those of our own configurations.

pub mod build;
pub mod configure;
mod debian;
pub mod driver_map;
pub mod embedded;
pub mod hardening;
pub mod judged;
pub mod own;
pub mod workshop;

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_core::hex::Digest;

use crate::{
    cache::{Cache, Key},
    error::{Error, Result},
    host,
    kernel::build::Built,
    lock::{Lock, Use},
    store::Store,
    tools::{self, Tools},
};

/// An unpacked kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Directory with `usr/lib/modules/<release>`.
    pub root: PathBuf,
    /// The kernel's release, as `uname -r` prints it.
    pub release: String,
    /// Names the content.
    pub key: Digest,
}

impl Kernel {
    /// Unpacks the kernel of a lock, or finds it unpacked.
    pub fn prepare(cache: &Cache, store: &Store, lock: &Lock, tools: &Tools) -> Result<(Self, bool)> {
        let key = lock.uses(Use::Kernel).fold(Key::new("kernel"), |key, package| key.with(package.sha256.0));
        Self::unpack(cache, key, tools, |root| tools::unpack(store, lock.uses(Use::Kernel), root))
    }

    /// Unpacks a kernel that was built for an edition, or finds it unpacked.
    pub fn of_edition(cache: &Cache, built: &Built, tools: &Tools) -> Result<(Self, bool)> {
        let key = Key::new("kernel").with(build::digest(built)?.0);
        let packages: Vec<PathBuf> = built.packages().collect();
        Self::unpack(cache, key, tools, |root| {
            tools::unpack_files(packages.iter().map(PathBuf::as_path), root)
        })
    }

    fn unpack(
        cache: &Cache,
        key: Key,
        tools: &Tools,
        unpack: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<(Self, bool)> {
        let digest = key.clone().finish();
        let (root, cached) = cache.stage("kernel", key, |root| {
            unpack(root)?;
            let release = release_in(root)?;
            let mut depmod = tools.command("usr/sbin/depmod");
            // kmod appends the module directory that it was built with to the base.
            depmod.arg("-b").arg(root).arg("-m").arg("/usr/lib/modules").arg(&release);
            host::output(&mut depmod, "indexing kernel modules").map(drop)
        })?;
        Ok((Self { release: release_in(&root)?, root, key: digest }, cached))
    }

    /// The kernel image.
    pub fn image(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// The directory of the modules.
    pub fn modules(&self) -> PathBuf {
        self.root.join("usr/lib/modules").join(&self.release)
    }
}

fn release_in(root: &Path) -> Result<String> {
    let directory = root.join("usr/lib/modules");
    let mut names: Vec<String> = fs::read_dir(&directory)
        .map_err(Error::io("reading", &directory))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.pop().ok_or_else(|| Error::MissingPackage("the kernel package has no modules".into()))
}
