//! The command line of `aegis`.

use std::{
    env,
    path::{Path, PathBuf},
};

use aegis_core::{
    edition::Edition,
    key::KeyRole,
    manifest::{ImageKind, Manifest},
    version::Version,
};
use aegis_editions::{Spec, derive::tree};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    drivers,
    error::{Error, Result},
    kernel::own,
    keys,
    pipeline::{self, KernelChoice},
    progress::Progress,
    verify, vm,
};

/// Prints a line for a person or program. A reader that closed the pipe has what it wanted.
macro_rules! say {
    ($($part:tt)*) => {{ use std::io::Write; writeln!(std::io::stdout(), $($part)*).ok(); }};
}

mod kernel;
mod license;

/// Builds, signs, verifies and runs media of Aegis OS
#[derive(Parser)]
#[command(name = "aegis", version, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The editions and what is derived from their specifications
    #[command(subcommand)]
    Edition(EditionVerb),
    /// Builds and verifies media
    #[command(subcommand)]
    Iso(IsoVerb),
    /// Keys for signing
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Kernel configurations of the editions, and kernels built from them
    #[command(subcommand)]
    Kernel(kernel::KernelVerb),
    /// License documents
    #[command(subcommand)]
    License(license::LicenseVerb),
    /// Starts QEMU on an ISO in this terminal; leave it with Ctrl-A X
    Run(RunArgs),
}

