//! Why layers cannot be used. Everything names the file and the line.

use std::{fmt, io, path::PathBuf};

use aegis_core::report::Hint;
use serde::Serialize;

/// A line of a layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// The layer, such as `feature/live`.
    pub layer: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel-configs/{}.config:{}", self.layer, self.line)
    }
}

/// A line that says nothing this program understands, or layers that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where.
    pub at: Location,
    /// What is wrong, a clause.
    pub what: String,
    /// What to write instead.
    pub next: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Why layers cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Read {
        /// The layer's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Lines of one layer, or layers against each other; never empty.
    Problems(Vec<Problem>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read the layer `{}`", path.display()),
            Self::Problems(problems) => {
                let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
                f.write_str(&lines.join("\n       "))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Problems(_) => None,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("correct `kernel.fragments` of the edition, or write the layer".into()),
            Self::Problems(problems) => problems.first().map(|problem| problem.next.clone()),
        }
    }
}
