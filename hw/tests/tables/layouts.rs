//! What is planned is what is read.

use std::{fs::File, os::unix::fs::FileExt};

use aegis_hw::{
    Bytes, Error,
    tables::{self, DiskId, Level, Partition, Reading, Reason, TablePlan},
    target::Readable,
};

use super::{
    disk::Disk,
    linux, programs,
    random::{Random, Seed},
};

/// Demands that what was read is what was planned, and that nothing is wrong with it.
pub(crate) fn assert_same(plan: &TablePlan, reading: &Reading) {
    let table = reading.table.as_ref().unwrap_or_else(|| panic!("no table: {:?}", reading.findings));
    assert_eq!((table.id, table.scheme), (plan.id, plan.id.scheme()));
    let planned = (1..).zip(&plan.partitions).map(|(number, placed)| Partition {
        number,
        first: placed.first,
        last: placed.last,
        kind: placed.kind,
        guid: placed.guid,
        attributes: placed.attributes,
        name: placed.name.clone(),
    });
    assert_eq!(table.partitions, planned.collect::<Vec<_>>());
    let worst = reading.findings.iter().find(|finding| finding.level() > Level::Note);
    assert!(worst.is_none(), "{}", worst.unwrap());
}

#[test]
fn ten_thousand_random_layouts_are_read_as_they_were_planned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    let (mut random, mut done, mut on_file) = (Random(1), 0, 0);
    while done < 10_000 {
        let _seed = Seed(random.0);
        let Some(plan) = random.plan(63) else { continue };
        done += 1;
        let encoded = tables::encode(&plan, None).unwrap();
        let sector = plan.disk.sector_size.into();
        // No file system holds the largest disks.
        if plan.disk.size < Bytes(1 << 43) {
            on_file += 1;
            let file = File::create(&path).unwrap();
            file.set_len(plan.disk.size.0).unwrap();
            encoded
                .regions
                .iter()
                .for_each(|region| file.write_all_at(&region.bytes, region.offset).unwrap());
            assert_same(&plan, &tables::read(&Readable::open(&path, sector).unwrap()).unwrap());
            continue;
        }
        let disk = Disk::new(plan.disk.size.0, sector);
        disk.put(&encoded);
        assert_same(&plan, &disk.read());
        let places: Vec<_> = plan.partitions.iter().map(|placed| (placed.first.0, placed.last.0)).collect();
        assert_eq!(linux::partitions(&disk, false), places);
    }
    assert!(on_file > 3000 && on_file < 9000, "{on_file} of {done} were files");
}

#[test]
fn other_programs_read_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    let (mut random, mut done) = (Random(2), 0);
    while done < 60 {
        let _seed = Seed(random.0);
        let Some(plan) = random.plan(42) else { continue };
        done += 1;
        Disk::with(&plan).save(&path);
        programs::assert_same(&plan, &path);
    }
}

#[test]
fn a_layout_that_does_not_fit_has_a_reason() {
    // The smallest disk of every alignment, and one byte less.
    let mut random = Random(3);
    let mut done = 0;
    while done < 300 {
        let Some(plan) = random.plan(50).filter(|plan| matches!(plan.id, DiskId::Guid(_))) else { continue };
        done += 1;
        let exactly = |placed: &tables::Placed| tables::Wanted {
            kind: placed.kind,
            guid: placed.guid,
            size: tables::Size::Exactly(placed.sectors().bytes(plan.disk.sector_size).unwrap()),
            name: placed.name.clone(),
            attributes: placed.attributes,
        };
        let wanted =
            tables::WantedTable { id: plan.id, partitions: plan.partitions.iter().map(exactly).collect() };
        let facts = tables::DiskFacts { alignment_offset: Bytes(0), ..plan.disk };
        let size = wanted.minimum(facts.grain());
        assert!(wanted.plan(tables::DiskFacts { size, ..facts }).is_ok());
        let smaller = tables::DiskFacts { size: Bytes(size.0 - 1), ..facts };
        assert_eq!(wanted.plan(smaller), Err(Reason::TooSmall { size: Bytes(size.0 - 1), needed: size }));
    }
}

#[test]
fn every_read_may_fail() {
    let mut random = Random(4);
    let plan =
        std::iter::from_fn(|| Some(random.plan(40))).flatten().find(|p| p.partitions.len() > 3).unwrap();
    let disk = Disk::with(&plan);
    for reads in 0..8 {
        disk.fail_at.set(Some(reads));
        match tables::read(&disk) {
            Err(Error::Io { path, .. }) => assert_eq!((reads, path.to_str()), (0, Some("/dev/test"))),
            Err(error) => panic!("{error}"),
            Ok(reading) => assert!(reads > 0 && (reading.table.is_none() || reading.table.is_some())),
        }
    }
    disk.fail_at.set(None);
    assert_same(&plan, &disk.read());
}
