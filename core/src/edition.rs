//! The closed set of editions and their stable identifiers.

#[cfg(feature = "alloc")]
use alloc::string::{String, ToString};
use core::fmt;
#[cfg(feature = "alloc")]
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// An edition of Aegis OS. The identifiers are frozen: they are in manifests and paths. So is the order, which is that
/// of license documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edition {
    /// Free of charge; needs no license key.
    Freemium,
    /// Everyday desktop.
    Basic,
    /// Office and managed desktop.
    Workplace,
    /// Games.
    Gamer,
    /// Machine learning and development.
    AiDev,
    /// Games and machine learning together.
    GamerAi,
    /// Headless server.
    Server,
}

impl Edition {
    /// Every edition, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::Freemium, Self::Basic, Self::Workplace, Self::Gamer, Self::AiDev, Self::GamerAi, Self::Server];

    /// The identifier, such as `ai-dev`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Freemium => "freemium",
            Self::Basic => "basic",
            Self::Workplace => "workplace",
            Self::Gamer => "gamer",
            Self::AiDev => "ai-dev",
            Self::GamerAi => "gamer-ai",
            Self::Server => "server",
        }
    }

    /// The edition with this identifier.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|edition| edition.id() == id)
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// The text is not the identifier of an edition.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEdition(pub String);

#[cfg(feature = "alloc")]
impl fmt::Display for UnknownEdition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no edition is called `{}`; there are", self.0)?;
        Edition::ALL
            .iter()
            .enumerate()
            .try_for_each(|(i, e)| write!(f, "{} {e}", if i == 0 { "" } else { "," }))
    }
}

#[cfg(feature = "alloc")]
impl core::error::Error for UnknownEdition {}

#[cfg(feature = "alloc")]
impl FromStr for Edition {
    type Err = UnknownEdition;

    fn from_str(text: &str) -> Result<Self, UnknownEdition> {
        Self::from_id(text).ok_or_else(|| UnknownEdition(text.to_string()))
    }
}
