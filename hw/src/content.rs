//! What a disk or partition holds: file system, swap space, encryption, member of an array.
//!
//! libblkid answers where it is installed; it knows many more kinds than [`aegis_core::probe`], which answers otherwise.

#[cfg(feature = "dynamic")]
use std::collections::BTreeMap;
use std::{fs::File, io, path::Path};

use aegis_core::probe::{self, Probe, Usage};
use serde::{Deserialize, Serialize};

#[cfg(feature = "dynamic")]
use crate::sys::blkid;
use crate::{error::Error, sys};

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
        /// Their kinds.
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
    /// Its checksum is wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_damaged: bool,
}

#[cfg(feature = "dynamic")]
impl Signature {
    /// From the names and values of libblkid; `None` without a type.
    fn from_values(values: Vec<(String, String)>) -> Option<Self> {
        let mut values: BTreeMap<String, String> = values.into_iter().collect();
        let usage = values.remove("USAGE");
        Some(Self {
            kind: values.remove("TYPE")?,
            label: values.remove("LABEL"),
            uuid: values.remove("UUID"),
            usage: Usage::ALL
                .into_iter()
                .find(|one| Some(one.id()) == usage.as_deref())
                .unwrap_or(Usage::Other),
            version: values.remove("VERSION"),
            is_damaged: values.contains_key("SBBADCSUM"),
        })
    }
}

impl From<Probe> for Signature {
    fn from(probe: Probe) -> Self {
        Self {
            kind: probe.kind.id().to_string(),
            label: probe.label.map(|label| String::from_utf8_lossy(label.as_bytes()).into_owned()),
            uuid: probe.uuid.map(|uuid| uuid.as_str().to_string()),
            usage: probe.kind.usage(),
            version: probe.version.map(|version| version.as_str().to_string()),
            is_damaged: false,
        }
    }
}

/// Looks at `size` bytes of an open device from `offset` on; `node` is its name in errors. Reads only.
///
/// # Errors
/// [`Error::Io`] when the device cannot be read or is shorter: there is no answer then.
pub fn identify(node: &Path, file: &File, offset: u64, size: u64) -> Result<Identified, Error> {
    #[cfg(feature = "dynamic")]
    if let Some(content) = by_libblkid(file, offset, size) {
        return Ok(Identified { content, source: Source::Libblkid });
    }
    by_core(node, file, offset, size).map(|content| Identified { content, source: Source::Core })
}

/// The same by libblkid alone; `None` where it is not installed, or cannot look: it does not tell why.
#[cfg(feature = "dynamic")]
pub fn by_libblkid(file: &File, offset: u64, size: u64) -> Option<Content> {
    Some(match blkid::library().ok()?.look(file, offset, size) {
        blkid::Answer::Nothing => Content::Unknown,
        blkid::Answer::Values(values) => {
            Signature::from_values(values).map_or(Content::Unknown, Content::One)
        }
        blkid::Answer::Ambivalent(kinds) => Content::Several { kinds },
        blkid::Answer::Failed => return None,
    })
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
    Ok(content.into())
}

impl From<probe::Content> for Content {
    fn from(content: probe::Content) -> Self {
        match content {
            probe::Content::Unknown => Self::Unknown,
            probe::Content::One(probe) => Self::One(probe.into()),
            probe::Content::Several(kinds) => {
                Self::Several { kinds: kinds.iter().map(|kind| kind.id().to_string()).collect() }
            }
        }
    }
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
        sys::read_exact_at(self.file, buffer, position)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::fs;
    use std::io::Write;

    #[cfg(unix)]
    use aegis_core::report::render;

    use super::*;

    const EXT2: (usize, &[u8]) = (1024 + 0x38, b"\x53\xef");
    const LUKS: (usize, &[u8]) = (0, b"LUKS\xba\xbe\0\x01");
    const SWAP: [(usize, &[u8]); 2] = [(1024, &[1, 0, 0, 0, 9]), (4086, b"SWAPSPACE2")];

    /// A file of 4 MiB with `changes` in its second half.
    fn file(changes: &[(usize, &[u8])]) -> File {
        let mut bytes = vec![0; 4 << 20];
        for (at, change) in changes {
            bytes[(2 << 20) + at..][..change.len()].copy_from_slice(change);
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }

    fn look(file: &File) -> [Content; 2] {
        let (node, offset, size) = (Path::new("/dev/sda"), 2 << 20, 2 << 20);
        [identify(node, file, offset, size).unwrap().content, by_core(node, file, offset, size).unwrap()]
    }

    #[test]
    fn a_part_of_a_device() {
        for content in look(&file(&[LUKS])) {
            let Content::One(found) = content else { panic!("{content:?}") };
            assert_eq!((found.kind.as_str(), found.usage), ("crypto_LUKS", Usage::Crypto));
        }
        assert_eq!(look(&file(&[])), [Content::Unknown, Content::Unknown]);
        let whole = identify(Path::new("/dev/sda"), &file(&[LUKS]), 0, 4 << 20).unwrap();
        assert_eq!(whole.content, Content::Unknown);
    }

    #[test]
    fn several_are_named() {
        let kinds = vec!["swap".to_string(), "ext2".to_string()];
        for content in look(&file(&[EXT2, SWAP[1]])) {
            assert!(matches!(content, Content::One(found) if found.kind == "ext2"));
        }
        let both = file(&[(1024 + 0x18, &[1]), EXT2, SWAP[0], SWAP[1]]);
        assert!(look(&both).into_iter().all(|content| content == Content::Several { kinds: kinds.clone() }));
    }

    #[test]
    fn nothing_is_on_nothing() {
        let (node, file) = (Path::new("/dev/sr0"), file(&[LUKS]));
        for size in [0, 1, 512, 1024] {
            assert_eq!(identify(node, &file, 2 << 20, size).unwrap().content, Content::Unknown);
            assert_eq!(by_core(node, &file, 2 << 20, size).unwrap(), Content::Unknown);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let cut = directory.path().join("cut");
        fs::write(&cut, [0; 4096]).unwrap();
        let error = |file: &File, offset| {
            render(&identify(Path::new("/dev/sdx"), file, offset, 1 << 20).unwrap_err())
        };
        let said = "error: cannot look at what is on /dev/sdx: cannot read ";
        let text = error(&File::open(&cut).unwrap(), 0);
        assert!(
            text.starts_with(&format!("{said}8192 bytes at byte 0: failed to fill whole buffer")),
            "{text}"
        );
        assert!(error(&File::open(directory.path()).unwrap(), 0).starts_with(said));
        assert!(error(&File::open(&cut).unwrap(), u64::MAX - 10).starts_with(said));
        assert!(identify(Path::new("/dev/sdx"), &File::open(&cut).unwrap(), 0, u64::MAX).is_err());
    }

    #[test]
    fn answers_are_written_and_read() {
        for content in look(&file(&[LUKS])) {
            let answer = Identified { content, source: Source::Core };
            let json = serde_json::to_string(&answer).unwrap();
            let expected =
                r#"{"content":"one","kind":"crypto_LUKS","usage":"crypto","version":"1","source":"core"}"#;
            assert_eq!(json, expected);
            assert_eq!(serde_json::from_str::<Identified>(&json).unwrap(), answer);
        }
    }
}
