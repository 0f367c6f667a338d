//! Images of whole disks that lie at the start of a larger disk, such as a hybrid ISO on a stick.

use super::{
    Finding, Reading,
    half::{Half, Places},
    record::{PROTECTIVE, RECORD},
};
use crate::{
    error::Error,
    target::Source,
    units::{Bytes, Lba, SectorSize},
};

/// Images that start machines are made for sectors of this size.
const SECTOR: SectorSize = SectorSize::S512;
/// Where an image has the first of its entries.
const ENTRIES: Lba = Lba(2);

/// The first bytes of an image of `length` bytes as they were before the table was changed for the disk, rebuilt from the
/// backup table, which is still in the image's last sector. Empty, where they are as they were.
///
/// # Errors
/// [`Error::Io`] with a reason, where the image has no backup of its own there, and where the disk cannot be read.
pub fn first_bytes<S: Source + ?Sized>(source: &S, length: Bytes) -> Result<Vec<u8>, Error> {
    let end = Lba(length.sectors(SECTOR).0.saturating_sub(1));
    let primary = Half::read(source, Lba(1), SECTOR);
    if primary.is_ok_and(|primary| primary.header.other() == end) {
        return Ok(Vec::new());
    }
    let backup = Half::read(source, end, SECTOR).ok().filter(|backup| backup.header.other() == Lba(1));
    let backup = backup.ok_or_else(|| {
        let text = "its partition table was changed, and the image's own copy of it is gone";
        let source_error = std::io::Error::new(std::io::ErrorKind::InvalidData, text);
        Error::Io { operation: "use as an image", path: source.path().into(), source: source_error }
    })?;
    let usable = backup.header.usable();
    let header = backup.header.moved(Places { own: Lba(1), other: end, entries: ENTRIES, usable });
    let mut start = vec![0; RECORD];
    source.read_at(0, &mut start)?;
    set_protective_length(&mut start, end);
    start.extend(header);
    start.extend(backup.entries);
    Ok(start)
}

/// The boot record of a disk with its protective entry for a disk that ends with `end`; everything else stays, such as the
/// code that starts a machine. `None` where the disk has no protective entry alone.
pub fn protective_for(reading: &Reading, end: Lba) -> Option<Vec<u8>> {
    if reading.has(|finding| matches!(finding, Finding::Hybrid | Finding::ProtectiveMissing)) {
        return None;
    }
    let mut record = reading.parts.record.clone();
    set_protective_length(&mut record, end);
    Some(record)
}

/// The entries of a boot record: UEFI 2.10, table 5.1.
fn set_protective_length(record: &mut [u8], end: Lba) {
    let sectors = u32::try_from(end.0).unwrap_or(u32::MAX);
    for entry in record[446..510].chunks_exact_mut(16).filter(|entry| entry[4] == PROTECTIVE) {
        entry[12..].copy_from_slice(&sectors.to_le_bytes());
    }
}
