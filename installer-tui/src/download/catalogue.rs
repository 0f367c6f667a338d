//! Which releases a server says that there are. Its word only chooses where to look.

use aegis_core::{channel::Channel, edition::Edition, version::Version};
use serde::Deserialize;

use super::{problem::Fault, release::Servers, url::Origin};

/// Bytes of a page.
const PAGE: usize = 1 << 20;
/// Pages that are read at most.
const PAGES: usize = 50;

/// A release, as far as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: Version,
    pub(super) channel: Channel,
}

#[derive(Deserialize)]
struct Page {
    releases: Vec<Listed>,
    next: Option<String>,
}

/// Texts, so that a channel that a later server has spoils nothing.
#[derive(Deserialize)]
struct Listed {
    edition: String,
    version: String,
    channel: String,
}

/// The releases of an edition.
pub(super) fn read(servers: &Servers<'_>, origin: &Origin, edition: Edition) -> Result<Vec<Entry>, Fault> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let path = format!("/api/v1/releases?edition={edition}&limit=100{cursor}");
        let page: Page = serde_json::from_slice(&servers.small(origin, &path, PAGE)?)
            .map_err(|_shape| Fault::Malformed("has no list of releases in the form that is read"))?;
        all.extend(page.releases.iter().filter_map(|listed| entry(listed, edition)));
        let Some(next) = page.next else { return Ok(all) };
        // It becomes a part of an address.
        if !next.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Fault::Malformed("has a list of releases whose next page has no name"));
        }
        cursor = format!("&cursor={next}");
    }
    Err(Fault::Malformed("has a list of releases without an end"))
}

fn entry(listed: &Listed, edition: Edition) -> Option<Entry> {
    let channel = Channel::ALL.into_iter().find(|channel| channel.id() == listed.channel)?;
    let version = listed.version.parse().ok()?;
    (listed.edition == edition.id()).then_some(Entry { version, channel })
}

/// The highest version on a channel.
pub(super) fn newest(entries: &[Entry], channel: Channel) -> Option<Version> {
    entries.iter().filter(|entry| entry.channel == channel).map(|entry| entry.version).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_passed_over_and_the_highest_version_wins() {
        let text = r#"{"releases":[
            {"edition":"server","version":"1.9.0","channel":"lts","new":1},
            {"edition":"server","version":"1.10.0","channel":"lts"},
            {"edition":"server","version":"2.0.0","channel":"nightly"},
            {"edition":"gamer","version":"3.0.0","channel":"lts"},
            {"edition":"server","version":"two","channel":"lts"},
            {"edition":"server","version":"4.0.0","channel":"beta"}],"next":null}"#;
        let page: Page = serde_json::from_str(text).unwrap();
        let all: Vec<_> = page.releases.iter().filter_map(|one| entry(one, Edition::Server)).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(newest(&all, Channel::Lts), "1.10.0".parse().ok());
        assert_eq!(newest(&all, Channel::Stable), None);
    }
}
