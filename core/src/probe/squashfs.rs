//! SquashFS 4 (the kernel's `fs/squashfs/squashfs_fs.h`).

use super::{
    Kind, Probe,
    read::{is_at, le16, le32, le64},
    text::version,
};

pub(super) fn probe(head: &[u8]) -> Option<Probe> {
    let (block_size, block_log) = (le32(head, 12)?, le16(head, 22)?);
    let (major, minor) = (le16(head, 28)?, le16(head, 30)?);
    let is_sound = (12..=20).contains(&block_log) && block_size == 1 << block_log;
    if !is_at(head, 0, b"hsqs") || major != 4 || !is_sound {
        return None;
    }
    Some(Probe {
        version: version(format_args!("{major}.{minor}")),
        size: Some(le64(head, 40)?),
        block_size: Some(block_size),
        ..Probe::new(Kind::Squashfs)
    })
}