#[derive(Subcommand)]
enum EditionVerb {
    /// Lists the editions
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows the resolved specification of an edition
    Show {
        /// The edition, such as `server`
        edition: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Writes the files that are derived from the specifications
    Derive {
        /// Write nothing; fail when a file is stale
        #[arg(long)]
        check: bool,
    },
}

#[derive(Subcommand)]
enum IsoVerb {
    /// Builds a signed ISO of an edition
    Build(Box<BuildArgs>),
    /// Verifies an ISO: signatures, checksums, and every file inside
    Verify {
        /// The ISO
        file: PathBuf,
        /// Public key that must have signed it [default: the release key]
        #[arg(long)]
        key: Option<PathBuf>,
        /// Directory of the keys [default: ~/.config/aegis/keys]
        #[arg(long)]
        keys: Option<PathBuf>,
        /// Print JSON events
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct BuildArgs {
    /// The edition, such as `server`
    #[arg(long)]
    edition: String,
    /// Directory for the outputs [default: target/aegis/EDITION]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Version of the release [default: the version of aegis]
    #[arg(long, default_value_t = Version::CURRENT)]
    version: Version,
    /// Build exactly what the lock says [default lock: editions/EDITION.lock]
    #[arg(long, num_args = 0..=1, value_name = "LOCK")]
    locked: Option<Option<PathBuf>>,
    /// Use no network; everything must be in the content store
    #[arg(long)]
    offline: bool,
    /// Build a release: refuse development keys
    #[arg(long)]
    release: bool,
    /// File system of the image [default: the edition's]
    #[arg(long, value_enum)]
    image: Option<Kind>,
    /// The kernel of the medium
    #[arg(long, value_enum, default_value_t)]
    kernel: KernelChoice,
    /// Level of zstd for the image, 1 to 22 [default: 3, which builds fast;
    /// with --release the edition's, which is smaller]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=22))]
    level: Option<u8>,
    /// Debian archive to use in place of this machine's
    #[arg(long, value_name = "URI")]
    mirror: Option<String>,
    /// Security archive to use with --mirror
    #[arg(long, value_name = "URI", requires = "mirror")]
    security_mirror: Option<String>,
    /// Cache for packages and stages [default: ~/.cache/aegis]
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Directory of the keys [default: ~/.config/aegis/keys]
    #[arg(long)]
    keys: Option<PathBuf>,
    /// The project's directory [default: found above this one]
    #[arg(long)]
    workspace: Option<PathBuf>,
    /// Directory that cargo built our programs into [default: target]
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// Print JSON events
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// SquashFS with zstd
    Squashfs,
    /// EROFS with zstd
    Erofs,
}

#[derive(Subcommand)]
enum KeysVerb {
    /// Makes a key pair for each role; keys are never overwritten
    Generate {
        /// Directory for the keys [default: ~/.config/aegis/keys]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Days until the keys may no longer sign
        #[arg(long, default_value_t = 730)]
        days: u32,
        /// Keys for releases; without this, keys are marked for development
        #[arg(long)]
        production: bool,
        /// Succeed when there are keys already
        #[arg(long)]
        if_missing: bool,
    },
}

#[derive(Args)]
struct RunArgs {
    /// The ISO; without it, the machine starts from --disk
    #[arg(required_unless_present = "disk")]
    iso: Option<PathBuf>,
    /// UEFI firmware
    #[arg(long, conflicts_with_all = ["bios", "secure_boot"])]
    uefi: bool,
    /// BIOS firmware (the default)
    #[arg(long, conflicts_with = "secure_boot")]
    bios: bool,
    /// UEFI firmware with Secure Boot on
    #[arg(long)]
    secure_boot: bool,
    /// A disk to install to; made sparse with 16 GiB when missing
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
    /// Memory in MiB
    #[arg(long, default_value_t = 2048)]
    memory: u32,
    /// Open a window in place of this terminal
    #[arg(long)]
    window: bool,
    /// Emulate the processor even where KVM is there
    #[arg(long)]
    emulate: bool,
}

/// Parses the command line and does what it says.
pub fn run() -> Result<()> {
    match Cli::parse().command {
        Verb::Edition(verb) => edition(verb),
        Verb::Iso(IsoVerb::Build(args)) => build(*args),
        Verb::Iso(IsoVerb::Verify { file, key, keys, json }) => verify_iso(&file, key, keys, json),
        Verb::Keys(KeysVerb::Generate { dir, days, production, if_missing }) => {
            generate(dir, days, production, if_missing)
        }
        Verb::Kernel(verb) => kernel::run(verb),
        Verb::License(verb) => license::run(verb),
        Verb::Run(args) => vm::run(&machine(args)),
    }
}

fn edition(verb: EditionVerb) -> Result<()> {
    match verb {
        EditionVerb::List { json: true } => {
            let specs = Spec::all().map_err(Error::Spec)?;
            say!("{}", serde_json::to_string_pretty(&specs).unwrap_or_default());
        }
        EditionVerb::List { json: false } => {
            for spec in Spec::all().map_err(Error::Spec)? {
                say!("{:<10} {:<14} {}", spec.id, spec.name, spec.tagline);
            }
        }
        EditionVerb::Show { edition, json } => {
            let spec = load(&edition)?;
            let shown = drivers::Shown::of(&spec);
            let text = if json {
                serde_json::to_string_pretty(&shown).unwrap_or_default()
            } else {
                toml::to_string_pretty(&shown).unwrap_or_default()
            };
            say!("{}", text.trim_end());
        }
        EditionVerb::Derive { check } => return derive_files(&workspace(None)?, check),
    }
    Ok(())
}

fn load(id: &str) -> Result<Spec> {
    let edition: Edition = id.parse().map_err(Error::Edition)?;
    Spec::load(edition).map_err(Error::Spec)
}

fn derive_files(workspace: &Path, check: bool) -> Result<()> {
    for stale in tree::stale(workspace).map_err(Error::Spec)? {
        if check {
            return Err(Error::Stale(stale.path.display().to_string()));
        }
        stale.write().map_err(Error::Spec)?;
        say!("{}", stale.path.display());
    }
    Ok(())
}

fn build(args: BuildArgs) -> Result<()> {
    let spec = load(&args.edition)?;
    let workspace = workspace(args.workspace)?;
    let target = workspace.join("target");
    let image = args.image.map(|kind| match kind {
        Kind::Squashfs => ImageKind::Squashfs,
        Kind::Erofs => ImageKind::Erofs,
    });
    let request = pipeline::Request {
        version: args.version,
        channel: spec.channel,
        out: args.out.unwrap_or_else(|| target.join("aegis").join(spec.id.id())),
        cache: cache_directory(args.cache)?,
        binaries: args.binaries.unwrap_or(target),
        keys: keys_directory(args.keys)?,
        locked: args.locked.map(|path| path.unwrap_or_else(|| pipeline::default_lock(&workspace, &spec))),
        offline: args.offline,
        release: args.release,
        mirror: args.mirror,
        security_mirror: args.security_mirror,
        kernel: args.kernel,
        image: pipeline::image_options(&spec, image, args.level, args.release),
        workspace,
        spec,
    };
    let own = if args.kernel == KernelChoice::Edition { own::STAGES } else { 0 };
    let mut progress = Progress::new(args.json, pipeline::STAGES + own);
    let built = pipeline::build(&request, &mut progress)?;
    if args.json {
        say!("{}", json!({"event": "built", "iso": built.iso, "id": built.manifest.id}));
    }
    Ok(())
}

fn verify_iso(file: &Path, key: Option<PathBuf>, keys: Option<PathBuf>, json: bool) -> Result<()> {
    let key = match key {
        Some(path) => keys::read_public(&path)?,
        None => keys::public(&keys_directory(keys)?, KeyRole::Release)?,
    };
    let mut progress = Progress::new(json, 2);
    let report = verify::iso(file, &[key], &mut progress)?;
    let Manifest { edition, version, channel, id, .. } = &report.manifest;
    if json {
        say!(
            "{}",
            json!({
                "event": "verified", "edition": edition, "version": version, "channel": channel, "id": id,
                "key": report.key.id, "development": report.key.development, "files": report.files,
                "beside": report.beside,
            })
        );
    } else {
        let mark = if report.key.development { ", a development key" } else { "" };
        say!(
            "{}: Aegis OS {edition} {version} ({channel}), whole and signed by {}{mark}",
            file.display(),
            report.key.id
        );
    }
    Ok(())
}

fn generate(dir: Option<PathBuf>, days: u32, production: bool, if_missing: bool) -> Result<()> {
    let directory = keys_directory(dir)?;
    match keys::generate(&directory, !production, days, keys::now()) {
        Err(Error::KeysExist(_)) if if_missing => Ok(()),
        Err(error) => Err(error),
        Ok(made) => {
            for key in made {
                say!("{:<8} {}  {}", key.role, key.id, directory.display());
            }
            Ok(())
        }
    }
}

fn machine(args: RunArgs) -> vm::Machine {
    vm::Machine {
        firmware: match (args.uefi, args.secure_boot) {
            (_, true) => vm::Firmware::SecureBoot,
            (true, false) => vm::Firmware::Uefi,
            (false, false) => vm::Firmware::Bios,
        },
        iso: args.iso,
        disk: args.disk,
        memory_mib: args.memory,
        window: args.window,
        emulate: args.emulate,
    }
}

/// The project's directory: the one given, or the nearest above the current one.
fn workspace(given: Option<PathBuf>) -> Result<PathBuf> {
    let here = env::current_dir().map_err(Error::io("finding", "the current directory"))?;
    let start = given.unwrap_or(here);
    let missing = || Error::Io {
        doing: "finding the project's directory above",
        path: start.clone(),
        source: std::io::ErrorKind::NotFound.into(),
    };
    let found = start.ancestors().find(|directory| directory.join("buildroot-external").is_dir());
    found.map(Path::to_path_buf).ok_or_else(missing)
}

fn cache_directory(given: Option<PathBuf>) -> Result<PathBuf> {
    Ok(absolute(given.unwrap_or(base("XDG_CACHE_HOME", ".cache")?.join("aegis"))))
}

fn keys_directory(given: Option<PathBuf>) -> Result<PathBuf> {
    Ok(given.unwrap_or(base("XDG_CONFIG_HOME", ".config")?.join("aegis/keys")))
}

/// A directory of the XDG base directory specification.
fn base(variable: &str, default: &str) -> Result<PathBuf> {
    let set = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(default));
    set.or_else(home).ok_or_else(|| Error::Io {
        doing: "finding the home directory in",
        path: "HOME".into(),
        source: std::io::ErrorKind::NotFound.into(),
    })
}

/// Tools run elsewhere and need whole paths.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
