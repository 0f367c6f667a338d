//! Files that are named by their SHA-256, in a folder or in a bucket of object storage.
//!
//! Invariant: what has its name is whole and is its content; nothing is ever written over it.

mod bucket;
mod fault;
mod folder;
mod upload;

use std::{
    io::{self, Read, Seek},
    path::Path,
    sync::Arc,
};

use aegis_core::hex::{Digest, Hex};
use aws_lc_rs::digest::{Context, SHA256};

use crate::{Error, Result};
pub use bucket::{Access, Bucket, Settings};
pub use folder::Folder;

/// Bytes that are read at a time.
const STEP: usize = 1024 * 1024;

/// A file among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 of the content, which is its name.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// Where they are.
#[derive(Clone, Debug)]
pub enum Blobs {
    /// In a folder, from which the kernel sends them.
    Folder(Folder),
    /// In a bucket, to which clients are redirected or from which the bytes are passed on.
    Bucket(Arc<Bucket>),
}

impl Blobs {
    /// Those in a folder, which is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn in_folder(root: &Path) -> Result<Self> {
        Folder::open(root).map(Self::Folder)
    }

    /// Those in a bucket. It is not asked yet, so that a server starts without it.
    ///
    /// # Errors
    /// [`Error::Config`] when the settings cannot be those of a bucket.
    pub fn in_bucket(settings: &Settings) -> Result<Self> {
        Bucket::new(settings).map(Arc::new).map(Self::Bucket)
    }

    /// Takes in what `source` has, from its start. What is there already is left as it is.
    ///
    /// # Errors
    /// When it is not what is expected, or the folder or bucket does not take it; then nothing of it can be seen.
    pub async fn add(&self, source: impl Read + Seek, expected: Option<Blob>) -> Result<Blob> {
        match self {
            Self::Folder(folder) => folder.add(source, expected),
            Self::Bucket(bucket) => upload::add(bucket, source, expected).await,
        }
    }

    /// Whether they can be reached.
    ///
    /// # Errors
    /// Says why not.
    pub async fn probe(&self) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.probe(),
            Self::Bucket(bucket) => bucket.probe().await,
        }
    }
}

/// The place of a blob below folder or prefix.
fn path(digest: &Digest) -> String {
    let name = digest.to_string();
    format!("sha256/{}/{name}", &name[..2])
}

/// Hands on what `source` has, and says what it was.
fn measure(mut source: impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Blob> {
    let (mut hash, mut buffer) = (Hash::default(), vec![0; STEP]);
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok(hash.blob()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        hash.update(&buffer[..read]);
        take(&buffer[..read])?;
    }
}

/// Digest and length of what has passed.
struct Hash {
    context: Context,
    size: u64,
}

impl Default for Hash {
    fn default() -> Self {
        Self { context: Context::new(&SHA256), size: 0 }
    }
}

impl Hash {
    fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn blob(self) -> Blob {
        let mut digest = Hex([0; 32]);
        digest.0.copy_from_slice(self.context.finish().as_ref());
        Blob { digest, size: self.size }
    }
}

fn compare(found: Blob, expected: Option<Blob>) -> Result<()> {
    match expected.filter(|expected| *expected != found) {
        None => Ok(()),
        Some(expected) => Err(Error::Corrupt {
            what: "a file that was to be taken in".into(),
            problem: format!(
                "has {} bytes with SHA-256 {}, expected {} with {}",
                found.size, found.digest, expected.size, expected.digest
            ),
        }),
    }
}
