//! Partition tables of foreign disks: reading, repairing, and undoing the repair.

use super::Disk;
use aegis_core::crypto::Ring;
use aegis_hw::{
    tables,
    target::Source,
    undo::{DiskMark, Undo, Written},
    units::SectorSize,
};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Some((flags, rest)) = bytes.split_first() else { return };
    let sector = if flags & 1 == 0 { SectorSize::S512 } else { SectorSize::S4096 };
    // What is at the start and what is at the end; between them are zeros.
    let (start, end) = rest.split_at(rest.len() / 2);
    let mut disk = Disk::new(start, end, sector);
    if flags & 2 != 0 {
        disk.correct_checksums();
    }
    let reading = tables::read(&disk).expect("the disk has sectors and reads");
    reading.findings.iter().for_each(|finding| assert!(!finding.to_string().is_empty()));
    if let Some(table) = &reading.table {
        assert!(!table.to_string().is_empty());
    }
    let repair = match tables::repair(&reading) {
        Ok(repair) => repair,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    let mark = DiskMark {
        token: "S".into(),
        description: "D".into(),
        size: Source::size(&disk),
        sector_size: sector,
    };
    let undo = Undo::collect(&disk, &reading, mark, Written::by(&repair.change)).expect("it reads");
    let before = disk.content();
    repair.change.apply(&disk).expect("it writes");
    let after = tables::read(&disk).expect("it reads");
    let (old, new) = (reading.table.expect("it was repaired"), after.table.as_ref().expect("it is there"));
    assert_eq!((old.id, &old.partitions), (new.id, &new.partitions), "a repair changes no partition");
    let again = tables::repair(&after).expect("what was repaired is whole");
    assert!(again.actions.is_empty(), "{again}");
    undo.restore(&disk).expect("nothing else wrote").apply(&disk).expect("it writes");
    assert!(disk.content() == before, "byte for byte as it was");
    let _ = Undo::parse::<Ring>(bytes);
}
