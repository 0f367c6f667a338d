//! Master boot records and chains of extended ones.

use super::Disk;
use aegis_hw::{
    tables::{self, Scheme},
    units::SectorSize,
};

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let disk = Disk::new(bytes, &[], SectorSize::S512);
    disk.sign();
    let reading = tables::read(&disk).expect("the disk has sectors and reads");
    reading.findings.iter().for_each(|finding| assert!(!finding.to_string().is_empty()));
    if let Some(table) = reading.table.filter(|table| table.scheme == Scheme::Mbr) {
        assert!(!table.partitions.is_empty() && table.partitions.len() < 600);
        let mut numbers: Vec<u32> = table.partitions.iter().map(|partition| partition.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), table.partitions.len());
        assert!(tables::repair(&tables::read(&disk).expect("as before")).is_err());
    }
}
