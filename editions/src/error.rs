//! Why a specification cannot be used. Every variant names the file, most also the line and the key.

use std::{fmt, io, path::PathBuf};

use aegis_core::{edition::Edition, report::Hint};

/// A place in a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, such as `server.toml`, or its path when it was loaded from a directory.
    pub file: String,
    /// The line, from 1; `None` when the key is not there at all.
    pub line: Option<usize>,
    /// The dotted key, such as `disk.slot_mib`; empty when no key is known.
    pub key: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// Why a specification cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A derived file cannot be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not TOML of this shape: a syntax error, a misspelt key, a value of the wrong type.
    Parse {
        /// Where.
        at: Location,
        /// What the parser said, without its picture of the line.
        message: String,
    },
    /// A required key is in neither the file nor those that it inherits from.
    Missing {
        /// The edition's own file and the key.
        at: Location,
    },
    /// The value is of the right type but not acceptable.
    Invalid {
        /// Where.
        at: Location,
        /// What is wrong, a clause about the value.
        problem: String,
        /// What to write instead.
        hint: String,
    },
    /// Editions inherit from each other in a ring.
    Cycle {
        /// The `inherit` key that closes the ring.
        at: Location,
        /// The ring; the first edition is also the last.
        ring: Vec<Edition>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read `{}`", path.display()),
            Self::Write { path, .. } => write!(f, "cannot write `{}`", path.display()),
            Self::Parse { at, message } if at.key.is_empty() => write!(f, "{at}: {message}"),
            Self::Parse { at, message } => write!(f, "{at}: `{}`: {message}", at.key),
            Self::Missing { at } => write!(f, "{at}: `{}` is missing", at.key),
            Self::Invalid { at, problem, .. } => write!(f, "{at}: `{}`: {problem}", at.key),
            Self::Cycle { at, ring } => {
                let ring: Vec<_> = ring.iter().map(|e| e.id()).collect();
                write!(f, "{at}: editions inherit from each other: {}", ring.join(" from "))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } => "name a directory that holds one <id>.toml for each edition".into(),
            Self::Write { .. } => "check that the source tree can be written to".into(),
            Self::Parse { at, .. } => format!("correct {at}; editions/README.md lists every key"),
            Self::Missing { at } if at.key.contains('.') => {
                format!("write `{}` into {}, or inherit from an edition that has it", at.key, at.file)
            }
            Self::Missing { at } => format!("write `{}` into {}; it is never inherited", at.key, at.file),
            Self::Invalid { hint, .. } => hint.clone(),
            Self::Cycle { at, .. } => format!("remove `inherit` from {}", at.file),
        })
    }
}
