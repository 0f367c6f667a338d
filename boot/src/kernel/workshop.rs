//! What kernels are configured and built with: a source, Debian's configuration of it, and Debian 13's compiler.
//!
//! All three are packages of a lock, unpacked and not installed. Programs run in a sandbox (bubblewrap) whose root is the
//! unpacked toolchain, without network, at paths that are the same on every machine: `/src` is the source, read-only, and
//! `/build` the one place to write. So the answers of `olddefconfig`, which asks the compiler, are those of the build.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use aegis_core::hex::Digest;
use aegis_kernel_configs::KernelVersion;

use crate::{
    cache::{Cache, Key},
    error::{Error, Result},
    host,
    lock::{Lock, Use},
    pipeline,
    progress::Progress,
    sources::{self, SUITE},
    store::{PackageRequest, Store, Wanted},
    tools,
};

/// What is named of the toolchain; apt adds what these need.
const TOOLCHAIN: &[&str] = &[
    "base-files",
    "bash",
    "bc",
    "bison",
    "ccache",
    "coreutils",
    "cpio",
    "dash",
    "faketime",
    "diffutils",
    "file",
    "findutils",
    "flex",
    "g++",
    "gawk",
    "gcc",
    "gcc-14-plugin-dev",
    "grep",
    "gzip",
    "kmod",
    "libdw-dev",
    "libelf-dev",
    "libssl-dev",
    "make",
    "openssl",
    "pahole",
    "patch",
    "perl",
    "python3",
    "rsync",
    "sbsigntool",
    "sed",
    "tar",
    "xz-utils",
    "zstd",
];

/// The program that judges a configuration's hardening; the product's own release does not have it.
const CHECKER: &str = "kernel-hardening-checker";
const CHECKER_SUITE: &str = "testing";

/// Which kernel source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Series {
    /// Of the Debian release that the product is built from, with its security updates
    #[default]
    Stable,
    /// The newest in that release's backports: for newer devices
    Backports,
}

/// Where packages come from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Which kernel source.
    pub series: Series,
    /// Use no network; take what was resolved last.
    pub offline: bool,
    /// Build exactly what this lock says.
    pub locked: Option<PathBuf>,
    /// Package sources in place of the machine's own.
    pub mirror: Option<String>,
    /// Security updates for `mirror`.
    pub security_mirror: Option<String>,
}

/// A kernel source and what configures and builds it.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// The packages.
    pub lock: Lock,
    /// The kernel's source.
    pub source: PathBuf,
    /// Debian's configuration of it, for amd64.
    pub base: String,
    /// Version of the source.
    pub version: KernelVersion,
    /// Names source, toolchain and base.
    pub key: Digest,
    /// kernel-hardening-checker, as a directory of Python packages.
    pub checker: PathBuf,
    root: PathBuf,
}

/// What a program in the sandbox has beside the toolchain and the source.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// Where it writes, at `/build`.
    pub build: &'a Path,
    /// Files and directories, and the places where it finds them; it may write to the directories.
    pub mounts: &'a [(&'a Path, &'a str)],
    /// Variables of its environment.
    pub variables: &'a [(&'a str, &'a str)],
}

impl<'a> Room<'a> {
    /// A room with a place to write and nothing else.
    pub fn empty(build: &'a Path) -> Self {
        Self { build, mounts: &[], variables: &[] }
    }
}

/// Stages of [`Workshop::open`], for the progress.
pub const STAGES: usize = 4;

impl Workshop {
    /// Resolves, fetches and unpacks what is not there yet.
    pub fn open(cache: &Cache, origin: &Origin, progress: &mut Progress) -> Result<Self> {
        host::find("bwrap", "bubblewrap")?;
        let store = Store::open(cache)?;
        progress.stage("resolve");
        let (lock, request, sources) = resolve(&store, origin)?;
        progress.done(false, &format!("{} packages", lock.packages.len()));
        progress.stage("packages");
        store.fetch(&lock, &request, &sources, origin.offline, progress)?;
        progress.done(false, "all in the content store");
        progress.stage("toolchain");
        let key =
            lock.uses(Use::Toolchain).fold(Key::new("toolchain"), |key, package| key.with(package.sha256.0));
        let (root, cached) =
            cache.large_stage("toolchain", key.clone(), |root| toolchain(&store, &lock, root))?;
        progress.done(cached, &format!("of Debian {}", lock.suite));
        progress.stage("source");
        let key = lock.uses(Use::Source).fold(key.with("source"), |key, package| key.with(package.sha256.0));
        let (place, cached) =
            cache.large_stage("source", key.clone(), |place| unpack_source(&store, &lock, place))?;
        let judge =
            lock.uses(Use::Checker).fold(Key::new("checker"), |key, package| key.with(package.sha256.0));
        let (checker, _) =
            cache.stage("checker", judge, |root| tools::unpack(&store, lock.uses(Use::Checker), root))?;
        let workshop = Self::at(lock, root, &place, &checker, key.finish())?;
        progress.done(cached, &format!("Linux {}", workshop.version));
        Ok(workshop)
    }

