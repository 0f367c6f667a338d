//! `aegis kernel build`: an edition's kernel as Debian packages.
//!
//! Reproducible: fixed paths, names and dates (Documentation/kbuild/reproducible-builds.rst), the packages of a lock, a
//! module key that is kept. A build works in a directory of its own, so that one that was interrupted leaves nothing that a
//! later one would take for whole; what it compiled is found again by ccache.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use aegis_core::hex::Digest;
use aegis_editions::Spec;
use aegis_kernel_configs::{Contract, DotConfig, contract};
use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};

use crate::{
    cache::{Cache, Key},
    date,
    error::{Error, Result},
    host,
    kernel::{
        configure::{Configured, MODULE_KEY},
        debian,
        workshop::{Room, Workshop},
    },
    progress::Progress,
    store::digest_of,
};

/// A kernel that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// Directory of the packages and of `build.json`.
    pub directory: PathBuf,
    /// How it was built.
    pub record: Record,
}

/// What is known of a build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// As `uname -r` prints it.
    pub release: String,
    /// File names of the packages: image, modules, headers.
    pub packages: Vec<String>,
    /// Kernel modules.
    pub modules: usize,
    /// Bytes of the modules' files.
    pub modules_bytes: u64,
    /// Bytes of the kernel image.
    pub image_bytes: u64,
    /// Files that were compiled or found in the compiler's cache.
    pub compiled: u64,
    /// How long it took.
    pub seconds: u64,
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (image, modules) = (self.image_bytes as f64 / 1e6, self.modules_bytes as f64 / 1e6);
        let Self { release, modules: count, .. } = self;
        write!(f, "{release}: {image:.1} MB, {count} modules of {modules:.1} MB")
    }
}

impl Built {
    /// The packages that a system needs: image and modules.
    pub fn packages(&self) -> impl Iterator<Item = PathBuf> {
        let needed = self.record.packages.iter().filter(|name| !name.starts_with("linux-headers-"));
        needed.map(|name| self.directory.join(name))
    }
}

/// What a build depends on beside source and configuration.
pub struct Order<'a> {
    /// The edition.
    pub spec: &'a Spec,
    /// The configuration, which passed its check.
    pub configured: &'a Configured,
    /// What is promised of this kernel; it travels in the image package.
    pub contract: &'a Contract,
    /// Private key and certificate that sign modules and kernel, in one PEM file.
    pub key: &'a Path,
}

/// Builds, or finds it built. The second value is true when it was.
pub fn build(
    cache: &Cache,
    workshop: &Workshop,
    order: &Order<'_>,
    progress: &mut Progress,
) -> Result<(Built, bool)> {
    // A private key is no input of the result but by what it signs; its digest never leaves this machine.
    let key = Key::new("kernel-build").with(workshop.key.0).with(&order.configured.text);
    let key = key.with(text_of(order.contract)).with_file(order.key)?;
    let (directory, cached) = cache.stage("kernel-build", key, |result| {
        let near = cache.directory("work")?;
        let _alone = alone(&near)?;
        let work = tempfile::Builder::new().prefix("kernel-").tempdir_in(&near);
        let work = work.map_err(Error::io("creating a directory in", near))?;
        let job = Job { cache, workshop, order, build: work.path(), ccache: cache.directory("ccache")? };
        fs::create_dir(result).map_err(Error::io("creating", result))?;
        job.run(result, progress).map_err(|error| or_full(error, work.path()))
    })?;
    let path = directory.join("build.json");
    let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
    let record = serde_json::from_str(&text).map_err(|error| Error::Io {
        doing: "reading",
        path,
        source: std::io::Error::other(error),
    })?;
    Ok((Built { directory, record }, cached))
}

/// Waits until no other kernel is built below `near`, and removes what a build left that was killed: gigabytes.
fn alone(near: &Path) -> Result<fs::File> {
    let path = near.join("kernel.lock");
    let file = fs::File::create(&path).and_then(|file| file.lock().map(|()| file));
    let file = file.map_err(Error::io("locking", path))?;
    for entry in fs::read_dir(near).map_err(Error::io("reading", near))?.flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name().to_string_lossy().starts_with("kernel-") {
            fs::remove_dir_all(&path).map_err(Error::io("removing", &path))?;
        }
    }
    Ok(file)
}

/// Less than this is a full disk: a program that fails there removes some of what it wrote.
const FULL: u64 = 16 << 20;

