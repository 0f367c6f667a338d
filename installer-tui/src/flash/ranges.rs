//! Finds what is known of an image's parts: a signed range manifest, or a block map.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use aegis_core::{
    crypto::Ring,
    edition::Edition,
    hex::Digest,
    key::PublicKey,
    ranges::{MAX_BYTES, Ranges, SUFFIX},
};
use ring::digest;

use super::{
    bmap,
    format::Format,
    image::ImageFile,
    map::{Map, Origin, Part, Rule, Signature},
};
use crate::error::Error;

/// The longest key ring and the longest signature that are read, in bytes.
const SMALL: usize = 1 << 20;

/// What is looked for beside an image, and by which keys it is judged.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where the key ring is; a file that was named must be there.
    pub keys: KeyFile,
    /// The edition that a good signature must name.
    pub edition: Option<Edition>,
    /// This block map, in place of anything beside the image.
    pub bmap: Option<PathBuf>,
}

/// A file of keys that are trusted: a JSON array of public keys, or one public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// It was named.
    Named(PathBuf),
    /// Where the running system has one, if it is one of ours.
    System(PathBuf),
}

impl Wanted {
    /// Only what the running system trusts, whose state is in this directory.
    pub fn of_system(state: &Path) -> Self {
        Self { keys: KeyFile::System(state.join("keys.json")), edition: None, bmap: None }
    }
}

impl KeyFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        let (Self::Named(path) | Self::System(path)) = self;
        path
    }

    /// The keys; `None` when the running system has none.
    ///
    /// # Errors
    /// When a file that must be there is not, or holds no keys.
    pub fn read(&self) -> Result<Option<Vec<PublicKey>>, Error> {
        let path = self.path();
        let bytes = match read(path, SMALL) {
            Err(Error::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && matches!(self, Self::System(_)) =>
            {
                return Ok(None);
            }
            other => other?,
        };
        let one = serde_json::from_slice(&bytes).map(|key: PublicKey| vec![key]);
        let ring = one.or_else(|_not_one| serde_json::from_slice(&bytes));
        ring.map(Some).map_err(|source| Error::KeyRing { path: path.into(), source })
    }
}

/// Adds to an image what is known of its parts.
///
/// # Errors
/// When a file that says something cannot be read or believed, or is of another image or edition.
pub fn find(image: ImageFile, wanted: &Wanted) -> Result<ImageFile, Error> {
    let map = match &wanted.bmap {
        Some(path) => Some(block_map(path)?),
        None => match beside(&image, SUFFIX) {
            Some(path) => Some(range_manifest(&path, &wanted.keys)?),
            None => beside(&image, bmap::SUFFIX).map(|path| block_map(&path)).transpose()?,
        },
    };
    check_edition(map.as_ref(), wanted.edition)?;
    if let Some(map) = &map {
        check(&image, map)?;
    }
    Ok(ImageFile { map, ..image })
}

/// `image.iso` and `image.iso.zst` have `image.iso.ranges.json`.
fn beside(image: &ImageFile, suffix: &str) -> Option<PathBuf> {
    let with_suffix = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let stem = (image.format != Format::Raw).then(|| image.path.with_extension(""));
    let names = stem.as_deref().into_iter().chain([image.path.as_path()]);
    names.map(with_suffix).find(|path| path.is_file())
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("open", path))?;
    // One more, so that what is too long is seen to be.
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

fn block_map(path: &Path) -> Result<Map, Error> {
    let bytes = read(path, bmap::LIMIT)?;
    bmap::parse(&bytes, path).map_err(|source| Error::Bmap { path: path.into(), source: Box::new(source) })
}

/// A range manifest as a map. Without a key ring its holes are written like everything else: nobody vouches for them.
///
/// # Errors
/// When it cannot be read, is none, or its signature is refused.
pub fn range_manifest(path: &Path, keys: &KeyFile) -> Result<Map, Error> {
    let refused = |source| Error::Ranges { path: path.into(), source };
    let bytes = read(path, MAX_BYTES)?;
    let (ranges, signature) = match keys.read()? {
        Some(ring) => {
            let mut name = path.as_os_str().to_owned();
            name.push(".sig");
            let file = read(Path::new(&name), SMALL)?;
            let (ranges, key) = Ranges::verify::<Ring>(&ring, &bytes, &file).map_err(refused)?;
            (ranges, Signature::Good { key: key.id, development: key.development })
        }
        None => {
            let looked_for = keys.path().into();
            (Ranges::from_bytes(&bytes).map_err(refused)?, Signature::NotChecked { looked_for })
        }
    };
    Ok(map_with(&ranges, path, signature))
}

/// A range manifest whose signature was found good, by a key that may be one for development.
#[cfg(target_os = "linux")]
pub(crate) fn map_of(
    ranges: &Ranges,
    path: &Path,
    (key, development): (aegis_core::key::KeyId, bool),
) -> Map {
    map_with(ranges, path, Signature::Good { key, development })
}

fn map_with(ranges: &Ranges, path: &Path, signature: Signature) -> Map {
    let trusted = matches!(signature, Signature::Good { .. });
    let part = |(range, sum): (_, Option<Digest>)| match sum {
        Some(sum) => Part { range, rule: Rule::Sum(&digest::SHA256, sum.0.into()), needed: true },
        None => Part { range, rule: Rule::Zero, needed: !trusted },
    };
    let parts = ranges.iter().map(part).collect();
    let origin = Origin::Ranges { sha256: ranges.sha256, release: ranges.release, signature };
    Map::new(path.into(), origin, ranges.length, parts)
}

/// The map for a device whose image is not at hand.
///
/// # Errors
/// As [`range_manifest`], and when another edition is wanted.
pub fn of_device(path: &Path, wanted: &Wanted) -> Result<Map, Error> {
    let map = range_manifest(path, &wanted.keys)?;
    check_edition(Some(&map), wanted.edition)?;
    Ok(map)
}

fn check_edition(map: Option<&Map>, wanted: Option<Edition>) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    let found = match map.map(|map| &map.origin) {
        Some(Origin::Ranges { release, signature: Signature::Good { .. }, .. }) => *release,
        _ => None,
    };
    let found = found.map(|release| release.edition);
    if found == Some(wanted) { Ok(()) } else { Err(Error::EditionOfImage { wanted, found }) }
}

/// What can be compared without decoding the image.
fn check(image: &ImageFile, map: &Map) -> Result<(), Error> {
    let bad = |problem: String| Err(Error::Map { path: map.path.clone(), problem });
    if image.format == Format::Raw && image.size != map.length {
        return bad(format!("is of an image of {} bytes, this one has {}", map.length, image.size));
    }
    let whole = image.expected.as_ref().filter(|expected| {
        expected.digest.len() == 64 && (expected.of_content || image.format == Format::Raw)
    });
    match (&map.origin, whole) {
        (Origin::Ranges { sha256, .. }, Some(expected)) if sha256.to_string() != expected.digest => {
            bad(format!("is of an image with SHA-256 {sha256}, {} names {}", expected.by, expected.digest))
        }
        _ => Ok(()),
    }
}
