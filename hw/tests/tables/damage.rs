//! Damage of every kind is a finding, never an end.

use aegis_hw::{
    Bytes, Error,
    tables::{
        self, Attributes, Copy, CopyProblem, DiskFacts, DiskId, Finding, Level, PartitionType, Reading,
        Scheme, TablePlan,
    },
    units::{Lba, SectorSize},
};
use uuid::Uuid;

use super::{
    cuts::{gpt, mbr, places},
    disk::Disk,
    linux,
    random::Random,
};

const SIZE: u64 = 1 << 30;
const LAST: u64 = SIZE / 512 - 1;

fn plan() -> TablePlan {
    gpt(DiskFacts::plain(Bytes(SIZE), SectorSize::S512), &mut Random(11), &[10, 20, 30])
}

/// Changes a header's field and makes its checksum right again.
pub(crate) fn forge(disk: &Disk, lba: u64, field: u64, value: &[u8]) {
    let at = lba * u64::from(disk.sector);
    disk.write(at + field, value);
    disk.write(at + 16, &[0; 4]);
    let sum = crc32fast::hash(&disk.bytes(at, 92));
    disk.write(at + 16, &sum.to_le_bytes());
}

/// Changes an entry of both copies and makes all checksums right again.
fn forge_entry(disk: &Disk, number: u64, field: u64, value: &[u8]) {
    let sector = u64::from(disk.sector);
    let last = disk.size / sector - 1;
    for (header, entries) in [(1, 2 * sector), (last, last * sector - 16384)] {
        disk.write(entries + (number - 1) * 128 + field, value);
        let sum = crc32fast::hash(&disk.bytes(entries, 16384));
        forge(disk, header, 88, &sum.to_le_bytes());
    }
}

fn findings(change: impl FnOnce(&Disk)) -> Vec<Finding> {
    let disk = Disk::with(&plan());
    change(&disk);
    disk.read().findings
}

fn problem(reading: &Reading, wanted: Copy) -> Option<CopyProblem> {
    reading.findings.iter().find_map(|finding| match finding {
        Finding::CopyUnusable { copy, problem } if *copy == wanted => Some(*problem),
        _ => None,
    })
}

#[test]
fn every_problem_of_a_copy_is_named_and_the_other_one_rules() {
    let cases: [(u64, u64, &[u8], CopyProblem); 10] = [
        (0, 0, b"EFI PARX", CopyProblem::Missing),
        (0, 12, &91u32.to_le_bytes(), CopyProblem::HeaderSize { found: 91 }),
        (0, 12, &513u32.to_le_bytes(), CopyProblem::HeaderSize { found: 513 }),
        (0, 24, &7u64.to_le_bytes(), CopyProblem::Place { says: Lba(7) }),
        (0, 40, &u64::MAX.to_le_bytes(), CopyProblem::Range),
        (0, 84, &256u32.to_le_bytes(), CopyProblem::EntrySize { found: 256 }),
        (0, 80, &0u32.to_le_bytes(), CopyProblem::EntryCount { found: 0 }),
        (0, 80, &u32::MAX.to_le_bytes(), CopyProblem::EntryCount { found: u32::MAX }),
        (0, 72, &(u64::MAX - 1).to_le_bytes(), CopyProblem::EntriesOutside),
        (0, 72, &1u64.to_le_bytes(), CopyProblem::EntriesOutside),
    ];
    let plan = plan();
    for (copy, other, lba) in [(Copy::Primary, Copy::Backup, 1), (Copy::Backup, Copy::Primary, LAST)] {
        let disk = Disk::with(&plan);
        disk.flip(lba * 512 + 56);
        assert_eq!(problem(&disk.read(), copy), Some(CopyProblem::HeaderChecksum));
        for (_, field, value, expected) in cases {
            let disk = Disk::with(&plan);
            forge(&disk, lba, field, value);
            let reading = disk.read();
            assert_eq!(problem(&reading, copy), Some(expected));
            let table = reading.table.unwrap();
            assert_eq!(table.copy, other);
            assert_eq!(table.partitions.len(), 3);
            let text = reading.findings[0].to_string();
            assert!(text.contains(&copy.to_string()), "{text}");
        }
    }
    let disk = Disk::with(&plan);
    disk.flip(2 * 512 + 3);
    assert_eq!(problem(&disk.read(), Copy::Primary), Some(CopyProblem::EntriesChecksum));
}

