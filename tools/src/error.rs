//! What can go wrong in a utility.

use std::{fmt, io, path::PathBuf};

use aegis_core::{
    edition::Edition,
    license::{document::DocumentError, verdict::Verdict},
    report::{Hint, exit},
};

/// Every failure of the utilities.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    Io {
        /// Present participle: `reading`, `writing`…
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the hardware inventory or of the license could not be used.
    Hardware(aegis_hw::Error),
    /// The specifications in this program are wrong.
    Spec(aegis_editions::Error),
    /// A file that the boot writes is not what it should be.
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A license or revocation list is not accepted.
    Document {
        /// The file.
        path: PathBuf,
        /// Why.
        source: DocumentError,
    },
    /// A genuine license that would open nothing here.
    NotHere {
        /// The file.
        path: PathBuf,
        /// What it means here.
        verdict: Box<Verdict>,
    },
    /// The free edition needs no license.
    Free(Edition),
    /// There is no license to show or remove.
    NoLicense(PathBuf),
    /// The serial number is not that of the license.
    Serial {
        /// What was typed.
        typed: u64,
        /// The license's.
        found: u64,
    },
    /// The machine has too few parts with a name of their own.
    TooFewParts(usize),
    /// The image promises nothing of its kernel: it has Debian's.
    NoContract(PathBuf),
    /// The contract is not one that this program reads.
    Contract {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The running kernel does not tell its configuration.
    NoConfiguration(PathBuf),
    /// The system gave no random numbers.
    Random,
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
            Self::Hardware(_) => f.write_str("reading this machine"),
            Self::Spec(_) => f.write_str("reading the specifications of the editions"),
            Self::Record { path, .. } => write!(f, "reading {}", path.display()),
            Self::Document { path, .. } => write!(f, "{} is not accepted", path.display()),
            Self::NotHere { path, verdict } => {
                write!(f, "the license {} is genuine and opens nothing here: {verdict}", path.display())
            }
            Self::Free(edition) => write!(f, "the edition {edition} needs no license"),
            Self::NoLicense(path) => write!(f, "there is no license {}", path.display()),
            Self::Serial { typed, found } => {
                write!(f, "the license has the serial number {found}, not {typed}")
            }
            Self::TooFewParts(known) => {
                write!(f, "only {known} parts of this machine have a name of their own; 4 are needed")
            }
            Self::NoContract(path) => {
                write!(f, "this system promises nothing of its kernel: there is no {}", path.display())
            }
            Self::Contract { path, reason } => {
                write!(f, "the contract {} cannot be used: {reason}", path.display())
            }
            Self::NoConfiguration(path) => {
                write!(
                    f,
                    "the running kernel does not tell its configuration: there is no {}",
                    path.display()
                )
            }
            Self::Random => f.write_str("the system has no random numbers to give"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Hardware(source) => Some(source),
            Self::Spec(source) => Some(source),
            Self::Record { source, .. } => Some(source),
            Self::Document { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run it with sudo".into()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space; nothing was changed".into()
            }
            Self::Io { .. } => return None,
            Self::Hardware(source) => return source.hint().or_else(|| Some("run it with sudo".into())),
            Self::Spec(source) => return source.hint(),
            Self::Record { .. } => "start the machine again; the file is written at every start".into(),
            Self::Document { source, .. } => source.hint().into(),
            Self::NotHere { verdict, .. } => return verdict.hint().map(String::from),
            Self::Free(_) => "nothing needs to be done".into(),
            Self::NoLicense(_) => "aegis-license install FILE".into(),
            Self::Serial { .. } => "`aegis-license show` prints the serial number".into(),
            Self::TooFewParts(known) if *known == 0 => {
                "run it with sudo: only root may read serial numbers".into()
            }
            Self::TooFewParts(_) => {
                "run it with sudo, or ask for a license that is not bound to a machine".into()
            }
            Self::NoContract(_) => "nothing needs to be done: the kernel is Debian's".into(),
            Self::Contract { .. } => {
                "start the system as it was installed; its image is damaged or newer".into()
            }
            Self::NoConfiguration(_) => "start the kernel that came with this system".into(),
            Self::Random => "try again when the machine has run for a moment".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Document { source: DocumentError::Signature(_), .. }
            | Self::NotHere { .. }
            | Self::Serial { .. } => exit::REFUSED,
            _ => exit::FAILED,
        }
    }
}
