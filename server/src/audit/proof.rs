//! Proofs of RFC 6962, section 2.1: that an entry is in a tree, and that a tree only grew.
//!
//! The checks are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2, which need no recursion.

use super::tree::{Edge, Hash, node};

/// The hashes that lead from leaf `index` to the root of the tree over `leaves`; `None` when there is no such leaf.
pub fn inclusion(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    (index < leaves.len()).then(|| path(leaves, index))
}

fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = match index.checked_sub(left.len()) {
        None => (path(left, index), root(right)),
        Some(index) => (path(right, index), root(left)),
    };
    proof.push(sibling);
    proof
}

/// The hashes that show that the tree over the first `earlier` leaves is the beginning of the tree over all; `None` when
/// it has more leaves or none.
pub fn consistency(leaves: &[Hash], earlier: usize) -> Option<Vec<Hash>> {
    (1..=leaves.len()).contains(&earlier).then(|| subproof(leaves, earlier, true))
}

fn subproof(leaves: &[Hash], earlier: usize, known: bool) -> Vec<Hash> {
    if earlier == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = match earlier.checked_sub(left.len()) {
        None | Some(0) => (subproof(left, earlier, known), root(right)),
        Some(rest) => (subproof(right, rest, false), root(left)),
    };
    proof.push(sibling);
    proof
}

/// The largest power of two below a number of at least 2.
const fn split(leaves: usize) -> usize {
    1 << (leaves - 1).ilog2()
}

fn root(leaves: &[Hash]) -> Hash {
    let mut edge = Edge::default();
    leaves.iter().for_each(|leaf| edge.push(*leaf));
    edge.root()
}

/// Whether `proof` leads from the leaf at `index` to the root of a tree of `size` leaves.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node(sibling, &hash);
            up_to_left_child(&mut place, &mut last);
        } else {
            hash = node(&hash, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Skips the levels at which a node on the right edge has no sibling.
const fn up_to_left_child(place: &mut u64, last: &mut u64) {
    while *place & 1 == 0 && *place != 0 {
        *place >>= 1;
        *last >>= 1;
    }
}

/// Whether `proof` shows that the tree of `earlier` leaves and root `old` is the beginning of that of `size` leaves and
/// root `new`.
pub fn verify_consistency(earlier: u64, size: u64, old: &Hash, new: &Hash, proof: &[Hash]) -> bool {
    if earlier == size {
        return proof.is_empty() && old == new;
    }
    if earlier == 0 || earlier > size {
        return false;
    }
    let mut rest = proof.iter();
    // A complete tree is its own first node.
    let Some(first) = (if earlier.is_power_of_two() { Some(old) } else { rest.next() }) else { return false };
    let (mut place, mut last) = (earlier - 1, size - 1);
    let whole = place.trailing_ones();
    (place, last) = (place >> whole, last >> whole);
    let (mut was, mut is) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            (was, is) = (node(sibling, &was), node(sibling, &is));
            up_to_left_child(&mut place, &mut last);
        } else {
            is = node(&is, sibling);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && was == *old && is == *new
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::audit::tree::{leaf, tests::VECTORS};

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|number| leaf(&[number])).collect()
    }

    #[test]
    fn known_proofs_of_certificate_transparency() {
        let decode = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
        let leaves: Vec<_> = VECTORS.iter().map(|(entry, _)| leaf(&decode(entry))).collect();
        let proof = inclusion(&leaves, 0).unwrap();
        let expected = [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ];
        assert_eq!(proof.iter().map(|hash| HEXLOWER.encode(hash)).collect::<Vec<_>>(), expected);
        let proof = consistency(&leaves, 6).unwrap();
        let expected = [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        assert_eq!(proof.iter().map(|hash| HEXLOWER.encode(hash)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_leaf_of_each_tree_is_proven_and_nothing_else() {
        for size in 1..=33_u8 {
            let leaves = leaves(size);
            let root = root(&leaves);
            for index in 0..size {
                let (at, of) = (u64::from(index), u64::from(size));
                let leaf = leaves[usize::from(index)];
                let proof = inclusion(&leaves, index.into()).unwrap();
                assert!(verify_inclusion(leaf, at, of, &proof, &root));
                assert!(!verify_inclusion([7; 32], at, of, &proof, &root), "another leaf");
                assert!(!verify_inclusion(leaf, at, of, &proof, &[7; 32]), "another root");
                assert!(!verify_inclusion(leaf, of, of, &proof, &root), "beyond the end");
                assert!(size == 1 || !verify_inclusion(leaf, (at + 1) % of, of, &proof, &root), "elsewhere");
                assert!(proof.is_empty() || !verify_inclusion(leaf, at, of, &proof[1..], &root), "too short");
                let longer = [proof.clone(), vec![[0; 32]]].concat();
                assert!(!verify_inclusion(leaf, at, of, &longer, &root), "too long");
            }
            assert_eq!(inclusion(&leaves, size.into()), None);
        }
    }

    #[test]
    fn each_tree_is_proven_to_begin_each_later_one() {
        for size in 1..=33_u8 {
            let all = leaves(size);
            let new = root(&all);
            for earlier in 1..=size {
                let (from, to) = (u64::from(earlier), u64::from(size));
                let old = root(&all[..earlier.into()]);
                let proof = consistency(&all, earlier.into()).unwrap();
                assert!(verify_consistency(from, to, &old, &new, &proof));
                assert!(!verify_consistency(from, to, &[7; 32], &new, &proof), "another beginning");
                assert!(!verify_consistency(from, to, &old, &[7; 32], &proof), "another end");
                assert!(proof.is_empty() || !verify_consistency(from, to, &old, &new, &proof[1..]));
                let longer = [proof.clone(), vec![[0; 32]]].concat();
                assert!(!verify_consistency(from, to, &old, &new, &longer));
            }
            assert_eq!(consistency(&all, 0), None);
            assert_eq!(consistency(&all, usize::from(size) + 1), None);
        }
    }
}
