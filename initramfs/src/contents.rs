//! What a disk that is not the one holds, for the report after a failure. A person knows a disk by what is on it.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use aegis_core::probe::{self, Content, Source};

use crate::block::BlockDevice;

/// Says what a device holds; `None` where nothing is known. It is read only now, when nothing is in a hurry any more.
pub(crate) fn describe(device: &BlockDevice) -> Option<String> {
    match open(&device.node(), device.size) {
        Ok(content) => named(&content),
        Err(error) => Some(format!("what it holds cannot be read: {error}")),
    }
}

fn open(node: &Path, size: u64) -> io::Result<Content> {
    let mut device = Device { file: File::open(node)?, size };
    probe::probe(&mut device).map_err(|error| error.source)
}

fn named(content: &Content) -> Option<String> {
    match content {
        Content::Unknown => None,
        Content::One(found) => {
            let label = found.label.as_ref().map(|label| format!(" `{label}`")).unwrap_or_default();
            Some(format!("holds {}{label}", found.kind))
        }
        Content::Several(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
            Some(format!("holds several at once: {}", kinds.join(", ")))
        }
    }
}

struct Device {
    file: File,
    size: u64,
}

impl Source for Device {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of these bytes, with `changes` at their places.
    fn said(changes: &[(usize, &[u8])]) -> Option<String> {
        let mut bytes = vec![0; 2 << 20];
        for (at, change) in changes {
            bytes[*at..*at + change.len()].copy_from_slice(change);
        }
        named(&probe::probe(&mut bytes.as_slice()).unwrap())
    }

    const EXT2: [(usize, &[u8]); 2] = [(1024 + 0x38, b"\x53\xef"), (1024 + 0x78, b"back\x1bup")];
    const SQUASHFS: [(usize, &[u8]); 2] =
        [(0, b"hsqs"), (12, &[0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 4])];

    #[test]
    fn people_recognise_their_disks() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&EXT2).as_deref(), Some("holds ext2 `back\\u{1b}up`"));
        assert_eq!(said(&[(0, b"LUKS\xba\xbe\0\x01")]).as_deref(), Some("holds LUKS"));
        assert_eq!(
            said(&[EXT2, SQUASHFS].concat()).as_deref(),
            Some("holds several at once: ext2, SquashFS")
        );
    }

    #[test]
    fn a_device_that_is_shorter_than_it_said() {
        let path = std::env::temp_dir().join(format!("aegis-init-contents-{}", std::process::id()));
        std::fs::write(&path, [0; 4096]).unwrap();
        let answers = [4096, 1 << 20].map(|size| open(&path, size).map_err(|error| error.kind()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(answers, [Ok(Content::Unknown), Err(io::ErrorKind::UnexpectedEof)]);
        assert!(open(&path, 4096).is_err());
    }
}
