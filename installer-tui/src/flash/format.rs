//! What an image file is, by its first bytes; its name means nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As it goes onto the device.
    Raw,
    /// RFC 1952.
    Gzip,
    /// The .xz file format, 1.2.1.
    Xz,
    /// bzip2.
    Bzip2,
    /// RFC 8878.
    Zstd,
    /// The LZ4 frame format, 1.6.3.
    Lz4,
}

/// Bytes of a file that [`Format::detect`] needs.
pub const NEEDED: usize = 8;

impl Format {
    /// Recognises a format. What is no archive at all is raw.
    ///
    /// # Errors
    /// The name of an archive format that holds files, or of one that is not read.
    pub fn detect(start: &[u8]) -> Result<Self, &'static str> {
        const KNOWN: [(&[u8], Result<Format, &str>); 13] = [
            (&[0x1f, 0x8b], Ok(Format::Gzip)),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Ok(Format::Xz)),
            (b"BZh", Ok(Format::Bzip2)),
            (&[0x28, 0xb5, 0x2f, 0xfd], Ok(Format::Zstd)),
            (&[0x04, 0x22, 0x4d, 0x18], Ok(Format::Lz4)),
            (&[0x02, 0x21, 0x4c, 0x18], Err("LZ4 in its old frame format")),
            (b"PK\x03\x04", Err("ZIP")),
            (&[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c], Err("7-Zip")),
            (b"Rar!", Err("RAR")),
            (b"LZIP", Err("lzip")),
            (&[0x89, b'L', b'Z', b'O'], Err("lzop")),
            (&[0x1f, 0x9d], Err("compress")),
            (b"QFI\xfb", Err("QEMU's qcow2")),
        ];
        let found = KNOWN.iter().find(|(magic, _)| start.starts_with(magic));
        found.map_or_else(|| Ok(Self::skippable(start)), |(_, format)| *format)
    }

    /// A frame that zstd and LZ4 readers pass over may come first; only zstd's tools make such files.
    fn skippable(start: &[u8]) -> Self {
        match start {
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Raw,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Raw => "raw",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        assert_eq!(Format::detect(b"\x1f\x8b\x08"), Ok(Format::Gzip));
        assert_eq!(Format::detect(b"\x50\x2a\x4d\x18rest"), Ok(Format::Zstd));
        assert_eq!(Format::detect(b"\x1f"), Ok(Format::Raw));
        assert_eq!(Format::detect(b""), Ok(Format::Raw));
        assert_eq!(Format::detect(b"PK\x03\x04...."), Err("ZIP"));
        assert_eq!(Format::detect(b"QFI\xfb\0\0\0\x03"), Err("QEMU's qcow2"));
    }
}
