//! The range manifest of an ISO; see [`aegis_core::ranges`].

use std::{fs::File, io::Read, ops::Range, path::Path};

use aegis_core::{
    crypto::Sha256,
    manifest::Manifest,
    ranges::{CHUNK, Ranges, Release},
};
use aegis_hw::{
    tables::{self, PartitionType},
    target::{Readable, Source},
};

use crate::{
    error::{Error, Result},
    isofs::Iso,
};

/// Makes the range manifest of an ISO whose medium has this manifest.
pub fn of_iso(path: &Path, medium: &Manifest) -> Result<Ranges> {
    let used = used(path)?;
    let mut file = File::open(path).map_err(Error::io("opening", path))?;
    let (mut whole, mut chunks, mut length) = (Sha256::new(), Vec::new(), 0);
    loop {
        let mut bytes = Vec::new();
        (&mut file).take(CHUNK).read_to_end(&mut bytes).map_err(Error::io("reading", path))?;
        if bytes.is_empty() {
            break;
        }
        whole.update(&bytes);
        let range = length..length + bytes.len() as u64;
        length = range.end;
        chunks.push((!is_hole(&range, &bytes, &used)).then(|| Sha256::of(&bytes)));
    }
    let Manifest { edition, version, channel, id, epoch, .. } = *medium;
    let release = Some(Release { edition, version, channel, medium: id });
    let format = Ranges::FORMAT;
    Ok(Ranges { format, release, epoch, length, chunk: CHUNK, sha256: whole.finish(), chunks })
}

/// Whether a chunk is zero and nothing that anybody reads has a byte in it.
fn is_hole(chunk: &Range<u64>, bytes: &[u8], used: &[Range<u64>]) -> bool {
    let apart = |one: &Range<u64>| one.end <= chunk.start || chunk.end <= one.start;
    chunk.start > 0 && bytes.iter().all(|byte| *byte == 0) && used.iter().all(apart)
}

/// What the file system and the firmware read of an ISO.
fn used(path: &Path) -> Result<Vec<Range<u64>>> {
    let bad = |reason: String| Error::Iso { path: path.into(), reason };
    let iso = Iso::open(path)?;
    let extents = iso.files.values().flatten().chain(&iso.structures);
    let mut used: Vec<_> = extents.map(|extent| extent.offset..extent.offset + extent.size).collect();
    let disk = Readable::open(path, SECTOR).map_err(|error| bad(error.to_string()))?;
    let table = tables::read(&disk).map_err(|error| bad(error.to_string()))?.table;
    let table = table.ok_or_else(|| bad("it has no partition table".into()))?;
    // The other partitions are the file system's.
    let esp = table.partitions.iter().filter(|partition| partition.kind == PartitionType::ESP);
    let bytes = |lba: u64| lba * u64::from(SECTOR);
    used.extend(esp.map(|partition| bytes(partition.first.0)..bytes(partition.last.0 + 1)));
    // A GPT has its second copy at the end.
    used.push(disk.size().0.saturating_sub(1)..disk.size().0);
    Ok(used)
}

/// Bytes of a sector, as the hybrid table counts.
const SECTOR: u32 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_zero_and_read_by_nobody_is_a_hole() {
        let used = [3 * CHUNK - 1..3 * CHUNK + 1, 6 * CHUNK..7 * CHUNK];
        let zeros = vec![0; usize::try_from(CHUNK).unwrap()];
        let holes: Vec<u64> =
            (0..8).filter(|at| is_hole(&(at * CHUNK..(at + 1) * CHUNK), &zeros, &used)).collect();
        assert_eq!(holes, [1, 4, 5, 7]);
        let mut one = zeros.clone();
        one[zeros.len() - 1] = 1;
        assert!(!is_hole(&(CHUNK..2 * CHUNK), &one, &used));
    }
}
