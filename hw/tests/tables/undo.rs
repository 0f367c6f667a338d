//! Undo files: byte for byte as it was, or a refusal.

use aegis_core::crypto::Ring;
use aegis_hw::{
    Bytes, Error,
    tables::{self, Change, DiskFacts, TablePlan},
    undo::{Content, DiskMark, Problem, Undo, Written},
    units::SectorSize,
};

use super::{cuts::gpt, disk::Disk, random::Random};

const SIZE: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn plan(seed: u64, sector: SectorSize) -> TablePlan {
    gpt(DiskFacts::plain(Bytes(SIZE), sector), &mut Random(seed), &[100, 200])
}

fn mark(sector_size: SectorSize) -> DiskMark {
    DiskMark { token: "S1".into(), description: "a disk".into(), size: Bytes(SIZE), sector_size }
}

/// As an installation removes what was there: whole mebibytes of zeros.
fn wipes() -> Vec<Written> {
    let places = [(0, MIB), (SIZE - MIB, MIB), (50 * MIB, MIB), (101 * MIB, 65536)];
    places.map(|(offset, length)| Written { offset, content: Content::Zeros(length) }).into()
}

fn used(sector: SectorSize) -> Disk {
    let disk = Disk::with(&plan(1, sector));
    disk.write(0, &[0xaa; 440]);
    for place in [MIB + 1080, 50 * MIB + 7, 101 * MIB + 1, 200 * MIB] {
        disk.write(place, b"of value");
    }
    disk
}

fn reason(result: Result<impl Sized, Error>) -> Problem {
    match result {
        Err(Error::Undo { reason, .. }) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[test]
fn everything_comes_back_whatever_part_was_written() {
    for sector in [SectorSize::S512, SectorSize::S4096] {
        let before = used(sector);
        let undo = Undo::collect(&before, &before.read(), mark(sector), wipes()).unwrap();
        let mut random = Random(9);
        for _ in 0..50 {
            let disk = before.clone();
            for written in wipes() {
                let Content::Zeros(length) = written.content else { unreachable!() };
                // Sectors of it by chance, as when the power goes.
                for sector_start in (0..length).step_by(sector.length()).filter(|_| random.below(3) > 0) {
                    disk.write(written.offset + sector_start, &vec![0; sector.length()]);
                }
            }
            undo.restore(&disk).unwrap().apply(&disk).unwrap();
            assert!(disk.content() == before.content());
        }
        assert_eq!(undo.restore(&before).unwrap(), Change { steps: Vec::new() });
    }
}

#[test]
fn a_repair_or_a_replacement_is_undone() {
    for sector in [SectorSize::S512, SectorSize::S4096] {
        let before = used(sector);
        let new = plan(2, sector);
        let encoded = tables::encode(&new, None).unwrap();
        let change = Change::replace(&before, &before.read(), &new, encoded).unwrap();
        let undo = Undo::collect(&before, &before.read(), mark(sector), Written::by(&change)).unwrap();
        for steps in 0..=change.steps.len() {
            let disk = before.clone();
            change.steps[..steps].iter().for_each(|step| disk.tear(step, |_| true));
            if let Some(step) = change.steps.get(steps) {
                disk.tear(step, |sector| sector % 2 == 0);
            }
            undo.restore(&disk).unwrap().apply(&disk).unwrap();
            assert!(disk.content() == before.content());
        }
    }
}

#[test]
fn the_first_sector_is_restored_last() {
    let before = used(SectorSize::S512);
    let undo = Undo::collect(&before, &before.read(), mark(SectorSize::S512), wipes()).unwrap();
    let disk = before.clone();
    wipes().iter().for_each(|written| disk.write(written.offset, &vec![0; 65536]));
    let change = undo.restore(&disk).unwrap();
    let last: Vec<_> = change.steps.iter().rev().take(3).map(|step| step.offset).collect();
    assert_eq!(last, [0, 512, 1024]);
}

#[test]
fn what_was_overwritten_since_is_named() {
    let before = used(SectorSize::S512);
    let undo = Undo::collect(&before, &before.read(), mark(SectorSize::S512), wipes()).unwrap();
    // In a place that was wiped, in the table, and in a partition's header.
    for place in [50 * MIB + 512, 512, 101 * MIB + 131_000, MIB] {
        let disk = before.clone();
        disk.write(0, &vec![0; 65536]);
        disk.write(place, b"new");
        let found = reason(undo.restore(&disk));
        assert_eq!(found, Problem::Overwritten { offset: place / 512 * 512, sectors: 1 });
        assert!(found.to_string().contains(&(place / 512 * 512).to_string()) && !found.hint().is_empty());
    }
    assert_eq!(reason(undo.restore(&before.resized(SIZE * 2))), Problem::OtherDisk);
    let other = Disk { sector: 4096, ..before };
    assert_eq!(reason(undo.restore(&other)), Problem::OtherDisk);
}

#[test]
fn files_read_back_and_every_damaged_byte_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sda.undo");
    let before = used(SectorSize::S512);
    let mut written = wipes();
    written.push(Written { offset: 3 * MIB, content: Content::Bytes(vec![7; 512]) });
    let undo = Undo::collect(&before, &before.read(), mark(SectorSize::S512), written.clone()).unwrap();
    undo.save::<Ring>(&path, true).unwrap();
    let loaded = Undo::load::<Ring>(&path).unwrap();
    assert_eq!(loaded, undo);
    assert!(
        loaded.is_for(&mark(SectorSize::S512), &written) && !loaded.is_for(&mark(SectorSize::S512), &wipes())
    );
    assert_eq!(reason(undo.save::<Ring>(&path, true)), Problem::Exists);
    undo.save::<Ring>(&path, false).unwrap();

    let whole = std::fs::read(&path).unwrap();
    let mut random = Random(10);
    for _ in 0..30 {
        let mut bytes = whole.clone();
        let at = usize::try_from(random.below(whole.len() as u64)).unwrap();
        bytes[at] ^= 1;
        assert!(Undo::parse::<Ring>(&bytes).is_err(), "byte {at}");
    }
    assert_eq!(Undo::parse::<Ring>(&whole[..whole.len() - 1]), Err(Problem::Damaged));
    assert_eq!(Undo::parse::<Ring>(b""), Err(Problem::NotUndo));
    assert_eq!(Undo::parse::<Ring>(b"{\"format\":\"other\",\"version\":1}\n"), Err(Problem::NotUndo));
    assert_eq!(Undo::parse::<Ring>(b"{\"format\":\"aegis-undo\",\"version\":2}\n"), Err(Problem::Version(2)));
}
