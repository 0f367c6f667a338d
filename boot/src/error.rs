//! What can go wrong while a medium is built, verified or run.

use std::{fmt, io, path::PathBuf};

use aegis_core::{
    edition::{Edition, UnknownEdition},
    key::{KeyId, KeyRole, VerifyError},
    license::{claims::ClaimsError, document::DocumentError, key::KeyError, verdict::Code},
    manifest::ManifestError,
    ranges::RangesError,
    report::{Hint, exit},
};

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure of `aegis`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be read, written, renamed…
    Io {
        /// Present participle: `reading`, `writing`…
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such edition.
    Edition(UnknownEdition),
    /// The specification of an edition is wrong.
    Spec(aegis_editions::Error),
    /// A program that the build needs is not installed.
    MissingTool {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program failed.
    Tool {
        /// The program's name.
        program: String,
        /// What it was doing.
        purpose: String,
        /// The last lines of what it printed.
        output: String,
    },
    /// The machine has no Debian package source that could be used.
    NoSources,
    /// apt cannot find a package of the edition.
    MissingPackage(String),
    /// A build with `--offline` lacks packages.
    Offline {
        /// How many packages are missing.
        missing: usize,
        /// One of them.
        example: String,
    },
    /// A package is no longer what the lock says.
    Changed {
        /// `name version`.
        package: String,
        /// What apt said about it.
        detail: String,
    },
    /// `--locked` without a lock, or `--offline` without an earlier resolution.
    NoLock(PathBuf),
    /// A lock that cannot be used.
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key file that is missing or not one.
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no key for a role yet.
    NoKey {
        /// The role.
        role: KeyRole,
        /// Where the key was looked for.
        directory: PathBuf,
    },
    /// A release build with a development key.
    DevelopmentKey(KeyId),
    /// Signing with a key outside its validity.
    ExpiredKey {
        /// The key.
        key: KeyId,
        /// End of its validity, Unix time.
        not_after: u64,
    },
    /// Keys would be overwritten.
    KeysExist(PathBuf),
    /// A signature was refused.
    Signature {
        /// The signed file.
        path: String,
        /// Why.
        source: VerifyError,
    },
    /// A manifest that cannot be used although its signature is good.
    Manifest {
        /// The file.
        path: String,
        /// Why.
        source: ManifestError,
    },
    /// A range manifest is not usable.
    Ranges {
        /// The file.
        path: String,
        /// Why.
        source: RangesError,
    },
    /// A file is not what its manifest says.
    Mismatch {
        /// The file.
        path: String,
        /// `size` or `SHA-256`.
        property: &'static str,
        /// The value in the manifest.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A file that is not in the manifest, or is in the manifest and missing.
    Listing {
        /// The file.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Not an ISO 9660 image, or a damaged one.
    Iso {
        /// The image.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The image of an edition does not fit into the edition's slots.
    ImageTooLarge {
        /// Bytes of the image.
        size: u64,
        /// Bytes of a slot.
        slot: u64,
    },
    /// A kernel module that the initramfs needs is not in the kernel package.
    MissingModule {
        /// The module.
        module: String,
        /// The kernel release.
        release: String,
    },
    /// The packages of a kernel's source are not as expected.
    KernelSource(String),
    /// Layers of kernel configuration cannot be used.
    Layers(aegis_kernel_configs::Error),
    /// A kernel image is not what it should be.
    KernelImage {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What the boot needs is a module of an edition's own kernel.
    NotBuiltIn {
        /// The module.
        module: String,
        /// The kernel's release.
        release: String,
    },
    /// There is no key to sign kernels and modules with.
    NoKernelKey(PathBuf),
    /// What is to be explained is no `SYMBOL=VALUE`.
    NoRequest(String),
    /// The Kconfig files of a kernel cannot be read.
    Kconfig(aegis_kernel_configs::kconfig::Error),
    /// Configurations are not what their layers ask for; the findings were printed.
    KernelFindings {
        /// How many findings.
        findings: usize,
        /// Editions that have some.
        editions: Vec<Edition>,
    },
    /// Our own programs were not built yet.
    MissingBinary(PathBuf),
    /// One of our own programs could not run in the image.
    UnfitBinary {
        /// The program.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The committed derived files are stale.
    Stale(String),
    /// A license key is mistyped.
    LicenseKey(KeyError),
    /// A license key is for another edition than the license.
    KeyOfEdition {
        /// The edition of the key.
        other: Edition,
        /// The edition of the license.
        edition: Edition,
    },
    /// The edition has no license keys.
    FreeEdition(Edition),
    /// A license would be for more machines than its edition allows.
    Seats {
        /// Machines of the license.
        seats: u32,
        /// Machines that are allowed.
        allowed: u64,
    },
    /// A license would contradict itself.
    Claims(ClaimsError),
    /// A license or revocation list is not accepted.
    Document {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DocumentError,
    },
    /// A license is genuine and not in force.
    NotInForce {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        code: Code,
    },
    /// Not a date.
    Date(String),
    /// Not an entitlement with a value.
    Setting(String),
    /// Not what `aegis-license request` writes.
    Request {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file would be overwritten.
    Exists(PathBuf),
    /// The system gave no random numbers.
    Random,
    /// A document could not be signed.
    Sealing,
}

impl Error {
    /// An `Io` constructor for `map_err`.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, .. } => write!(f, "{doing} {}", path.display()),
            Self::Edition(_) => f.write_str("choosing the edition"),
            Self::Spec(_) => f.write_str("reading the specification of the edition"),
            Self::MissingTool { program, .. } => write!(f, "the program `{program}` is not installed"),
            Self::Tool { program, purpose, output } => {
                write!(f, "`{program}` failed while {purpose}")?;
                output.lines().try_for_each(|line| write!(f, "\n  | {line}"))
            }
            Self::NoSources => f.write_str("this machine has no Debian package source to build from"),
            Self::MissingPackage(text) => write!(f, "apt cannot provide the packages of the edition: {text}"),
            Self::Offline { missing, example } => {
                write!(f, "{missing} packages are not in the content store, among them {example}")
            }
            Self::Changed { package, detail } => {
                write!(f, "package {package} cannot be had as the lock says: {detail}")
            }
            Self::NoLock(path) => write!(f, "there is no lock {}", path.display()),
            Self::Lock { path, reason } => write!(f, "the lock {} cannot be used: {reason}", path.display()),
            Self::Key { path, reason } => write!(f, "the key {} cannot be used: {reason}", path.display()),
            Self::NoKey { role, directory } => write!(f, "there is no {role} key in {}", directory.display()),
            Self::DevelopmentKey(key) => {
                write!(f, "key {key} is a development key, and this is a release build")
            }
            Self::ExpiredKey { key, not_after } => {
                write!(f, "key {key} is outside its validity, which ends at Unix time {not_after}")
            }
            Self::KeysExist(path) => write!(f, "there are keys in {} already", path.display()),
            Self::Signature { path, .. } => write!(f, "the signature of {path} was refused"),
            Self::Manifest { path, .. } => write!(f, "the manifest {path}"),
            Self::Ranges { path, .. } => write!(f, "the range manifest {path}"),
            Self::Mismatch { path, property, expected, found } => {
                write!(
                    f,
                    "{path} has another {property} than its manifest says: expected {expected}, found {found}"
                )
            }
            Self::Listing { path, problem } => write!(f, "{path} {problem}"),
            Self::Iso { path, reason } => write!(f, "{} is not a whole ISO image: {reason}", path.display()),
            Self::ImageTooLarge { size, slot } => {
                write!(f, "the image has {size} bytes and the edition's slots only {slot}")
            }
            Self::MissingModule { module, release } => {
                write!(f, "kernel {release} has no module `{module}`, which the initramfs needs")
            }
            Self::KernelSource(reason) => write!(f, "the kernel's source cannot be used: {reason}"),
            Self::Layers(_) => f.write_str("the layers of the kernel configuration contradict themselves"),
            Self::KernelImage { path, reason } => {
                write!(f, "the kernel {} cannot be used: {reason}", path.display())
            }
            Self::NotBuiltIn { module, release } => {
                write!(
                    f,
                    "kernel {release} has `{module}` as a module, and the boot needs it before modules are loaded"
                )
            }
            Self::NoKernelKey(path) => write!(f, "there is no key for kernels at {}", path.display()),
            Self::NoRequest(text) => write!(f, "`{text}` is neither a symbol nor a symbol and its value"),
            Self::Kconfig(_) => f.write_str("the kernel's Kconfig files cannot be read"),
            Self::KernelFindings { findings, editions } => {
                let names: Vec<&str> = editions.iter().map(|edition| edition.id()).collect();
                write!(f, "{findings} findings in the kernel configurations of {}", names.join(", "))
            }
            Self::MissingBinary(path) => write!(f, "the program {} was not built", path.display()),
            Self::UnfitBinary { path, reason } => {
                write!(f, "the program {} cannot run in the image: {reason}", path.display())
            }
            Self::Stale(path) => write!(f, "{path} is not what the specifications say"),
            Self::LicenseKey(_) => f.write_str("reading the license key"),
            Self::KeyOfEdition { other, edition } => {
                write!(f, "the license key is for the edition {other}, the license for {edition}")
            }
            Self::FreeEdition(edition) => write!(f, "the edition {edition} has no license keys"),
            Self::Seats { seats, allowed } => {
                write!(f, "the license is for {seats} machines, of which {allowed} are allowed")
            }
            Self::Claims(_) => f.write_str("such a license cannot be issued"),
            Self::Document { path, .. } => write!(f, "{} is not accepted", path.display()),
            Self::NotInForce { path, code } => {
                write!(f, "the license {} is genuine and not in force: {}", path.display(), code.id())
            }
            Self::Date(text) => write!(f, "`{text}` is not a day between 1970-01-01 and 9999-12-30"),
            Self::Setting(text) => write!(f, "`{text}` does not set an entitlement"),
            Self::Request { path, reason } => {
                write!(f, "{} is not the request of a machine: {reason}", path.display())
            }
            Self::Exists(path) => write!(f, "{} exists already", path.display()),
            Self::Random => f.write_str("the system has no random numbers to give"),
            Self::Sealing => f.write_str("the document could not be signed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Edition(source) => Some(source),
            Self::Spec(source) => Some(source),
            Self::Layers(source) => Some(source),
            Self::Kconfig(source) => Some(source),
            Self::Signature { source, .. } => Some(source),
            Self::Manifest { source, .. } => Some(source),
            Self::Ranges { source, .. } => Some(source),
            Self::LicenseKey(source) => Some(source),
            Self::Claims(source) => Some(source),
            Self::Document { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space, or choose other directories with --out and --cache".into()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "check the owner of the directory, or choose another with --out or --cache".into()
            }
            Self::Io { .. } => return None,
            Self::Edition(_) => "see `aegis edition list`".into(),
            Self::Spec(source) => return source.hint(),
            Self::MissingTool { package, .. } => format!("install it: apt-get install {package}"),
            Self::Tool { output, .. } if output.contains("No space left") => {
                "free some space, or choose another directory with --cache".into()
            }
            Self::Tool { purpose, .. } if purpose.contains("package indexes") => {
                "check the network, or build what was built before with --offline".into()
            }
            Self::Tool { .. } => {
                "read the lines above; the same build can be started again at any time".into()
            }
            Self::NoSources => "name one with --mirror, or add one to /etc/apt/sources.list".into(),
            Self::MissingPackage(_) => "correct the packages in editions/<id>.toml, or its components".into(),
            Self::Offline { .. } => "build once without --offline while the network can be reached".into(),
            Self::Changed { .. } => {
                "build without --locked, look at the new versions, and commit the new lock".into()
            }
            Self::NoLock(_) => {
                "build once without --locked and --offline; the build leaves a lock beside the ISO".into()
            }
            Self::Lock { .. } => "build without --locked to make a new one".into(),
            Self::Key { .. } => {
                "restore the file from its backup, or make new keys with `aegis keys generate`".into()
            }
            Self::NoKey { .. } => {
                "make keys with `aegis keys generate`, or name their directory with --keys".into()
            }
            Self::DevelopmentKey(_) => {
                "name the directory of the real keys with --keys, or build without --release".into()
            }
            Self::ExpiredKey { .. } => "make new keys with `aegis keys generate` in another directory".into(),
            Self::KeysExist(_) => "choose another directory with --dir; keys are never overwritten".into(),
            Self::Signature { .. } | Self::Mismatch { .. } | Self::Listing { .. } => {
                "do not use this medium; get it again from its publisher and verify it again".into()
            }
            Self::Ranges { source: RangesError::Signature(_), .. } => {
                "do not use this medium; get it again from its publisher and verify it again".into()
            }
            Self::Manifest { .. } | Self::Ranges { .. } => {
                "verify it with the version of aegis that built it, or a newer one".into()
            }
            Self::Iso { .. } => "get the file again; a download may have been cut off".into(),
            Self::ImageTooLarge { .. } => {
                "raise slot_mib in the edition's specification, or remove packages".into()
            }
            Self::MissingModule { .. } => "correct initramfs/modules.list for this kernel".into(),
            Self::KernelSource(_) => "build without --locked, which takes the newest source".into(),
            Self::Layers(source) => source.hint().unwrap_or_default(),
            Self::KernelImage { .. } => "build it again: aegis kernel build".into(),
            Self::NotBuiltIn { .. } => "ask for it with =y in kernel-configs/feature/live.config".into(),
            Self::NoKernelKey(_) => "make one: aegis kernel key".into(),
            Self::NoRequest(_) => "write SYMBOL or SYMBOL=VALUE, such as DAX=y".into(),
            Self::Kconfig(_) => "build without --locked, which takes the newest source".into(),
            Self::KernelFindings { .. } => "correct the lines that are named, below kernel-configs".into(),
            Self::MissingBinary(_) => "build our own programs first: make binaries".into(),
            Self::UnfitBinary { .. } => {
                "build it with `make binaries`, on Debian 13 or an older release".into()
            }
            Self::Stale(_) => "run `aegis edition derive` and commit the result".into(),
            Self::LicenseKey(source) => source.hint().into(),
            Self::KeyOfEdition { other, .. } => {
                format!("write --edition {other}, or name another license key")
            }
            Self::FreeEdition(_) => "name an edition that is sold; see `aegis edition list`".into(),
            Self::Seats { seats, .. } => format!("write --set license_machines={seats} as well"),
            Self::Claims(source) => source.hint().into(),
            Self::Document { source, .. } => source.hint().into(),
            Self::NotInForce { code: Code::Revoked, .. } => {
                "issue another license if that was a mistake".into()
            }
            Self::NotInForce { .. } => "compare its dates with the clock of this machine".into(),
            Self::Date(_) => "write it as in 2027-01-31".into(),
            Self::Setting(_) => "write NAME=true, NAME=false or NAME=NUMBER; -1 is unlimited".into(),
            Self::Request { .. } => "make it on the machine: aegis-license request > FILE".into(),
            Self::Exists(_) => "choose another name; nothing is overwritten".into(),
            Self::Random => "try again when the machine has run for a moment".into(),
            Self::Sealing => "check the license key in the directory of the keys".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Edition(_)
            | Self::LicenseKey(_)
            | Self::KeyOfEdition { .. }
            | Self::FreeEdition(_)
            | Self::Seats { .. }
            | Self::Claims(_)
            | Self::Date(_)
            | Self::Setting(_) => exit::USAGE,
            Self::Document { source: DocumentError::Signature(_), .. } => exit::REFUSED,
            Self::NotInForce { code: Code::Revoked, .. } => exit::REFUSED,
            Self::Exists(_) => exit::REFUSED,
            Self::Ranges { source: RangesError::Signature(_), .. } => exit::REFUSED,
            Self::Signature { .. }
            | Self::Mismatch { .. }
            | Self::Listing { .. }
            | Self::DevelopmentKey(_)
            | Self::ExpiredKey { .. }
            | Self::KeysExist(_) => exit::REFUSED,
            _ => exit::FAILED,
        }
    }
}
