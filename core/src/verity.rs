//! dm-verity hash trees, version 1, SHA-256, blocks of 4096 bytes.
//!
//! Follows the kernel's `Documentation/admin-guide/device-mapper/verity.rst`: the digest of a block is
//! SHA-256(salt, block); a hash block holds 128 digests; levels are stored from the root downwards. There
//! is no superblock: every parameter is in the signed manifest.

use alloc::{format, string::String};
#[cfg(feature = "ring")]
use alloc::{vec, vec::Vec};

use crate::manifest::Image;
#[cfg(feature = "ring")]
use crate::{crypto::Sha256, hex::Digest};

/// Bytes of a data block and of a hash block.
pub const BLOCK: usize = 4096;
const DIGESTS_PER_BLOCK: u64 = 128;

/// Bytes of the tree over `data_size` bytes, which must be a multiple of [`BLOCK`].
pub const fn tree_size(data_size: u64) -> u64 {
    let mut blocks = data_size / BLOCK as u64;
    let mut total = 0;
    while blocks > 1 {
        blocks = blocks.div_ceil(DIGESTS_PER_BLOCK);
        total += blocks;
    }
    total * BLOCK as u64
}

/// The parameters of the device-mapper target `verity` for an image whose tree follows its data on the
/// same block device. `device` is `major:minor` or a path.
pub fn table(image: &Image, device: &str) -> String {
    let blocks = image.data_size / BLOCK as u64;
    // The tree starts right after the data, so the number of data blocks is also its first block.
    format!("1 {device} {device} {BLOCK} {BLOCK} {blocks} {blocks} sha256 {} {}", image.root_hash, image.salt)
}

/// Builds the tree over data that arrives block by block.
#[cfg(feature = "ring")]
pub struct TreeBuilder {
    salted: Sha256,
    leaves: Vec<u8>,
}

#[cfg(feature = "ring")]
impl TreeBuilder {
    /// Starts with no data.
    pub fn new(salt: &Digest) -> Self {
        let mut salted = Sha256::new();
        salted.update(&salt.0);
        Self { salted, leaves: Vec::new() }
    }

    /// Adds data; `data` must be a whole number of [`BLOCK`]s.
    ///
    /// # Panics
    /// When it is not.
    pub fn push(&mut self, data: &[u8]) {
        assert!(data.len().is_multiple_of(BLOCK), "verity data comes in whole blocks");
        for block in data.chunks_exact(BLOCK) {
            let digest = hash(&self.salted, block);
            self.leaves.extend_from_slice(&digest.0);
        }
    }

    /// The root hash and the tree's bytes in the order in which they are stored.
    pub fn finish(self) -> (Digest, Vec<u8>) {
        let mut levels: Vec<Vec<u8>> = Vec::new();
        let mut digests = self.leaves;
        while digests.len() > 32 {
            digests.resize(digests.len().next_multiple_of(BLOCK), 0);
            let above = digests
                .chunks_exact(BLOCK)
                .flat_map(|block| hash(&self.salted, block).0)
                .collect::<Vec<u8>>();
            levels.push(digests);
            digests = above;
        }
        let mut root = Digest::parse(&"0".repeat(64)).expect("64 digits");
        if digests.len() == 32 {
            root.0.copy_from_slice(&digests);
        }
        let mut tree = vec![];
        levels.iter().rev().for_each(|level| tree.extend_from_slice(level));
        (root, tree)
    }
}

#[cfg(feature = "ring")]
fn hash(salted: &Sha256, block: &[u8]) -> Digest {
    let mut hasher = salted.clone();
    hasher.update(block);
    hasher.finish()
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use super::*;
    use crate::hex::Hex;

    /// `veritysetup format --no-superblock --salt=0001…1f` of cryptsetup 2.6.1 over 300 blocks, block i filled with
    /// the byte i mod 251.
    #[test]
    fn tree_matches_veritysetup() {
        let mut salt = [0; 32];
        (0..32).for_each(|i| salt[i] = u8::try_from(i).unwrap());
        let mut builder = TreeBuilder::new(&Hex(salt));
        for i in 0..300u32 {
            builder.push(&[u8::try_from(i % 251).unwrap(); BLOCK]);
        }
        let (root, tree) = builder.finish();
        assert_eq!(tree.len() as u64, tree_size(300 * BLOCK as u64));
        assert_eq!(Sha256::of(&tree).0[..4], VERITYSETUP_TREE);
        assert_eq!(alloc::format!("{root}"), VERITYSETUP_ROOT);
    }

    const VERITYSETUP_TREE: [u8; 4] = [0xef, 0xc6, 0x8c, 0x2b];
    const VERITYSETUP_ROOT: &str = "5e0340a7ec05976e629e6811add3590c8e81dce85b601894c1b9dac49da9cfca";
}
