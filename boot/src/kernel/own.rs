//! An edition's own kernel from its layers to the tree that a medium is made of, with every gate on the way.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_editions::Spec;
use aegis_kernel_configs::{Contract, DotConfig, contract};

use crate::{
    cache::Cache,
    error::{Error, Result},
    initramfs,
    kernel::{
        Kernel,
        build::{self, Built, Order},
        driver_map, embedded,
        judged::Judge,
        workshop::{self, Origin, Workshop},
    },
    progress::Progress,
    tools::Tools,
};

/// The layers, below the project's directory.
pub const LAYERS: &str = "kernel-configs";

/// Stages of [`OwnKernel::make`], for the progress.
pub const STAGES: usize = workshop::STAGES + 3;

/// A kernel that was built for an edition.
#[derive(Clone, Debug)]
pub struct OwnKernel {
    /// The packages.
    pub built: Built,
    /// What is promised of it.
    pub contract: Contract,
    /// The map from devices to symbols.
    pub drivers: PathBuf,
}

impl OwnKernel {
    /// Checks the configuration and builds, or finds it built.
    pub fn make(
        cache: &Cache,
        origin: &Origin,
        layers: &Path,
        spec: &Spec,
        key: &Path,
        progress: &mut Progress,
    ) -> Result<Self> {
        let workshop = Workshop::open(cache, origin, progress)?;
        let judge = Judge::new(cache, &workshop, layers, progress)?;
        progress.stage("check");
        let (judged, configured) = judge.judge(spec)?;
        if !judged.passes() {
            return Err(Error::KernelFindings { findings: judged.count(), editions: vec![spec.id] });
        }
        progress.done(judged.cached, &format!("all {} requests are in it", judged.requests));
        let hardening = (judged.score.fulfilled, judged.score.of);
        let contract =
            Contract::new(spec.id, workshop.version, &configured.merged, &configured.config, hardening);
        progress.stage("build");
        let order = Order { spec, configured: &configured, contract: &contract, key };
        let (built, cached) = build::build(cache, &workshop, &order, progress)?;
        progress.done(cached, &built.record.to_string());
        Ok(Self { built, contract, drivers: driver_map::make(cache, &workshop)? })
    }

    /// Unpacks it for a medium. What the kernel image itself carries must be what the contract promises, and what aegis-init
    /// needs before any module can be loaded must be built in.
    pub fn unpack(&self, cache: &Cache, tools: &Tools) -> Result<(Kernel, bool)> {
        let (kernel, cached) = Kernel::of_edition(cache, &self.built, tools)?;
        if let Some(module) = initramfs::loadable(&kernel)?.first() {
            let release = kernel.release;
            return Err(Error::NotBuiltIn { module: module.clone(), release });
        }
        self.prove(tools, &kernel.image())?;
        Ok((kernel, cached))
    }

    fn prove(&self, tools: &Tools, image: &Path) -> Result<()> {
        let found = DotConfig::parse(&embedded::config(tools, image)?);
        match self.contract.broken_by(&found).first() {
            None => Ok(()),
            Some(broken) => Err(Error::Mismatch {
                path: format!("CONFIG_{} in {}", broken.symbol, image.display()),
                property: "value",
                expected: broken.promised.value.to_string(),
                found: broken.found.to_string(),
            }),
        }
    }

    /// Copies the packages and the record of the build into a directory.
    pub fn copy_to(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
        let names = self.built.record.packages.iter().map(String::as_str).chain(["build.json"]);
        let copy = |name: &str| {
            let (from, to) = (self.built.directory.join(name), directory.join(name));
            let near = directory.join(format!(".{name}.partial"));
            fs::copy(&from, &near).and_then(|_| fs::rename(&near, &to)).map_err(Error::io("writing", &to))?;
            Ok(to)
        };
        names.map(copy).collect()
    }
}

/// The contract in an unpacked kernel, when it has one: Debian's has none.
pub fn contract_of(kernel: &Kernel) -> Result<Option<Contract>> {
    let path = kernel.root.join(contract::PATH);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
    let contract = serde_json::from_str(&text).map_err(|error| Error::Io {
        doing: "reading",
        path,
        source: std::io::Error::other(error),
    })?;
    Ok(Some(contract))
}