#[test]
fn both_copies_gone_is_no_table() {
    let disk = Disk::with(&plan());
    disk.flip(513);
    disk.flip(LAST * 512 + 1);
    let reading = disk.read();
    assert_eq!(reading.table, None);
    assert_eq!(reading.findings.len(), 2);
    assert_eq!(reading.findings[0].level(), Level::Damage);
    let empty = Disk::new(SIZE, 512).read();
    assert_eq!((empty.table, empty.findings), (None, Vec::new()));
}

#[test]
fn a_disk_that_grew_or_shrank() {
    let plan = plan();
    let grown = Disk::with(&plan).resized(SIZE * 2).read();
    let end = Lba(SIZE * 2 / 512 - 1);
    assert!(grown.has(|f| *f == Finding::BackupNotAtEnd { at: Lba(LAST), end }), "{:?}", grown.findings);
    assert_eq!(grown.table.unwrap().partitions.len(), 3);

    let shrunk = Disk::with(&plan).resized(SIZE / 2).read();
    let end = Lba(SIZE / 2 / 512 - 1);
    assert!(shrunk.has(|f| *f == Finding::DiskTooSmall { table: Lba(LAST), end }), "{:?}", shrunk.findings);
    assert_eq!(problem(&shrunk, Copy::Backup), Some(CopyProblem::OutsideDisk));
    assert_eq!(shrunk.table.unwrap().partitions.len(), 3);

    // So small that partitions are lost, and so small that nothing is left.
    let lost = Disk::with(&plan).resized(40 << 20).read();
    assert!(lost.has(|f| matches!(f, Finding::OutOfRange { number: 3, .. })), "{:?}", lost.findings);
    for size in [512, 1024, 1536, 4096, 17_000] {
        let reading = Disk::with(&plan).resized(size).read();
        assert!(size < 1024 || !reading.findings.is_empty());
        assert_eq!(reading.table, None);
    }
}

#[test]
fn disks_without_sectors_and_of_strange_sectors() {
    for size in [0, 1, 511] {
        let error = tables::read(&Disk::new(size, 512)).unwrap_err();
        assert!(matches!(&error, Error::NoSectors(path) if path.to_str() == Some("/dev/test")));
    }
    for sector in [0, 1, 520, 2048, u32::MAX] {
        assert!(
            matches!(tables::read(&Disk::new(SIZE, sector)), Err(Error::SectorSize(found)) if found == sector)
        );
    }
}

#[test]
fn a_table_for_sectors_of_another_size() {
    for (made, found) in [(SectorSize::S512, 4096), (SectorSize::S4096, 512)] {
        let plan = gpt(DiskFacts::plain(Bytes(SIZE), made), &mut Random(12), &[10]);
        let disk = Disk { sector: found, ..Disk::with(&plan) };
        let reading = disk.read();
        assert_eq!(reading.table, None);
        assert_eq!(reading.findings, [Finding::OtherSectorSize { made_for: made }]);
    }
}

#[test]
fn the_protective_record() {
    assert_eq!(findings(|disk| disk.write(0, &[0; 512])), [Finding::ProtectiveMissing]);
    assert_eq!(findings(|disk| disk.write(446, &[0; 64])), [Finding::ProtectiveMissing]);
    assert_eq!(findings(|disk| disk.write(454, &[2])), [Finding::ProtectivePlace { first: Lba(2) }]);
    let short = Finding::ProtectiveLength { found: 7, expected: u32::try_from(LAST).unwrap() };
    assert_eq!(findings(|disk| disk.write(458, &[7, 0, 0, 0])), [short]);
    assert_eq!(findings(|disk| disk.write(458, &[0xff; 4])), [], "as Windows writes it");
    assert_eq!(findings(|disk| disk.write(466, &[0x83, 0, 0, 0, 1, 0, 0, 0, 1])), [Finding::Hybrid]);
    // An MBR of its own, with the GPT of former times behind it.
    let disk = Disk::with(&plan());
    disk.put(&tables::encode(&mbr(plan().disk, 5, &[3]), None).unwrap());
    let reading = disk.read();
    assert_eq!(reading.table.as_ref().unwrap().scheme, Scheme::Mbr);
    let stale = [Copy::Primary, Copy::Backup].map(|copy| Finding::StaleGpt { copy });
    assert_eq!(reading.findings, stale);
}

