//! Measurements against the peers of the initramfs, of the image formats and of the builder.
//!
//! Invariant: what is compared is measured in the same run on the same machine, in turns, and every number in a report was
//! measured by that run. Nothing here fails because something was slow.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_boot::{
    cache::Cache,
    kernel::Kernel,
    lock::Lock,
    pipeline::{self, KernelChoice},
    store::{PackageRequest, Store},
    tools::Tools,
};
use aegis_core::edition::Edition;
use aegis_editions::Spec;

use crate::error::Error;

pub mod flash;
pub mod hardware;
pub mod image;
pub mod initramfs;
pub mod iso;
pub mod kernel;
pub mod license;
pub mod live_build;
pub mod measure;
pub mod medium;
pub mod peers;
pub mod report;
pub mod server;

/// What every part needs.
pub struct Bench {
    /// The project's directory.
    pub workspace: PathBuf,
    /// Directory that cargo built our programs into.
    pub binaries: PathBuf,
    /// The program `aegis`.
    pub aegis: PathBuf,
    /// Scratch space, kept from run to run.
    pub work: PathBuf,
    /// The builder's cache, filled by an earlier `make iso`.
    pub cache_directory: PathBuf,
    /// The same, for the builder's functions.
    pub cache: Cache,
    /// The content store.
    pub store: Store,
    /// The server edition.
    pub spec: Spec,
    /// What it asks of the archives.
    pub packages: PackageRequest,
    /// Its packages.
    pub lock: Lock,
    /// The builder's tools.
    pub tools: Tools,
    /// The kernel that all initramfs archives are for.
    pub kernel: Kernel,
}

impl Bench {
    /// Opens what the last build of the server edition left in the cache.
    pub fn open(workspace: &Path, target: &Path, cache_directory: &Path) -> Result<Self, Error> {
        let spec = Spec::load(Edition::Server)
            .map_err(|error| Error::Build(aegis_boot::error::Error::Spec(error)))?;
        let packages = pipeline::package_request(&spec, KernelChoice::Debian);
        let cache = Cache::new(cache_directory.to_path_buf());
        let store = Store::open(&cache)?;
        let lock = Lock::read(&store.last_resolved(&packages), Some(spec.id), packages.digest())?;
        let (tools, _) = Tools::prepare(&cache, &store, &lock)?;
        let (kernel, _) = Kernel::prepare(&cache, &store, &lock, &tools)?;
        let work = workspace.join("target/aegis/bench");
        fs::create_dir_all(&work).map_err(Error::io("create", &work))?;
        Ok(Self {
            workspace: workspace.to_path_buf(),
            binaries: target.to_path_buf(),
            aegis: target.join("release/aegis"),
            work,
            cache_directory: cache_directory.to_path_buf(),
            cache,
            store,
            spec,
            packages,
            lock,
            tools,
            kernel,
        })
    }

    /// An empty directory in the scratch space.
    pub fn empty(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.work.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(path)
    }
}
