//! FAT with 12, 16 and 32 bits (Microsoft's "FAT: General Overview of On-Disk Format", version 1.03).
//!
//! There is no magic number that all have: a boot sector is FAT when all its numbers fit together.

use super::{
    Found, Kind, Probe, Source,
    read::{ReadError, Reader, array, is_at, le16, le32},
    text::{Label, Uuid, version},
};

/// Clusters from which on the entries have 16 and 32 bits, and the most that 32 bits can name.
const CLUSTERS_16: u32 = 0xff4;
const CLUSTERS_32: u32 = 0xfff4;
const CLUSTERS_MOST: u32 = 0x0fff_fff6;
/// Bytes of a directory entry.
const ENTRY: usize = 32;
/// Bytes of the root directory that are searched for the label. It is usually the first entry.
const SEARCHED: u64 = 16 * 1024;
/// Bytes that are read at a time; a cluster is never smaller.
const PIECE: usize = 512;

/// What the boot sector says of the places.
struct Layout {
    /// Bytes of a cluster.
    cluster: u64,
    /// First byte of the table.
    table: u64,
    /// First byte of the root directory, or with 32 bits of the first cluster.
    data: u64,
    root: Root,
}

/// Where the root directory is.
enum Root {
    /// Before the clusters, with this many bytes.
    Fixed(u64),
    /// A chain that begins with this cluster, of so many that the table can name.
    Chain { first: u32, clusters: u32, information: u64 },
}

pub(super) fn probe<S: Source>(reader: &mut Reader<'_, S>, head: &[u8]) -> Found<S> {
    let Some((found, layout)) = parse(head) else { return Ok(None) };
    let label = match layout.root {
        Root::Fixed(length) => {
            let search = search(reader, layout.data, length.min(SEARCHED))?;
            if let Search::Label(name) = search { Some(name) } else { None }
        }
        Root::Chain { information, .. } if !has_information(reader, information)? => return Ok(None),
        Root::Chain { first, clusters, .. } => follow(reader, &layout, first, clusters)?,
    };
    let label = label.and_then(|name| Label::from_bytes(&name));
    Ok(Some(Probe { label, ..found }))
}

fn parse(head: &[u8]) -> Option<(Probe, Layout)> {
    let byte = |at: usize| head.get(at).copied();
    let (sector, cluster, reserved, tables) = (le16(head, 11)?, byte(13)?, le16(head, 14)?, byte(16)?);
    let is_sound = is_at(head, 510, b"\x55\xaa")
        && (512..=4096).contains(&sector)
        && sector.is_power_of_two()
        && cluster.is_power_of_two()
        && reserved > 0
        && tables > 0
        && matches!(byte(21)?, 0xf0 | 0xf8..)
        // OS/2 put such a boot sector before file systems of its own.
        && !is_at(head, 54, b"JFS     ")
        && !is_at(head, 54, b"HPFS    ");
    if !is_sound {
        return None;
    }
    let (short, long) = (u32::from(le16(head, 22)?), le32(head, 36)?);
    let is_32 = short == 0;
    let table = if is_32 { long } else { short };
    let sectors = Some(u32::from(le16(head, 19)?)).filter(|sectors| *sectors > 0).or(le32(head, 32))?;
    let root = u32::from(le16(head, 17)?) * 32;
    let before = u32::from(reserved).checked_add(table.checked_mul(tables.into())?)?;
    let data = sectors.checked_sub(before.checked_add(root.div_ceil(sector.into()))?)?;
    let clusters = data / u32::from(cluster);
    let name = match clusters {
        _ if is_32 => "FAT32",
        ..CLUSTERS_16 => "FAT12",
        _ => "FAT16",
    };
    if table == 0 || clusters > if is_32 { CLUSTERS_MOST } else { CLUSTERS_32 } {
        return None;
    }
    let (mark, serial) = if is_32 { (66, 67) } else { (38, 39) };
    let has_serial = is_32 || matches!(byte(mark)?, 0x28 | 0x29);
    let found = Probe {
        uuid: has_serial.then(|| Uuid::from_serial(array(head, serial)?)).flatten(),
        version: version(format_args!("{name}")),
        size: u64::from(sectors).checked_mul(sector.into()),
        block_size: Some(sector.into()),
        ..Probe::new(Kind::Fat)
    };
    let sector = u64::from(sector);
    let layout = Layout {
        cluster: u64::from(cluster) * sector,
        table: u64::from(reserved) * sector,
        data: u64::from(before) * sector,
        root: if is_32 {
            Root::Chain {
                first: le32(head, 44)?,
                clusters: clusters.saturating_add(2),
                information: u64::from(le16(head, 48)?) * sector,
            }
        } else {
            Root::Fixed(root.into())
        },
    };
    Some((found, layout))
}

