//! Release channels.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The stream of releases that a machine follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Releases for everyone.
    Stable,
    /// Stable releases, delivered first.
    Priority,
    /// Releases under test.
    Beta,
    /// Long-term support.
    Lts,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stable => "stable",
            Self::Priority => "priority",
            Self::Beta => "beta",
            Self::Lts => "lts",
        })
    }
}
