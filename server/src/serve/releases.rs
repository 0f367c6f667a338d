//! The same releases for pages and for the API.

use aegis_core::time::UnixTime;

use crate::{
    api::{self, Api},
    downloads::Catalogue,
};

/// Gives the API the images of the catalogue.
pub(super) fn tell(catalogue: &Catalogue, api: &Api) {
    let files = catalogue.files();
    let releases = files.iter().filter(|file| file.is_image()).filter_map(|file| {
        Some(api::Release {
            edition: file.edition,
            // Published from a signed manifest, whose versions are valid.
            version: file.version.parse().ok()?,
            channel: file.channel,
            published: UnixTime(file.published),
            size: file.blob.size,
            sha256: file.blob.digest.to_string(),
            url: file.path(),
        })
    });
    api.set_releases(releases.collect());
}
