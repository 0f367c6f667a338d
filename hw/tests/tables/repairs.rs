//! Repairs: shown before they are done, safe at every moment, and confirmed by sgdisk.

use std::process::Command;

use aegis_hw::{
    Bytes,
    tables::{self, Action, Copy, DiskFacts, Finding, Refusal, Repair, TablePlan},
    units::{Lba, SectorSize},
};

use super::{
    cuts::{gpt, mbr, places},
    damage::forge,
    disk::Disk,
    layouts::assert_same,
    linux,
    programs::output,
    random::Random,
};

const SIZE: u64 = 1 << 30;

fn plan(sector: SectorSize) -> TablePlan {
    gpt(DiskFacts::plain(Bytes(SIZE), sector), &mut Random(21), &[10, 20, 30])
}

/// Repairs, and demands at every moment of it the partitions that were there before.
fn repaired(disk: &Disk, actions: &[Action]) -> (Disk, Repair) {
    let repair = tables::repair(&disk.read()).unwrap();
    assert_eq!(repair.actions, actions, "{repair}");
    let wanted = disk.read().table.unwrap();
    let now = disk.clone();
    for step in &repair.change.steps {
        let sectors = step.bytes.len() / usize::try_from(disk.sector).unwrap();
        for cut in 0..=sectors {
            for before in [true, false] {
                let torn = now.clone();
                torn.tear(step, |sector| (sector < cut) == before);
                let table = torn.read().table.unwrap();
                assert_eq!((table.id, &table.partitions), (wanted.id, &wanted.partitions), "{}", step.name);
            }
        }
        step.write_to(&now).unwrap();
    }
    let again = tables::repair(&now.read()).unwrap();
    assert!(again.actions.is_empty() && again.change.steps.is_empty(), "{again}");
    (now, repair)
}

/// Writes it to a file and asks sgdisk.
fn verify(disk: &Disk) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    disk.save(&path);
    let verdict = output(Command::new("sgdisk").arg("--verify").arg(&path));
    assert!(verdict.contains("No problems found"), "{verdict}");
}

#[test]
fn one_copy_from_the_other() {
    for sector in [SectorSize::S512, SectorSize::S4096] {
        let plan = plan(sector);
        let bytes = sector.bytes().0;
        let last = SIZE / bytes - 1;
        let whole = Disk::with(&plan);
        for (copy, places) in [(Copy::Primary, [1, 2]), (Copy::Backup, [last, last - 1])] {
            for place in places {
                let disk = Disk::with(&plan);
                disk.flip(place * bytes + 17);
                if place == last - 1 {
                    // Of the entries, the first are at their start.
                    disk.flip(last * bytes - 16384);
                }
                let (disk, _) = repaired(&disk, &[Action::Restore { copy }]);
                assert!(disk.content() == whole.content(), "byte for byte as it was");
            }
        }
    }
    verify(&Disk::with(&plan(SectorSize::S512)));
}

#[test]
fn a_wiped_start_comes_back_from_the_end() {
    let plan = plan(SectorSize::S512);
    let whole = Disk::with(&plan);
    let disk = Disk::with(&plan);
    disk.write(0, &vec![0; 1 << 20]);
    let (disk, repair) = repaired(&disk, &[Action::Restore { copy: Copy::Primary }, Action::Protect]);
    assert!(disk.content() == whole.content());
    assert_same(&plan, &disk.read());
    assert_eq!(linux::partitions(&disk, false), places(&plan));
    let text = "\
restore the primary table from the backup
write the protective MBR
1. partition entries: 16.0 KiB at byte 1024
2. table header: 512 B at byte 512
3. boot sector: 512 B at byte 0";
    assert_eq!(repair.to_string(), text);
    verify(&disk);
}

#[test]
fn the_backup_follows_the_end_of_the_disk() {
    for sector in [SectorSize::S512, SectorSize::S4096] {
        let plan = plan(sector);
        let end = |size: u64| Lba(size / sector.bytes().0 - 1);
        for size in [SIZE * 2, SIZE / 2, SIZE + sector.bytes().0, SIZE - (1 << 20)] {
            let disk = Disk::with(&plan).resized(size);
            let moved = Action::MoveBackup { from: end(SIZE), to: end(size) };
            let (disk, _) = repaired(&disk, &[moved, Action::Protect]);
            assert_same(&plan, &disk.read());
            assert_eq!(disk.read().findings, []);
            assert_eq!(disk.read().table.unwrap().usable.1.0, end(size).0 - 1 - 16384 / sector.bytes().0);
            assert_eq!(linux::partitions(&disk, false), places(&plan));
            if size > SIZE {
                assert_ne!(disk.bytes(end(SIZE).offset(sector).unwrap(), 8), b"EFI PART", "no second backup");
            }
            if sector == SectorSize::S512 {
                verify(&disk);
            }
        }
    }
}

#[test]
fn the_protective_record_keeps_boot_code_and_signature() {
    let disk = Disk::with(&plan(SectorSize::S512));
    disk.write(0, &[0xaa; 446]);
    disk.write(446, &[0x80]);
    disk.write(458, &[7, 0, 0, 0]);
    let (disk, _) = repaired(&disk, &[Action::Protect]);
    assert_eq!(disk.bytes(0, 447), [[0xaa; 446].as_slice(), &[0x80]].concat());
    assert_eq!(disk.read().findings, []);
}

#[test]
fn what_needs_a_person_is_refused() {
    let sector = SectorSize::S512;
    let whole = || Disk::with(&plan(sector));
    let refusal = |disk: &Disk| tables::repair(&disk.read()).unwrap_err();
    assert_eq!(refusal(&Disk::new(SIZE, 512)), Refusal::NoTable);
    assert_eq!(refusal(&Disk::with(&mbr(plan(sector).disk, 1, &[5]))), Refusal::Mbr);
    let disk = whole();
    disk.write(462, &[0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    assert_eq!(refusal(&disk), Refusal::Hybrid);
    let disk = whole();
    disk.flip(512);
    disk.flip(SIZE - 512);
    assert!(matches!(refusal(&disk), Refusal::NoCopy { .. }));
    let other = Disk { sector: 4096, ..whole() };
    assert_eq!(refusal(&other), Refusal::OtherSectorSize { made_for: sector });
    // The second partition ends beyond the new end.
    let small = whole().resized(12 << 20);
    assert_eq!(refusal(&small), Refusal::InTheWay { number: 2 });
    // The second partition begins where the first one does, in the only copy that is whole.
    let disk = whole();
    disk.write(1024 + 128 + 32, &plan(sector).partitions[0].first.0.to_le_bytes());
    forge(&disk, 1, 88, &crc32fast::hash(&disk.bytes(1024, 16384)).to_le_bytes());
    assert!(disk.read().has(|finding| *finding == Finding::CopiesDiffer));
    assert!(matches!(refusal(&disk), Refusal::Partitions { .. }));
    for refusal in [refusal(&disk), Refusal::NoTable, Refusal::OtherDisk, Refusal::EntriesElsewhere] {
        assert!(!refusal.to_string().is_empty() && !refusal.hint().is_empty());
    }
}

#[test]
fn a_whole_table_needs_nothing() {
    let repair = tables::repair(&Disk::with(&plan(SectorSize::S512)).read()).unwrap();
    assert_eq!(repair.to_string(), "nothing to repair");
    assert!(repair.change.steps.is_empty());
}