    fn at(lock: Lock, root: PathBuf, place: &Path, checker: &Path, key: Digest) -> Result<Self> {
        let source = place.join("linux");
        let makefile = read(&source.join("Makefile"))?;
        let version = KernelVersion::of_makefile(&makefile)
            .ok_or_else(|| Error::KernelSource("its Makefile names no version".into()))?;
        let checker = checker.join("usr/lib/python3/dist-packages");
        Ok(Self { lock, source, base: read(&place.join("base.config"))?, version, key, checker, root })
    }

    /// Jobs that run at the same time.
    pub fn jobs() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// A program of the toolchain, ready for arguments.
    pub fn command(&self, room: Room<'_>, program: &str) -> Command {
        let mut command = Command::new("bwrap");
        command.arg("--ro-bind").arg(&self.root).arg("/");
        command.arg("--ro-bind").arg(&self.source).arg("/src");
        command.arg("--bind").arg(room.build).arg("/build");
        // A single file can be mounted only where its name can be made.
        command.args(["--tmpfs", "/keys"]);
        for (path, place) in room.mounts {
            command.arg("--bind").arg(path).arg(place);
        }
        command.args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--chdir", "/build"]);
        command.args(["--unshare-all", "--die-with-parent", "--clearenv"]);
        let fixed = [("PATH", "/usr/bin:/usr/sbin"), ("HOME", "/tmp"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")];
        for (name, value) in fixed.iter().chain(room.variables) {
            command.args(["--setenv", name, value]);
        }
        command.arg(program);
        command
    }

    /// `make` for this source.
    pub fn make(&self, room: Room<'_>) -> Command {
        let mut command = self.command(room, "make");
        command.args(["-C", "/src", "O=/build", "ARCH=x86_64"]);
        command
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io("reading", path))
}

fn request(series: Series) -> PackageRequest {
    let mut suites = vec![CHECKER_SUITE.to_owned()];
    let from = match series {
        Series::Stable => String::new(),
        Series::Backports => {
            suites.push(format!("{SUITE}-backports"));
            format!("/{SUITE}-backports")
        }
    };
    let (source, reference) = (format!("linux-source{from}"), format!("linux-image-amd64{from}"));
    let checker = format!("{CHECKER}/{CHECKER_SUITE}");
    PackageRequest {
        edition: None,
        components: vec!["main".into()],
        architectures: vec!["amd64".into()],
        suites,
        wanted: vec![
            Wanted {
                uses: Use::Toolchain,
                names: TOOLCHAIN.iter().map(|name| (*name).to_owned()).collect(),
                only: &[],
            },
            Wanted { uses: Use::Source, names: vec![source], only: &["linux-source-", "linux-config-"] },
            Wanted { uses: Use::Reference, names: vec![reference], only: &["linux-image-"] },
            Wanted { uses: Use::Checker, names: vec![checker], only: &[CHECKER] },
        ],
    }
}

fn resolve(store: &Store, origin: &Origin) -> Result<(Lock, PackageRequest, Vec<sources::Source>)> {
    let request = request(origin.series);
    let options = pipeline::Packages {
        locked: origin.locked.as_deref(),
        offline: origin.offline,
        mirror: origin.mirror.as_deref(),
        security_mirror: origin.security_mirror.as_deref(),
    };
    let (lock, sources) = pipeline::resolve(store, &request, &options)?;
    Ok((lock, request, sources))
}

fn toolchain(store: &Store, lock: &Lock, root: &Path) -> Result<()> {
    tools::unpack(store, lock.uses(Use::Toolchain), root)?;
    // What installing would have done: the alternative, and the places to mount at.
    let awk = root.join("usr/bin/awk");
    symlink("gawk", &awk).map_err(Error::io("linking", awk))?;
    for place in ["src", "build", "ccache", "checker", "keys"] {
        let place = root.join(place);
        fs::create_dir_all(&place).map_err(Error::io("creating", place))?;
    }
    Ok(())
}

fn unpack_source(store: &Store, lock: &Lock, place: &Path) -> Result<()> {
    tools::unpack(store, lock.uses(Use::Source), place)?;
    let directory = place.join("usr/src");
    let named = |start: &str, end: &str| -> Result<PathBuf> {
        let entries = fs::read_dir(&directory).map_err(Error::io("reading", &directory))?;
        let mut names = entries.flatten().map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(start) && name.ends_with(end)
        });
        names.next().ok_or_else(|| Error::KernelSource(format!("{start}*{end} is not among the packages")))
    };
    let config = named("linux-config-", "")?.join("config.amd64_none_amd64.xz");
    let text = host::output(
        Command::new("xz").arg("--decompress").arg("--stdout").arg(&config),
        "unpacking a configuration",
    )?;
    fs::write(place.join("base.config"), text).map_err(Error::io("writing", place))?;
    let archive = named("linux-source-", ".tar.xz")?;
    let linux = place.join("linux");
    fs::create_dir(&linux).map_err(Error::io("creating", &linux))?;
    let mut command = Command::new("tar");
    command.arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(&linux);
    command.args(["--strip-components=1", "--no-same-owner"]);
    host::output(&mut command, "unpacking the kernel's source")?;
    fs::remove_dir_all(place.join("usr")).map_err(Error::io("removing", place))
}
