//! Release channels and which releases a machine takes.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{edition::Edition, version::Version};

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

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 4] = [Self::Stable, Self::Priority, Self::Beta, Self::Lts];

    /// The identifier, such as `lts`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Priority => "priority",
            Self::Beta => "beta",
            Self::Lts => "lts",
        }
    }

    /// How long a release is tried before this channel gets it, in the order beta, priority, stable, lts.
    const fn patience(self) -> u8 {
        match self {
            Self::Beta => 0,
            Self::Priority => 1,
            Self::Stable => 2,
            Self::Lts => 3,
        }
    }

    /// Whether a machine that follows this channel takes releases of another: those at least as well tried. Long-term
    /// support is a line of its own and takes nothing else, and nothing else takes it.
    pub const fn takes(self, release: Self) -> bool {
        match (self, release) {
            (Self::Lts, Self::Lts) => true,
            (Self::Lts, _) | (_, Self::Lts) => false,
            _ => release.patience() >= self.patience(),
        }
    }

    /// The entitlement that a machine needs to follow the channel; `None` when everyone may.
    pub const fn entitlement(self) -> Option<&'static str> {
        match self {
            Self::Stable | Self::Lts => None,
            Self::Priority => Some("priority_channel"),
            Self::Beta => Some("beta_channel"),
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// A release: edition, version and channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The edition.
    pub edition: Edition,
    /// The version.
    pub version: Version,
    /// The channel that it was published on.
    pub channel: Channel,
}

/// Why a machine does not take a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUpdate {
    /// It is for another edition.
    Edition(Edition),
    /// It is on a channel that the machine does not take releases from.
    Channel(Channel),
    /// It is not newer than the one that runs.
    NotNewer(Version),
}

impl fmt::Display for NoUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edition(edition) => write!(f, "the release is for the edition {edition}"),
            Self::Channel(channel) => {
                write!(f, "the release is on the channel {channel}, which this machine does not follow")
            }
            Self::NotNewer(version) => write!(f, "the release {version} is not newer than the one that runs"),
        }
    }
}

impl core::error::Error for NoUpdate {}

impl Release {
    /// Whether a machine that runs this release and follows `channel` takes another. Never an older one, also when
    /// the channel was changed: a signed old release must not bring its faults back.
    ///
    /// # Errors
    /// Why not.
    pub fn updates_to(&self, offered: &Self, channel: Channel) -> Result<(), NoUpdate> {
        if offered.edition != self.edition {
            Err(NoUpdate::Edition(offered.edition))
        } else if !channel.takes(offered.channel) {
            Err(NoUpdate::Channel(offered.channel))
        } else if offered.version <= self.version {
            Err(NoUpdate::NotNewer(offered.version))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn channels_take_what_is_at_least_as_well_tried() {
        use Channel::{Beta, Lts, Priority, Stable};
        let taken = [
            (Stable, &[Stable][..]),
            (Priority, &[Stable, Priority]),
            (Beta, &[Stable, Priority, Beta]),
            (Lts, &[Lts]),
        ];
        for (follows, expected) in taken {
            for release in Channel::ALL {
                assert_eq!(follows.takes(release), expected.contains(&release), "{follows} and {release}");
            }
        }
    }

    #[test]
    fn updates_only_go_forward() {
        let release = |version: &str, channel| Release {
            edition: Edition::Basic,
            version: version.parse().unwrap(),
            channel,
        };
        let runs = release("1.2.0", Channel::Beta);
        let offer = |version, channel| runs.updates_to(&release(version, channel), Channel::Stable);
        assert_eq!(offer("1.2.1", Channel::Stable), Ok(()));
        assert_eq!(offer("1.2.1", Channel::Beta), Err(NoUpdate::Channel(Channel::Beta)));
        for old in ["1.2.0", "1.1.9", "1.2.0-rc.9"] {
            assert_eq!(offer(old, Channel::Stable), Err(NoUpdate::NotNewer(old.parse().unwrap())));
        }
        let foreign = Release { edition: Edition::Gamer, ..release("2.0.0", Channel::Stable) };
        assert_eq!(runs.updates_to(&foreign, Channel::Stable), Err(NoUpdate::Edition(Edition::Gamer)));
    }

    #[test]
    fn refusals_name_what_was_offered() {
        let version = "1.2.0".parse().unwrap();
        for (refusal, text) in [
            (NoUpdate::Edition(Edition::Gamer), "the release is for the edition gamer"),
            (
                NoUpdate::Channel(Channel::Beta),
                "the release is on the channel beta, which this machine does not follow",
            ),
            (NoUpdate::NotNewer(version), "the release 1.2.0 is not newer than the one that runs"),
        ] {
            assert_eq!(refusal.to_string(), text);
        }
    }
}