#[test]
fn partitions_that_contradict_each_other() {
    let entry = |number, field, value: u64| {
        findings(move |disk| forge_entry(disk, number, field, &value.to_le_bytes()))
    };
    let first = plan().partitions[0].first.0;
    let has =
        |found: &[Finding], wanted: Finding| assert!(found.contains(&wanted), "{wanted:?} in {found:?}");
    has(&entry(2, 40, 100), Finding::Reversed { number: 2 });
    has(&entry(1, 32, 5), Finding::OutOfRange { number: 1, limit: Lba(LAST - 33) });
    has(&entry(3, 40, u64::MAX), Finding::OutOfRange { number: 3, limit: Lba(LAST - 33) });
    has(&entry(3, 32, first), Finding::Overlap { number: 3, other: 1 });
    has(&entry(1, 40, LAST - 40), Finding::Overlap { number: 2, other: 1 });
    has(&entry(1, 32, first + 1), Finding::Misaligned { number: 1, by: Bytes(512) });
    let own = plan().partitions[0].guid.unwrap().to_bytes_le();
    has(&findings(|disk| forge_entry(disk, 3, 16, &own)), Finding::DuplicateGuid { number: 3, other: 1 });
    let DiskId::Guid(of_disk) = plan().id else { unreachable!() };
    let found = findings(|disk| forge_entry(disk, 3, 16, &of_disk.to_bytes_le()));
    has(&found, Finding::DuplicateGuid { number: 3, other: 0 });
    // Half of a pair of surrogates.
    has(
        &findings(|disk| forge_entry(disk, 1, 56, &[0x3e, 0xd8, 0x41, 0])),
        Finding::NameDamaged { number: 1 },
    );
    // Both copies are whole and differ, as after a repair by a program that forgot one.
    let sum = crc32fast::hash(&[0; 16384]);
    let found = findings(|disk| {
        disk.write((LAST - 32) * 512, &[0; 16384]);
        forge(disk, LAST, 88, &sum.to_le_bytes());
    });
    has(&found, Finding::CopiesDiffer);
}

/// A table with many entries, each of one sector, all in the same place.
fn crowded(count: u32) -> Disk {
    let disk = Disk::with(&plan());
    let at = 100u64;
    let mut entries = Vec::new();
    for number in 0..count {
        let mut entry = [0; 128];
        entry[..16].copy_from_slice(&Uuid::from_u128(7).to_bytes_le());
        entry[16..32].copy_from_slice(&Uuid::from_u128(number.into()).to_bytes_le());
        entry[32..40].copy_from_slice(&500_000u64.to_le_bytes());
        entry[40..48].copy_from_slice(&500_000u64.to_le_bytes());
        entries.extend(entry);
    }
    disk.write(at * 512, &entries);
    forge(&disk, 1, 72, &at.to_le_bytes());
    forge(&disk, 1, 80, &count.to_le_bytes());
    forge(&disk, 1, 88, &crc32fast::hash(&entries).to_le_bytes());
    disk
}

#[test]
fn ten_thousand_partitions() {
    let reading = crowded(10_000).read();
    assert_eq!(reading.table.as_ref().unwrap().partitions.len(), 10_000);
    // Of about 20,000 findings the first are kept, with the number of the others.
    assert!(reading.findings.len() < 100);
    assert!(
        reading.has(|finding| matches!(finding, Finding::More { count: 9_000.. })),
        "{:?}",
        reading.findings.last()
    );
    let over = crowded(1 << 15).read();
    assert_eq!(over.table.unwrap().partitions.len(), 1 << 15);
    assert_eq!(
        problem(&crowded((1 << 15) + 1).read(), Copy::Primary),
        Some(CopyProblem::EntryCount { found: (1 << 15) + 1 })
    );
}

/// An MBR with an extended partition over most of the disk, and a chain of records with one partition each.
fn chain(links: &[u32]) -> Disk {
    let disk = Disk::new(SIZE, 512);
    let entry = |kind: u8, first: u32, sectors: u32| {
        let mut entry = [0; 16];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..].copy_from_slice(&sectors.to_le_bytes());
        entry
    };
    disk.write(446, &entry(0x83, 2048, 2048));
    disk.write(462, &entry(0x0f, 4096, 1_000_000));
    disk.write(510, &[0x55, 0xaa]);
    let mut at = 0;
    for (number, link) in links.iter().enumerate() {
        let record = (4096 + u64::from(at)) * 512;
        disk.write(record + 446, &entry(0x83, 2048, 1000));
        if number + 1 < links.len() || *link != 0 {
            disk.write(record + 462, &entry(5, *link, 4096));
        }
        disk.write(record + 510, &[0x55, 0xaa]);
        at = *link;
    }
    disk
}

