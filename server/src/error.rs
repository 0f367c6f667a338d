//! What can go wrong in the server, outside of an answer to a client.

use std::{fmt, io, path::PathBuf};

use aegis_core::report::{Hint, exit};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure of the program. What a client is told is a [`crate::http::Problem`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file, directory or socket could not be used.
    Io {
        /// Present participle: `reading`, `listening on`…
        doing: &'static str,
        /// The file, directory or address.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration is wrong.
    Config {
        /// Where: a file, a variable or a flag, and the key.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The specifications in this program are wrong.
    Spec(aegis_editions::Error),
    /// The database did not do what it should.
    Database {
        /// Present participle: `opening`, `reading`…
        doing: &'static str,
        /// What it said, without values.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Object storage did not do what it should.
    Blobs {
        /// Present participle: `asking`, `uploading to`…
        doing: &'static str,
        /// What it did, without addresses and names of keys.
        problem: String,
    },
    /// A condition of a batch did not hold; nothing was changed. The number is that of the statement.
    Condition(usize),
    /// The database was written by a newer program, or its history is not ours.
    Schema {
        /// What differs.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// Something stored is not what it must be.
    Corrupt {
        /// What.
        what: String,
        /// How it differs.
        problem: String,
    },
    /// Not done, for safety.
    Refused {
        /// What is missing or wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// More is asked for than this machine is set to do at a time.
    Busy(&'static str),
}

impl Error {
    /// An `Io` constructor for `map_err`.
    pub fn io(doing: &'static str, what: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { doing, what: what.display().to_string(), source }
    }

    /// A `Database` constructor for `map_err`.
    pub fn database<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        doing: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Database { doing, source: source.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, what, .. } => write!(f, "{doing} {what}"),
            Self::Config { place, problem, .. } => write!(f, "{place}: {problem}"),
            Self::Spec(_) => f.write_str("reading the specifications of the editions"),
            Self::Database { doing, .. } => write!(f, "{doing} the database"),
            Self::Blobs { doing, problem } => write!(f, "{doing} the object storage: {problem}"),
            Self::Condition(number) => {
                write!(f, "statement {number} of a batch met a state that it does not allow")
            }
            Self::Schema { problem, .. } | Self::Refused { problem, .. } => f.write_str(problem),
            Self::Corrupt { what, problem } => write!(f, "{what} {problem}"),
            Self::Busy(what) => write!(f, "too many {what} at a time"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Spec(source) => Some(source),
            Self::Database { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "run it as the user that owns the file".into(),
                io::ErrorKind::StorageFull => "free some space; nothing that was stored is lost".into(),
                io::ErrorKind::AddrInUse => {
                    "end the program that listens there, or choose another port".into()
                }
                _ => return None,
            },
            Self::Config { hint, .. } | Self::Schema { hint, .. } | Self::Refused { hint, .. } => {
                hint.clone()
            }
            Self::Spec(source) => return source.hint(),
            Self::Database { .. } => "see that the database runs and can be reached, then try again".into(),
            Self::Blobs { .. } => {
                "see `storage.blobs`, `[storage.s3]` and that its key may list, get, put and abort; \
                                   then try again"
                    .into()
            }
            Self::Condition(_) => "read the state again and repeat the act".into(),
            Self::Corrupt { .. } => "restore the last backup: aegis-server restore FILE".into(),
            Self::Busy(_) => "try again in a moment".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } => exit::USAGE,
            Self::Schema { .. } | Self::Corrupt { .. } | Self::Refused { .. } => exit::REFUSED,
            _ => exit::FAILED,
        }
    }
}
