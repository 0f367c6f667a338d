//! GUIDs of the partitions in a GUID Partition Table (UEFI specification, chapter 5).
//!
//! The kernel does not tell them before Linux 6.13. It has validated the table when a partition of it exists; whoever
//! reads a GUID here compares the partition's start with the kernel's, so a table that changed since is not believed.

use aegis_core::install::PartitionGuid;

/// Bytes of the header that are used.
const HEADER_SIZE: usize = 92;
/// Limits what a damaged header can ask for: 128 entries of 128 bytes are usual.
const MAX_ENTRY_SIZE: u32 = 4096;

/// Where the entries are, from the header in the table's first block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    entries_block: u64,
    entry_size: u32,
    count: u32,
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What the partition is for.
    pub(crate) kind: PartitionGuid,
    /// The partition's own GUID.
    pub(crate) guid: PartitionGuid,
    /// Its first logical block.
    pub(crate) first_block: u64,
}

impl Header {
    /// Parses logical block 1; `None` when it is no header.
    pub(crate) fn parse(block: &[u8]) -> Option<Self> {
        let bytes = block.get(..HEADER_SIZE).filter(|bytes| bytes.starts_with(b"EFI PART"))?;
        let header = Self {
            entries_block: u64_at(bytes, 72)?,
            count: u32_at(bytes, 80)?,
            entry_size: u32_at(bytes, 84)?,
        };
        (Entry::SIZE..=MAX_ENTRY_SIZE).contains(&header.entry_size).then_some(header)
    }

    /// Position of the entry of a partition, which counts from 1, in bytes.
    pub(crate) fn entry_position(&self, number: u32, block_size: u64) -> Option<u64> {
        let index = number.checked_sub(1).filter(|index| *index < self.count)?;
        let offset = u64::from(index) * u64::from(self.entry_size);
        self.entries_block.checked_mul(block_size)?.checked_add(offset)
    }
}

impl Entry {
    /// Bytes of an entry that are used.
    pub(crate) const SIZE: u32 = 128;

    /// Parses an entry; `None` for one that is not in use.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, guid) = (guid_at(bytes, 0)?, guid_at(bytes, 16)?);
        let first_block = u64_at(bytes, 32)?;
        (kind.0 != [0; 16]).then_some(Self { kind, guid, first_block })
    }
}

fn guid_at(bytes: &[u8], at: usize) -> Option<PartitionGuid> {
    let mut guid: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    // The first three fields are stored with the lowest byte first.
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    Some(PartitionGuid(guid))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header's fields as sgdisk 1.0.9 writes them.
    fn header() -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..8].copy_from_slice(b"EFI PART");
        block[72..80].copy_from_slice(&2u64.to_le_bytes());
        block[80..84].copy_from_slice(&128u32.to_le_bytes());
        block[84..88].copy_from_slice(&128u32.to_le_bytes());
        block
    }

    #[test]
    fn entries_are_found() {
        let parsed = Header::parse(&header()).unwrap();
        assert_eq!(parsed.entry_position(1, 512), Some(1024));
        assert_eq!(parsed.entry_position(3, 4096), Some(8192 + 256));
        assert_eq!(parsed.entry_position(0, 512), None);
        assert_eq!(parsed.entry_position(129, 512), None);
    }

    #[test]
    fn damaged_headers_are_refused() {
        assert_eq!(Header::parse(&[0; 512]), None);
        assert_eq!(Header::parse(&header()[..80]), None);
        for size in [0u32, 127, u32::MAX] {
            let mut block = header();
            block[84..88].copy_from_slice(&size.to_le_bytes());
            assert_eq!(Header::parse(&block), None);
        }
        let mut far = header();
        far[72..80].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(Header::parse(&far).unwrap().entry_position(1, 512), None);
    }

    #[test]
    fn entry_has_mixed_byte_order() {
        let mut bytes = vec![0; 128];
        // As `sgdisk -t 1:739d92df-ad41-4ab5-885f-d22a0427c571` stores it.
        bytes[..16].copy_from_slice(&[
            0xdf, 0x92, 0x9d, 0x73, 0x41, 0xad, 0xb5, 0x4a, 0x88, 0x5f, 0xd2, 0x2a, 0x04, 0x27, 0xc5, 0x71,
        ]);
        // As `sgdisk -u 1:a0112233-4455-8677-8899-aabbccddeef1` stores it.
        bytes[16..32].copy_from_slice(&[
            0x33, 0x22, 0x11, 0xa0, 0x55, 0x44, 0x77, 0x86, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xf1,
        ]);
        bytes[32..40].copy_from_slice(&2048u64.to_le_bytes());
        let entry = Entry::parse(&bytes).unwrap();
        assert_eq!(entry.guid.to_string(), "a0112233-4455-8677-8899-aabbccddeef1");
        assert_eq!((entry.first_block, entry.kind), (2048, aegis_core::persistence::TYPE));
        bytes[..16].fill(0);
        assert_eq!(Entry::parse(&bytes), None);
        assert_eq!(Entry::parse(&[1; 20]), None);
    }
}