/// Not every program of a kernel's build says why it cannot write.
fn or_full(error: Error, place: &Path) -> Error {
    let left = statvfs(place).map(|system| system.blocks_available() * system.fragment_size());
    match (&error, left) {
        (Error::Tool { .. }, Ok(left)) if left < FULL => {
            Error::io("compiling the kernel in", place)(io::ErrorKind::StorageFull.into())
        }
        _ => error,
    }
}

fn text_of(contract: &Contract) -> String {
    // Serialising plain data cannot fail.
    serde_json::to_string_pretty(contract).unwrap_or_default() + "\n"
}

/// Names a built kernel by its packages.
pub fn digest(built: &Built) -> Result<Digest> {
    let mut key = Key::new("built-kernel");
    for package in built.packages() {
        key = key.with(digest_of(&package)?.0);
    }
    Ok(key.finish())
}

/// One build.
struct Job<'a> {
    cache: &'a Cache,
    workshop: &'a Workshop,
    order: &'a Order<'a>,
    build: &'a Path,
    ccache: PathBuf,
}

impl Job<'_> {
    fn run(&self, result: &Path, progress: &mut Progress) -> Result<()> {
        let begun = std::time::Instant::now();
        self.write_config()?;
        let compiled = self.compile(progress)?;
        self.keep_count(compiled)?;
        // Building may not have changed a single answer.
        self.compare_config()?;
        let release = self.release()?;
        self.install(&release)?;
        let packages = self.package(&release, result)?;
        let tree = self.build.join("install");
        let image = tree.join(format!("image/boot/vmlinuz-{release}"));
        let (modules, modules_bytes) = debian::count_modules(&tree.join("modules/usr/lib/modules"))?;
        let record = Record {
            release,
            packages,
            modules,
            modules_bytes,
            image_bytes: fs::metadata(&image).map_err(Error::io("reading", image))?.len(),
            compiled,
            seconds: begun.elapsed().as_secs(),
        };
        let path = result.join("build.json");
        let text = serde_json::to_string_pretty(&record).unwrap_or_default() + "\n";
        fs::write(&path, text).map_err(Error::io("writing", path))
    }

    fn write_config(&self) -> Result<()> {
        let path = self.build.join(".config");
        fs::write(&path, &self.order.configured.text).map_err(Error::io("writing", path))
    }

    fn with_room<T>(&self, work: impl FnOnce(Room<'_>) -> Result<T>) -> Result<T> {
        let date = format!("@{}", self.workshop.lock.epoch);
        let mounts = [(self.ccache.as_path(), "/ccache"), (self.order.key, MODULE_KEY)];
        let variables = [
            ("CCACHE_DIR", "/ccache"),
            ("CCACHE_MAXSIZE", "12G"),
            ("KBUILD_BUILD_TIMESTAMP", date.as_str()),
            ("KBUILD_BUILD_USER", "aegis"),
            ("KBUILD_BUILD_HOST", "aegis"),
            ("KBUILD_BUILD_VERSION", "1"),
        ];
        work(Room { build: self.build, mounts: &mounts, variables: &variables })
    }

    fn make(&self, room: Room<'_>) -> Command {
        let mut command = self.workshop.make(room);
        command.arg(format!("-j{}", Workshop::jobs())).args(["CC=ccache gcc", "HOSTCC=ccache gcc"]);
        // What the compiler's plugins draw is drawn the same each time.
        command.arg("KCFLAGS=-frandom-seed=aegis");
        command
    }

    /// Compiles kernel and modules; returns how many files.
    fn compile(&self, progress: &mut Progress) -> Result<u64> {
        let expected = self.expected();
        let mut done = 0;
        self.with_room(|room| {
            host::lines(self.make(room).args(["bzImage", "modules"]), "compiling the kernel", |line| {
                if line.trim_start().starts_with("CC") {
                    done += 1;
                    progress.files(done, expected);
                }
            })
        })?;
        Ok(done)
    }

    /// Files that the last build of this edition compiled; none at the first.
    fn expected(&self) -> Option<u64> {
        fs::read_to_string(self.count_path().ok()?).ok()?.trim().parse().ok()
    }

    fn keep_count(&self, compiled: u64) -> Result<()> {
        let path = self.count_path()?;
        fs::write(&path, compiled.to_string()).map_err(Error::io("writing", path))
    }

    fn count_path(&self) -> Result<PathBuf> {
        Ok(self.cache.directory("kernel-files")?.join(self.order.spec.id.id()))
    }

    fn compare_config(&self) -> Result<()> {
        let path = self.build.join(".config");
        let text = fs::read_to_string(&path).map_err(Error::io("reading", path))?;
        let found = DotConfig::parse(&text);
        match self.order.configured.config.differences(&found).first() {
            None => Ok(()),
            Some((symbol, wanted, found)) => Err(Error::Mismatch {
                path: format!("CONFIG_{symbol} in the built kernel"),
                property: "value",
                expected: wanted.to_string(),
                found: found.to_string(),
            }),
        }
    }

    fn release(&self) -> Result<String> {
        let path = self.build.join("include/config/kernel.release");
        let text = fs::read_to_string(&path).map_err(Error::io("reading", path))?;
        Ok(text.trim().to_owned())
    }

    /// Lays out the packages' trees below `install`, by the kernel's own rules.
    fn install(&self, release: &str) -> Result<()> {
        let boot = self.build.join("install/image/boot");
        fs::create_dir_all(&boot).map_err(Error::io("creating", &boot))?;
        self.with_room(|room| {
            let mut command = self.make(room);
            // Modules lie where Debian has them; depmod runs where they are unpacked.
            command.args([
                "-s",
                "modules_install",
                "INSTALL_MOD_PATH=/build/install/modules/usr",
                "INSTALL_MOD_STRIP=1",
            ]);
            command.arg("DEPMOD=true");
            host::output(&mut command, "installing kernel modules")?;
            let mut command = self.make(room);
            command.args(["-s", "run-command"]);
            command.arg(format!(
                "KBUILD_RUN_COMMAND=/src/scripts/package/install-extmod-build \
                 /build/install/headers/usr/src/linux-headers-{release}"
            ));
            host::output(&mut command, "collecting kernel headers")?;
            // sbsign writes the time into its signature; a frozen clock makes it that of the packages.
            let mut command = self.workshop.command(room, "faketime");
            command
                .arg("-f")
                .arg(date::clock(self.workshop.lock.epoch))
                .arg("sbsign")
                .args(["--key", MODULE_KEY, "--cert", MODULE_KEY, "--output"]);
            command
                .arg(format!("/build/install/image/boot/vmlinuz-{release}"))
                .arg("/build/arch/x86/boot/bzImage");
            host::output(&mut command, "signing the kernel").map(drop)
        })?;
        for (from, to) in [(".config", "config"), ("System.map", "System.map")] {
            let to = boot.join(format!("{to}-{release}"));
            fs::copy(self.build.join(from), &to).map_err(Error::io("writing", to))?;
        }
        Ok(())
    }

    fn package(&self, release: &str, result: &Path) -> Result<Vec<String>> {
        let version = format!("{}-{}", self.workshop.version, self.workshop.lock.epoch);
        let path = self.build.join("install/image").join(contract::PATH);
        let directory = path.parent().unwrap_or(&path);
        fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
        fs::write(&path, text_of(self.order.contract)).map_err(Error::io("writing", path))?;
        let image = format!("Linux {} of Aegis OS {}", self.workshop.version, self.order.spec.name);
        let packages = [
            ("image", format!("linux-modules-{release} (= {version})"), image.clone()),
            ("modules", String::new(), format!("{image}: modules")),
            ("headers", String::new(), format!("{image}: headers, to build other modules with")),
        ];
        let mut names = Vec::new();
        for (part, depends, description) in packages {
            let package = debian::Package {
                name: format!("linux-{part}-{release}"),
                version: version.clone(),
                depends,
                description,
                epoch: self.workshop.lock.epoch,
            };
            names.push(package.write(&self.build.join("install").join(part), result)?);
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_build_leaves_nothing_to_the_next() {
        let near = tempfile::tempdir().unwrap();
        for name in ["kernel-Ab12", "iso-Cd34"] {
            fs::create_dir_all(near.path().join(name).join("deep")).unwrap();
        }
        let first = alone(near.path()).unwrap();
        assert!(!near.path().join("kernel-Ab12").exists() && near.path().join("iso-Cd34").exists());
        let other = fs::File::open(near.path().join("kernel.lock")).unwrap();
        assert!(other.try_lock().is_err());
        drop(first);
        assert!(other.try_lock().is_ok());
    }
}
