//! What is known of an image's parts, as the command line says it.

use std::path::{Path, PathBuf};

use aegis_core::edition::Edition;

use crate::flash::ranges::{KeyFile, Wanted};

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct MapArgs {
    /// Public keys that may sign the image's range manifest.
    ///
    /// One such as release.pub.json, or a JSON array of them. Without it, the key
    /// ring of the running system, /run/aegis/keys.json.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Refuses an image whose signed range manifest names another edition.
    #[arg(long, value_name = "ID", value_parser = parse_edition)]
    edition: Option<Edition>,

    /// Block map of the image, as bmaptool makes it.
    ///
    /// Without it, IMAGE.bmap beside the image is used, but a range manifest
    /// comes first.
    #[arg(long, value_name = "FILE", conflicts_with = "edition")]
    bmap: Option<PathBuf>,
}

impl MapArgs {
    /// What is looked for; `state` is where a running system has its key ring.
    pub(super) fn wanted(&self, state: &Path) -> Wanted {
        let system = Wanted::of_system(state);
        let keys = self.keys.clone().map_or(system.keys, KeyFile::Named);
        Wanted { keys, edition: self.edition, bmap: self.bmap.clone() }
    }

    pub(super) fn has_bmap(&self) -> bool {
        self.bmap.is_some()
    }
}

pub(super) fn parse_edition(text: &str) -> Result<Edition, String> {
    Edition::from_id(text)
        .ok_or_else(|| format!("expected one of {}", Edition::ALL.map(Edition::id).join(", ")))
}
