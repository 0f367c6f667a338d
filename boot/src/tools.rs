//! The builder's own tools, from the Debian release that the product is built from.
//!
//! File system and loader tools of the building machine differ in version, and so would the bytes that they
//! make. The packages in the lock are unpacked, not installed, and their programs are started by their own
//! dynamic loader, which needs no privilege and no change of the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    cache::{Cache, Key},
    error::{Error, Result},
    host,
    lock::{Lock, Package, Use},
    store::Store,
};

/// Packages whose programs and files a build uses.
pub const PACKAGES: &[&str] = &[
    "erofs-utils",
    "grub-efi-amd64-signed",
    "grub-pc-bin",
    "kmod",
    "shim-signed",
    "squashfs-tools",
    "xorriso",
    "xz-utils",
    "zstd",
];

/// The unpacked tools.
#[derive(Clone, Debug)]
pub struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Unpacks the tools of a lock, or finds them unpacked.
    pub fn prepare(cache: &Cache, store: &Store, lock: &Lock) -> Result<(Self, bool)> {
        let key = lock.uses(Use::Tools).fold(Key::new("tools"), |key, package| key.with(package.sha256.0));
        let (root, cached) = cache.stage("tools", key, |root| unpack(store, lock.uses(Use::Tools), root))?;
        Ok((Self { root }, cached))
    }

    /// A file of the tools tree.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A program of the tools tree, ready for arguments.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.root.join("usr/lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(self.root.join("usr/lib/x86_64-linux-gnu"));
        command.arg(self.root.join(program));
        command
    }
}

/// Unpacks packages over each other.
pub fn unpack<'l>(store: &Store, packages: impl Iterator<Item = &'l Package>, root: &Path) -> Result<()> {
    let files: Vec<PathBuf> = packages.map(|package| store.path(&package.sha256)).collect();
    unpack_files(files.iter().map(PathBuf::as_path), root)
}

/// Unpacks package files over each other.
pub fn unpack_files<'p>(files: impl Iterator<Item = &'p Path>, root: &Path) -> Result<()> {
    fs::create_dir_all(root).map_err(Error::io("creating", root))?;
    for file in files {
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(file).arg(root);
        host::output(&mut command, "unpacking a package")?;
    }
    Ok(())
}
