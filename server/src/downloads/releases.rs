//! The files that can be downloaded: what a release's signed manifest lists, in the order of publication.

use std::{
    fs,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use aegis_core::{
    channel::Channel,
    crypto,
    edition::Edition,
    hex::{Digest, Hex},
    key::{KeyRole, PublicKey},
    manifest::Manifest,
    ranges,
};

use super::{Blob, Blobs};
use crate::{
    Clock, Error, Result,
    store::{Row, Statement, Store},
};

/// Names that `aegis iso build` gives to the manifest of a release and its signature.
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.json.sig";
/// And to the digests of all files.
const SUMS: &str = "SHA256SUMS";

/// A file that can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The edition.
    pub edition: Edition,
    /// The version.
    pub version: String,
    /// Its name in the release.
    pub name: String,
    /// The channel.
    pub channel: Channel,
    /// Its content.
    pub blob: Blob,
    /// When it was published, seconds since 1970.
    pub published: i64,
}

impl File {
    /// Where it is on the site.
    pub fn path(&self) -> String {
        format!("/download/{}/{}/{}", self.edition, self.version, self.name)
    }

    /// Whether it is the image that a person wants.
    pub fn is_image(&self) -> bool {
        self.name.ends_with(".iso")
    }

    /// Whether it says what the other files are. Everyone may check an image, so that everyone may have these; a link to an
    /// image is then all that its owner needs.
    pub fn is_description(&self) -> bool {
        let unsigned = self.name.strip_suffix(".sig").unwrap_or(&self.name);
        [MANIFEST, SUMS].contains(&unsigned) || unsigned.ends_with(ranges::SUFFIX)
    }
}

/// Every file that was published, in memory.
#[derive(Debug, Default)]
pub struct Catalogue {
    files: RwLock<Arc<Vec<File>>>,
}

impl Catalogue {
    /// Reads it again; true when it changed.
    ///
    /// # Errors
    /// When the database cannot be read, or holds what no program of ours wrote.
    pub async fn refresh(&self, store: &dyn Store) -> Result<bool> {
        let sql = "SELECT edition, version, name, channel, digest, size, published_at FROM files \
                   ORDER BY published_at DESC, edition, version, name";
        let rows = store.read(Statement::new(sql, [])).await?;
        let files: Vec<_> = rows.iter().map(file).collect::<Result<_>>()?;
        let mut current = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **current != files;
        *current = Arc::new(files);
        Ok(changed)
    }

    /// The files, newest release first.
    pub fn files(&self) -> Arc<Vec<File>> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The file at a path of the site.
    pub fn at(&self, path: &str) -> Option<File> {
        let mut parts = path.strip_prefix("/download/")?.split('/');
        let (edition, version, name) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let named =
            |file: &&File| file.name == name && file.version == version && file.edition.id() == edition;
        self.files().iter().find(named).cloned()
    }
}

fn file(row: &Row) -> Result<File> {
    let wrong = |what: &str| Error::Corrupt {
        what: "a published file".into(),
        problem: format!("has an unknown {what}"),
    };
    let digest = <[u8; 32]>::try_from(row.blob(4)?).map_err(|_length| wrong("digest"))?;
    Ok(File {
        edition: Edition::from_id(row.text(0)?).ok_or_else(|| wrong("edition"))?,
        version: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        channel: channel(row.text(3)?).ok_or_else(|| wrong("channel"))?,
        blob: Blob {
            digest: Hex(digest),
            size: u64::try_from(row.int(5)?).map_err(|_negative| wrong("size"))?,
        },
        published: row.int(6)?,
    })
}

fn channel(name: &str) -> Option<Channel> {
    Channel::ALL.into_iter().find(|channel| channel.to_string() == name)
}

/// Publishes a directory that `aegis iso build` left: checks the manifest's signature by the keys, takes in every file that
/// it lists, then names them in one batch. Returns the files.
///
/// # Errors
/// When the signature is not by one of the keys, a file is missing or not what the manifest says, or the version was
/// published before with other content.
pub async fn publish(
    store: &dyn Store,
    blobs: &Blobs,
    clock: &Clock,
    directory: &Path,
    keys: &[PublicKey],
) -> Result<Vec<File>> {
    let manifest = read_manifest(directory, keys)?;
    let published = clock.now();
    let mut files = Vec::new();
    for (name, listed) in &manifest.files {
        let expected = Some((listed.size, listed.sha256));
        files.push(take(blobs, directory, &manifest, name, expected, published).await?);
    }
    for name in [MANIFEST, SIGNATURE, SUMS] {
        files.push(take(blobs, directory, &manifest, name, None, published).await?);
    }
    store.write(files.iter().map(row).collect()).await.map_err(|error| match error {
        Error::Condition(_) => Error::Config {
            place: directory.display().to_string(),
            problem: format!(
                "{} {} was published before, with other files",
                manifest.edition, manifest.version
            ),
            hint: "build it as a new version: what was published is never replaced".into(),
        },
        other => other,
    })?;
    Ok(files)
}

fn read_manifest(directory: &Path, keys: &[PublicKey]) -> Result<Manifest> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read(&path).map_err(Error::io("reading", path))
    };
    let (bytes, signature) = (read(MANIFEST)?, read(SIGNATURE)?);
    let refused =
        |problem: String| Error::Corrupt { what: directory.join(MANIFEST).display().to_string(), problem };
    crypto::verify::<crypto::AwsLc>(keys, KeyRole::Release, &bytes, &signature)
        .map_err(|error| refused(format!("is not signed by a key that is trusted here: {error}")))?;
    Manifest::from_verified(&bytes).map_err(|error| refused(format!("cannot be used: {error}")))
}

async fn take(
    blobs: &Blobs,
    directory: &Path,
    manifest: &Manifest,
    name: &str,
    expected: Option<(u64, Digest)>,
    published: i64,
) -> Result<File> {
    let path = directory.join(name);
    // Names become parts of addresses.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    if name.starts_with('.') || !name.bytes().all(plain) {
        return Err(Error::Corrupt {
            what: path.display().to_string(),
            problem: "has a name that is not published".into(),
        });
    }
    let source = fs::File::open(&path).map_err(Error::io("reading", &path))?;
    let expected = expected.map(|(size, digest)| Blob { digest, size });
    let blob = blobs.add(source, expected).await.map_err(|error| match error {
        Error::Corrupt { problem, .. } => Error::Corrupt { what: path.display().to_string(), problem },
        other => other,
    })?;
    let (edition, version) = (manifest.edition, manifest.version.to_string());
    Ok(File { edition, version, name: name.to_owned(), channel: manifest.channel, blob, published })
}

/// Writes a file's row. The same file again changes nothing; another content under its name does not pass.
fn row(file: &File) -> Statement {
    let sql = "INSERT INTO files (edition, version, name, channel, digest, size, published_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) \
               ON CONFLICT (edition, version, name) DO UPDATE SET channel = excluded.channel \
               WHERE files.digest = excluded.digest AND files.size = excluded.size";
    let size = i64::try_from(file.blob.size).unwrap_or(i64::MAX);
    let channel = file.channel.to_string();
    let values = [
        file.edition.id().into(),
        file.version.as_str().into(),
        file.name.as_str().into(),
        channel.into(),
        file.blob.digest.0.into(),
        size.into(),
        file.published.into(),
    ];
    Statement::new(sql, values).expecting(1)
}
