//! The Merkle tree of RFC 6962, section 2.1, over SHA-256.
//!
//! Invariant: a leaf and an inner node are hashed with different first bytes, so that neither can pass for the other.

use aws_lc_rs::digest;

/// A SHA-256 digest of a leaf or of a node.
pub type Hash = [u8; 32];

/// Bytes of a [`Hash`].
const HASH: usize = 32;

/// The hash of an entry: SHA-256 of 0x00 and the entry.
pub fn leaf(entry: &[u8]) -> Hash {
    hash(&[&[0], entry])
}

/// The hash of a node over two subtrees: SHA-256 of 0x01, left and right.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; HASH];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The right edge of a tree: the roots of its complete subtrees, the largest first, one for each bit that is set in its
/// size. It is all that is needed to append, in as many steps as the size has bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    roots: Vec<Hash>,
}

impl Edge {
    /// The edge of a tree of `size` leaves, from [`Edge::to_bytes`]; `None` when the bytes are not as many as the size
    /// asks for.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (roots, rest) = bytes.as_chunks::<HASH>();
        let fits =
            rest.is_empty() && u32::try_from(roots.len()).is_ok_and(|found| found == size.count_ones());
        fits.then(|| Self { size, roots: roots.to_vec() })
    }

    /// The roots, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// Leaves in the tree.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        // Each set bit below the first clear one is a subtree as large as the one that was just completed.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                root = node(&left, &root);
            }
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// The root of the whole tree; that of an empty one is the digest of nothing.
    pub fn root(&self) -> Hash {
        self.roots
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node(&left, &right))
            .unwrap_or_else(|| hash(&[]))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// The test vectors of Certificate Transparency: eight entries and the root after each.
    pub(crate) const VECTORS: [(&str, &str); 8] = [
        ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        (
            "606162636465666768696a6b6c6d6e6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let mut edge = Edge::default();
        assert_eq!(
            HEXLOWER.encode(&edge.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (entry, root) in VECTORS {
            edge.push(leaf(&HEXLOWER.decode(entry.as_bytes()).unwrap()));
            assert_eq!(HEXLOWER.encode(&edge.root()), root);
        }
    }

    #[test]
    fn an_edge_comes_back_as_it_was_and_not_with_another_size() {
        let mut edge = Edge::default();
        for number in 0..70_u8 {
            edge.push(leaf(&[number]));
            let bytes = edge.to_bytes();
            assert_eq!(Edge::from_bytes(edge.size(), &bytes), Some(edge.clone()));
            assert_eq!(Edge::from_bytes(edge.size(), &bytes[1..]), None);
            assert_eq!(Edge::from_bytes(edge.size() | 1 << 40, &bytes), None);
        }
    }
}
