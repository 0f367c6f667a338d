//! What a disk or partition holds: file system, swap space, encryption, member of an array.
//!
//! libblkid answers where it is installed; it knows many more kinds than [`aegis_core::probe`], which answers otherwise.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use aegis_core::probe::{self, Probe, Usage};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What is there, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// What is there.
    #[serde(flatten)]
    pub content: Content,
    /// Who says so.
    pub source: Source,
}

/// Who looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The system's libblkid.
    Libblkid,
    /// [`aegis_core::probe`].
    Core,
}

/// What a device holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "content", rename_all = "lowercase")]
pub enum Content {
    /// Nothing that is known.
    Unknown,
    /// This.
    One(Signature),
    /// Several that exclude each other: which one is in use cannot be told.
    Several {
        /// Their kinds, as far as they are known.
        kinds: Vec<String>,
    },
}

/// What a superblock says. All text but the kind is the device's own: show it through [`crate::text::Shown`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The name that libblkid gives it as `TYPE`, such as `ext4`, `crypto_LUKS` or `LVM2_member`.
    pub kind: String,
    /// The name that a person gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its identifier, in the notation of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// What it is used for.
    pub usage: Usage,
    /// Version or variant of the format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl From<Probe> for Signature {
    fn from(probe: Probe) -> Self {
        Self {
            kind: probe.kind.id().to_string(),
            label: probe.label.map(|label| String::from_utf8_lossy(label.as_bytes()).into_owned()),
            uuid: probe.uuid.map(|uuid| uuid.as_str().to_string()),
            usage: probe.kind.usage(),
            version: probe.version.map(|version| version.as_str().to_string()),
        }
    }
}

/// Looks at `size` bytes of an open device from `offset` on; `node` is its name in errors. Reads only.
///
/// # Errors
/// [`Error::Io`] when the device cannot be read or is shorter: there is no answer then.
pub fn identify(node: &Path, file: &File, offset: u64, size: u64) -> Result<Identified, Error> {
    by_core(node, file, offset, size).map(|content| Identified { content, source: Source::Core })
}

/// The same by [`aegis_core::probe`] alone.
///
/// # Errors
/// As [`identify`].
pub fn by_core(node: &Path, file: &File, offset: u64, size: u64) -> Result<Content, Error> {
    let found = probe::probe(&mut Part { file, offset, size });
    let content = found.map_err(|error| {
        let at = io::Error::new(error.source.kind(), format!("{error}: {}", error.source));
        Error::io("look at what is on", node)(at)
    })?;
    Ok(match content {
        probe::Content::Unknown => Content::Unknown,
        probe::Content::One(probe) => Content::One(probe.into()),
        probe::Content::Several(kinds) => {
            Content::Several { kinds: kinds.iter().map(|kind| kind.id().to_string()).collect() }
        }
    })
}

/// A part of an open file.
struct Part<'a> {
    file: &'a File,
    offset: u64,
    size: u64,
}

impl probe::Source for Part<'_> {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let position = self.offset.checked_add(offset).ok_or(io::ErrorKind::InvalidInput)?;
        self.file.read_exact_at(buffer, position)
    }
}