#[test]
fn logical_partitions() {
    let reading = chain(&[10_000, 50_000, 20_000, 0]).read();
    let table = reading.table.unwrap();
    let found: Vec<_> = table.partitions.iter().map(|p| (p.number, p.first.0)).collect();
    let at = 4096 + 2048;
    let expected = [(1, 2048), (2, 4096), (5, at), (6, at + 10_000), (7, at + 50_000), (8, at + 20_000)];
    assert_eq!(found, expected);
    assert_eq!(table.partitions[1].kind, PartitionType::Mbr(0x0f));
    assert!(reading.findings.iter().all(|f| f.level() == Level::Note), "{:?}", reading.findings);

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    chain(&[10_000, 50_000, 20_000, 0]).save(&path);
    let theirs = super::programs::fdisk(&path, 512);
    assert_eq!(theirs, table.partitions.iter().map(|p| (p.first.0, p.last.0)).collect::<Vec<_>>());
}

#[test]
fn chains_that_do_not_end() {
    for (links, wanted) in [
        (&[10_000, 20_000, 10_000][..], Finding::ChainEndless),
        (&[10_000, 90_000_000], Finding::ChainBroken { at: Lba(90_004_096) }),
        (&[10_000, u32::MAX], Finding::ChainBroken { at: Lba(u64::from(u32::MAX) + 4096) }),
        (&[10_000, 30_000], Finding::ChainBroken { at: Lba(34_096) }),
    ] {
        let reading = chain(links).read();
        assert!(reading.has(|finding| *finding == wanted), "{:?}", reading.findings);
    }
    // Longer than anyone has.
    let long: Vec<u32> = (1..400).map(|n| n * 2000).chain([0]).collect();
    let reading = chain(&long).read();
    assert!(reading.has(|finding| *finding == Finding::ChainEndless));
    assert!(reading.table.unwrap().partitions.len() < 300);
    // Two containers.
    let disk = chain(&[0]);
    disk.write(478, &disk.bytes(462, 16));
    assert!(disk.read().has(|finding| *finding == Finding::TwoExtended));
    // Sums beyond 32 bits.
    let disk = chain(&[0]);
    disk.write(4096 * 512 + 454, &[0xff; 8]);
    assert!(disk.read().has(|finding| matches!(finding, Finding::OutOfRange { number: 5, .. })));
}

#[test]
fn boot_sectors_of_file_systems_are_no_tables() {
    let disk = Disk::new(SIZE, 512);
    disk.write(0, &[0x20; 512]);
    disk.write(510, &[0x55, 0xaa]);
    assert_eq!(disk.read().table, None);
}

/// Any bytes in any place: no end, no memory, and never another table than Linux sees.
#[test]
fn random_damage() {
    let plan = plan();
    let whole = Disk::with(&plan);
    let mut random = Random(13);
    for _ in 0..3000 {
        let disk = whole.clone();
        for _ in 0..=random.below(3) {
            let sector = [0, 1, 2, LAST - 32, LAST][usize::try_from(random.below(5)).unwrap()];
            let byte = if sector == 0 { 446 + random.below(66) } else { random.below(160) };
            let value = random.next().to_le_bytes();
            let length = usize::try_from(1 + random.below(8)).unwrap();
            match random.below(2) {
                0 if sector == 1 || sector == LAST => forge(&disk, sector, byte.min(84), &value[..length]),
                _ => disk
                    .write(sector * 512 + byte, &value[..length.min(usize::try_from(512 - byte).unwrap())]),
            }
        }
        let reading = disk.read();
        let theirs = linux::partitions(&disk, false);
        // Here it is known to see something else.
        let apart = reading.has(|f| matches!(f, Finding::ProtectivePlace { .. } | Finding::Hybrid));
        if let Some(table) =
            reading.table.filter(|table| table.scheme == Scheme::Gpt && table.copy == Copy::Primary)
            && !theirs.is_empty()
            && !apart
        {
            assert_eq!(theirs, places(&plan));
            assert!(table.partitions.iter().all(|p| p.attributes == Attributes(0)));
        }
        reading.findings.iter().for_each(|finding| assert!(!finding.to_string().is_empty()));
    }
}