/// Whether the sector with the free clusters, if there is one, is what it should be. Some leave it empty.
fn has_information<S: Source>(
    reader: &mut Reader<'_, S>,
    position: u64,
) -> Result<bool, ReadError<S::Error>> {
    if position == 0 {
        return Ok(true);
    }
    let block = reader.array::<512>(position)?;
    Ok(block.is_some_and(|block| {
        let first = [b"RRaA", b"RRdA", &[0; 4]].iter().any(|mark| is_at(&block, 0, *mark));
        first && [b"rrAa", &[0; 4]].iter().any(|mark| is_at(&block, 484, *mark))
    }))
}

/// Searches the chain of clusters of the root directory.
fn follow<S: Source>(
    reader: &mut Reader<'_, S>,
    layout: &Layout,
    first: u32,
    clusters: u32,
) -> Result<Option<[u8; 11]>, ReadError<S::Error>> {
    let mut left = SEARCHED;
    let mut cluster = first;
    while (2..clusters).contains(&cluster) && left > 0 {
        let length = layout.cluster.min(left);
        // Both numbers fit into 32 bits, and a cluster into 20.
        let position = layout.data + u64::from(cluster - 2) * layout.cluster;
        match search(reader, position, length)? {
            Search::Label(name) => return Ok(Some(name)),
            Search::End => return Ok(None),
            Search::GoOn => {}
        }
        left -= length;
        let Some(next) = reader.array(layout.table + u64::from(cluster) * 4)? else { return Ok(None) };
        cluster = u32::from_le_bytes(next) & 0x0fff_ffff;
    }
    Ok(None)
}

/// What a part of the root directory tells.
enum Search {
    Label([u8; 11]),
    /// No entry follows, here or elsewhere.
    End,
    GoOn,
}

fn search<S: Source>(
    reader: &mut Reader<'_, S>,
    position: u64,
    length: u64,
) -> Result<Search, ReadError<S::Error>> {
    for start in (0..length).step_by(PIECE) {
        let Some(piece) = reader.array::<PIECE>(position.saturating_add(start))? else {
            return Ok(Search::End);
        };
        let room = usize::try_from(length - start).unwrap_or(PIECE).min(PIECE);
        for entry in piece.get(..room).unwrap_or_default().as_chunks::<ENTRY>().0 {
            if entry[0] == 0 {
                return Ok(Search::End);
            }
            if let Some(name) = volume_name(entry) {
                return Ok(Search::Label(name));
            }
        }
    }
    Ok(Search::GoOn)
}

/// The name in an entry that is the volume's: neither free, nor a part of a long name, nor of a file with content.
fn volume_name(entry: &[u8; ENTRY]) -> Option<[u8; 11]> {
    const FREE: u8 = 0xe5;
    const LONG_NAME: u8 = 0x0f;
    const VOLUME: u8 = 0x08;
    const DIRECTORY: u8 = 0x10;

    let attributes = entry[11];
    let is_volume = entry[0] != FREE
        && attributes & 0x3f != LONG_NAME
        && attributes & (VOLUME | DIRECTORY) == VOLUME
        && (le16(entry, 20)?, le16(entry, 26)?) == (0, 0);
    let mut name = *entry.first_chunk::<11>()?;
    if name[0] == 0x05 {
        // The Japanese character that looks like a free entry.
        name[0] = FREE;
    }
    is_volume.then_some(name)
}
