//! What a device holds: file systems, swap space, encryption and members of arrays, by their superblocks.
//!
//! The rules are those of the formats' own documentation and of the Linux kernel where it mounts them; the names are
//! those that libblkid made common. A structure with a checksum that can be computed here is believed only when the
//! checksum is right. What is read is bounded by [`READ_LIMIT`] whatever the device says: its first 8 KiB, single blocks
//! up to 100 KiB, single blocks of its last 128 KiB, and little of what a superblock points to.
//!
//! Nothing here proves where data came from: a label or UUID can be copied or forged.

mod btrfs;
mod checksum;
mod erofs;
mod exfat;
mod ext;
mod f2fs;
mod fat;
pub mod iso9660;
mod kind;
mod member;
mod ntfs;
mod raid;
mod read;
mod squashfs;
mod swap;
mod text;
mod xfs;

use heapless::Vec;

pub use kind::{Kind, Usage};
pub use read::{ReadError, Source};
pub use text::{Label, Uuid, Version};

use read::Reader;

/// Bytes that one probe reads at most.
pub const READ_LIMIT: u64 = 256 * 1024;
/// A device of this size or less holds nothing: it is what the kernel shows of an extended partition.
const TOO_SMALL: u64 = 1024;
/// Up to the size of a floppy disk there are no arrays, and the first answer counts.
const TINY: u64 = 1440 * 1024;
/// How many kinds of superblock are looked for.
const RULES: usize = 17;

/// What one superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What it is.
    pub kind: Kind,
    /// The name that a person gave it.
    pub label: Option<Label>,
    /// Its identifier, in the notation of its kind.
    pub uuid: Option<Uuid>,
    /// Version or variant of the format, where it tells something.
    pub version: Option<Version>,
    /// Bytes that it occupies, where the superblock tells.
    pub size: Option<u64>,
    /// Bytes of the unit in which it stores data, where the superblock tells.
    pub block_size: Option<u32>,
    /// Whether a checksum over the superblock was compared, and was right.
    pub is_checked: bool,
}

impl Probe {
    /// One of which only the kind is known.
    const fn new(kind: Kind) -> Self {
        Self { kind, label: None, uuid: None, version: None, size: None, block_size: None, is_checked: false }
    }
}

/// What a device holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no allocator to put it elsewhere")]
pub enum Content {
    /// Nothing that is known here.
    Unknown,
    /// This.
    One(Probe),
    /// Several that exclude each other, in the order of [`Kind`]'s documentation: which one is in use cannot be told.
    Several(Vec<Kind, RULES>),
}

/// How one kind is looked for.
enum Rule<S: Source> {
    /// In the first bytes of the device.
    Head(fn(&[u8]) -> Option<Probe>),
    /// With more of it; gets the first bytes too.
    Reads(fn(&mut Reader<'_, S>, &[u8]) -> Found<S>),
}

/// An answer that needed to read: `None` when the device does not hold that kind.
type Found<S> = Result<Option<Probe>, ReadError<<S as Source>::Error>>;

/// Looks at a device.
///
/// What holds other devices hides what else is there: the file system on a member of an array, or below encryption, is
/// not the device's own.
///
/// # Errors
/// When the device cannot be read. There is no answer then: what could not be read might have contradicted it.
pub fn probe<S: Source>(source: &mut S) -> Result<Content, ReadError<S::Error>> {
    let rules: [Rule<S>; RULES] = [
        Rule::Reads(raid::probe),
        Rule::Head(member::bcache),
        Rule::Head(member::lvm2),
        Rule::Head(member::luks),
        Rule::Reads(member::bitlocker),
        Rule::Reads(fat::probe),
        Rule::Reads(swap::suspended),
        Rule::Reads(swap::probe),
        Rule::Reads(xfs::probe),
        Rule::Head(ext::probe),
        Rule::Reads(iso9660::probe),
        Rule::Reads(ntfs::probe),
        Rule::Head(squashfs::probe),
        Rule::Reads(btrfs::probe),
        Rule::Reads(exfat::probe),
        Rule::Head(f2fs::probe),
        Rule::Reads(erofs::probe),
    ];
    let mut reader = Reader::new(source);
    if reader.size() <= TOO_SMALL {
        return Ok(Content::Unknown);
    }
    let is_tiny = reader.size() <= TINY;
    let (buffer, length) = reader.head()?;
    let head = buffer.get(..length).unwrap_or_default();
    let mut first = None;
    let mut kinds = Vec::new();
    for rule in &rules {
        let found = match rule {
            Rule::Head(look) => look(head),
            Rule::Reads(look) => look(&mut reader, head)?,
        };
        let Some(found) = found.filter(|found| !(is_tiny && found.kind.usage() == Usage::Raid)) else {
            continue;
        };
        // There are as many places as rules.
        let _ = kinds.push(found.kind);
        let is_last = is_tiny || matches!(found.kind.usage(), Usage::Raid | Usage::Crypto);
        first.get_or_insert(found);
        if is_last {
            break;
        }
    }
    Ok(match first {
        Some(_) if kinds.len() > 1 => Content::Several(kinds),
        Some(only) => Content::One(only),
        None => Content::Unknown,
    })
}
