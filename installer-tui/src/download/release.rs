//! The signed part of a release: what its files are.

use std::{io::Read, thread, time::Duration};

use aegis_core::{
    channel::Channel,
    crypto::{self, Ring, Sha256},
    edition::Edition,
    key::{KeyRole, PublicKey},
    manifest::{File, Manifest},
    ranges::{self, Ranges},
    time::UnixTime,
    version::Version,
};

use super::{
    mirrors::{Mirrors, Patience},
    problem::{Fault, Problem},
    url::Origin,
    web::{Ask, Web, reading},
};
use crate::{error::Error, password::Secret};

/// Bytes of a manifest or a signature.
const SMALL: usize = 4 << 20;
/// The longest sleep before it is asked whether to go on.
const NAP: Duration = Duration::from_millis(100);

/// The servers, and how they are asked.
pub(super) struct Servers<'a> {
    pub(super) web: &'a Web,
    pub(super) origins: &'a [Origin],
    pub(super) token: Option<&'a Secret>,
    pub(super) patience: Patience,
    /// Whether somebody asked for the end.
    pub(super) stop: &'a dyn Fn() -> bool,
}

impl Servers<'_> {
    /// Asks one after the other, some of them again, until one gives it.
    pub(super) fn first<T>(&self, mut ask: impl FnMut(&Origin) -> Result<T, Fault>) -> Result<T, Error> {
        let mut mirrors = Mirrors::new(self.origins, self.patience);
        while let Some(at) = mirrors.choose() {
            self.wait(mirrors.pause(at))?;
            match ask(mirrors.origin(at)) {
                Ok(found) => return Ok(found),
                Err(fault) => mirrors.failed(at, fault),
            }
        }
        Err(Problem::Servers(mirrors.into_faults()).into())
    }

    /// Lets time pass until a server may be asked again.
    pub(super) fn wait(&self, mut left: Duration) -> Result<(), Error> {
        loop {
            if (self.stop)() {
                return Err(Error::Cancelled);
            }
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(NAP));
            left = left.saturating_sub(NAP);
        }
    }

    /// A whole file of at most so many bytes.
    pub(super) fn small(&self, origin: &Origin, path: &str, limit: usize) -> Result<Vec<u8>, Fault> {
        let url = origin.at(path);
        let answer = self.web.get(Ask { url: &url, from: 0, tag: None, token: self.token })?;
        if answer.partial {
            return Err(Fault::Malformed("sends a part that was not asked for"));
        }
        let mut bytes = Vec::new();
        answer.body.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(reading)?;
        if bytes.len() > limit {
            return Err(Fault::Malformed("sends more than such a file has"));
        }
        let found = bytes.len() as u64;
        match answer.length.filter(|expected| *expected != found) {
            Some(expected) => Err(Fault::Truncated { found, expected }),
            None => Ok(bytes),
        }
    }

    /// A whole file that a signed manifest names.
    fn named(&self, origin: &Origin, path: &str, file: &File) -> Result<Vec<u8>, Fault> {
        let limit = usize::try_from(file.size).unwrap_or(usize::MAX).min(ranges::MAX_BYTES);
        let bytes = self.small(origin, path, limit)?;
        let found = Sha256::of(&bytes);
        match found == file.sha256 {
            true => Ok(bytes),
            false => Err(Fault::Digest { expected: file.sha256, found }),
        }
    }
}

/// A document and its signature, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) document: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// A release whose signature is good.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) manifest: Manifest,
    pub(super) signed: Signed,
    /// Who signed it.
    pub(super) key: PublicKey,
    /// Name of the image.
    pub(super) image: String,
    pub(super) ranges: Option<(Ranges, Signed)>,
}

/// The path of a release's file.
pub(super) fn path_of(edition: Edition, version: Version, name: &str) -> String {
    format!("/download/{edition}/{version}/{name}")
}

/// Fetches the manifest of a release, and the range manifest of its image, and verifies both.
pub(super) fn fetch(
    servers: &Servers<'_>,
    (edition, version, channel): (Edition, Version, Option<Channel>),
    keys: &[PublicKey],
) -> Result<Release, Error> {
    let path = |name: &str| path_of(edition, version, name);
    let (manifest, signed, key) = servers.first(|origin| {
        let document = servers.small(origin, &path("manifest.json"), SMALL)?;
        let signature = servers.small(origin, &path("manifest.json.sig"), SMALL)?;
        let (manifest, key) = verify(keys, &document, &signature)?;
        let wanted = channel.is_none_or(|channel| channel == manifest.channel);
        if (manifest.edition, manifest.version) != (edition, version) || !wanted {
            let found = format!("{} {} ({})", manifest.edition, manifest.version, manifest.channel);
            return Err(Fault::Release(found));
        }
        Ok((manifest, Signed { document, signature }, key))
    })?;
    let image = image_of(&manifest).ok_or(Problem::NoImage)?.to_owned();
    let name = format!("{image}{}", ranges::SUFFIX);
    let files = (manifest.files.get(&name), manifest.files.get(&format!("{name}.sig")));
    let ranges = match files {
        (Some(ranges), Some(signature)) => Some(servers.first(|origin| {
            let document = servers.named(origin, &path(&name), ranges)?;
            let signature = servers.named(origin, &path(&format!("{name}.sig")), signature)?;
            let (found, _) = Ranges::verify::<Ring>(keys, &document, &signature).map_err(Fault::Ranges)?;
            let file = &manifest.files[&image];
            match (found.length, found.sha256) == (file.size, file.sha256) {
                true => Ok((found, Signed { document, signature })),
                false => Err(Fault::Malformed("has a range manifest of another image")),
            }
        })?),
        _ => None,
    };
    Ok(Release { manifest, signed, key, image, ranges })
}

/// A manifest whose signature is good, and the key that made it.
fn verify(keys: &[PublicKey], document: &[u8], signature: &[u8]) -> Result<(Manifest, PublicKey), Fault> {
    let key =
        crypto::verify::<Ring>(keys, KeyRole::Release, document, signature).map_err(Fault::Signature)?;
    let manifest = Manifest::from_verified(document).map_err(Fault::Manifest)?;
    crypto::check_date(key, UnixTime::from_unsigned(manifest.epoch)).map_err(Fault::Signature)?;
    Ok((manifest, key.clone()))
}

/// The one image of a release, whose name is one of a file in this directory and nothing else.
fn image_of(manifest: &Manifest) -> Option<&str> {
    let plain = |name: &str| {
        !name.starts_with('.')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte))
    };
    let mut images = manifest.files.keys().filter(|name| name.ends_with(".iso"));
    match (images.next(), images.next()) {
        (Some(name), None) if plain(name) => Some(name),
        _ => None,
    }
}
