//! The power goes at every write of a change, and within every write: whatever sectors of it were written.

use aegis_hw::{
    Bytes,
    tables::{
        self, Attributes, Change, DiskFacts, DiskId, PartitionType, Refusal, Size, TablePlan, Wanted,
        WantedTable,
    },
    units::SectorSize,
};
use uuid::Uuid;

use super::{disk::Disk, layouts::assert_same, linux, programs, random::Random};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 1 << 30;

/// A GPT with partitions of so many mebibytes.
pub(crate) fn gpt(disk: DiskFacts, random: &mut Random, sizes: &[u64]) -> TablePlan {
    let mut one = |mib: &u64| Wanted {
        kind: PartitionType::LINUX,
        guid: Some(random.guid()),
        size: Size::Exactly(Bytes(mib * MIB)),
        name: format!("p{mib}"),
        attributes: Attributes(0),
    };
    let partitions = sizes.iter().map(&mut one).collect();
    WantedTable { id: DiskId::Guid(random.guid()), partitions }.plan(disk).unwrap()
}

pub(crate) fn mbr(disk: DiskFacts, signature: u32, sizes: &[u64]) -> TablePlan {
    let one = |mib: &u64| Wanted {
        kind: PartitionType::Mbr(0x83),
        guid: None,
        size: Size::Exactly(Bytes(mib * MIB)),
        name: String::new(),
        attributes: Attributes(0),
    };
    WantedTable { id: DiskId::Signature(signature), partitions: sizes.iter().map(one).collect() }
        .plan(disk)
        .unwrap()
}

pub(crate) fn places(plan: &TablePlan) -> linux::Places {
    plan.partitions.iter().map(|placed| (placed.first.0, placed.last.0)).collect()
}

/// What our reader takes for the table: its identifier and the places of its partitions.
type Seen = Option<(DiskId, linux::Places)>;

fn seen(disk: &Disk) -> Seen {
    let table = disk.read().table?;
    Some((table.id, table.partitions.iter().map(|p| (p.first.0, p.last.0)).collect()))
}

/// One change of a disk.
struct Case {
    name: String,
    before: Disk,
    change: Change,
    new: TablePlan,
    /// Linux sees a table at every moment, without a parameter.
    seamless: bool,
}

impl Case {
    /// Whether every reader sees the old or the new table.
    fn judge(&self, disk: &Disk, moment: &str) {
        let (old, new) = (seen(&self.before), Some((self.new.id, places(&self.new))));
        let now = seen(disk);
        assert!(now == old || now == new, "{}: {moment}: {now:?}", self.name);
        for forced in [true, false] {
            let (old, new) = (linux::partitions(&self.before, forced), places(&self.new));
            let now = linux::partitions(disk, forced);
            let none = now.is_empty() && !forced && !self.seamless;
            assert!(now == old || now == new || none, "{}: {moment}, forced {forced}: {now:?}", self.name);
        }
    }

    /// Calls `look` with the disk at every moment that is tried.
    fn each_moment(&self, mut look: impl FnMut(&Disk, &str)) {
        let disk = self.before.clone();
        let mut random = Random(7);
        for (number, step) in self.change.steps.iter().enumerate() {
            let sectors = step.bytes.len() / usize::try_from(disk.sector).unwrap();
            for cut in 0..sectors {
                let torn = disk.clone();
                torn.tear(step, |sector| sector < cut);
                look(&torn, &format!("step {number} ({}), the first {cut} sectors", step.name));
                let torn = disk.clone();
                torn.tear(step, |sector| sector >= cut);
                look(&torn, &format!("step {number} ({}), all but the first {cut} sectors", step.name));
                let torn = disk.clone();
                let some = random.next();
                torn.tear(step, |sector| some >> (sector % 64) & 1 == 1);
                look(&torn, &format!("step {number} ({}), sectors {some:x}", step.name));
            }
            disk.tear(step, |_| true);
        }
        look(&disk, "the end");
    }
}

/// Something that must not change, between the table and the first partition.
const FORMER: [u8; 9] = *b"here once";

fn case(name: &str, before: Disk, new: TablePlan, seamless: bool) -> Case {
    before.write(700 * 512, &FORMER);
    let encoded = tables::encode(&new, None).unwrap();
    let change = Change::replace(&before, &before.read(), &new, encoded).unwrap();
    let sector = if before.sector == 512 { "" } else { ", large sectors" };
    Case { name: format!("{name}{sector}"), before, change, new, seamless }
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for sector in [SectorSize::S512, SectorSize::S4096] {
        let mut random = Random(5);
        let disk = DiskFacts::plain(Bytes(SIZE + 3 * 512), sector);
        let old = gpt(disk, &mut random, &[100, 200, 300]);
        let new = gpt(disk, &mut random, &[50, 60, 70, 80]);
        let empty = || Disk::new(disk.size.0, sector.into());
        let damaged = |lba: u64, byte: u64| {
            let disk = Disk::with(&old);
            disk.flip(lba * u64::from(disk.sector) + byte);
            disk
        };
        let last = disk.size.sectors(sector).0 - 1;
        let grown = |plan: &TablePlan| Disk::with(plan).resized(SIZE + 100 * MIB);
        let larger = DiskFacts { size: Bytes(SIZE + 100 * MIB), ..disk };
        all.extend([
            case("GPT to GPT", Disk::with(&old), new.clone(), true),
            case(
                "GPT to the same partitions",
                Disk::with(&old),
                TablePlan { id: new.id, ..old.clone() },
                true,
            ),
            case("GPT without a backup", damaged(last, 40), new.clone(), true),
            case("GPT with a damaged primary header", damaged(1, 40), new.clone(), false),
            case("GPT with damaged primary entries", damaged(2, 40), new.clone(), false),
            case("GPT without partitions", Disk::with(&gpt(disk, &mut random, &[])), new.clone(), true),
            case("GPT on a disk that grew", grown(&old), gpt(larger, &mut random, &[9, 8]), true),
            case("nothing to GPT", empty(), new.clone(), true),
            case("MBR to GPT", Disk::with(&mbr(disk, 1, &[7, 70])), new.clone(), true),
            case("MBR to MBR", Disk::with(&mbr(disk, 1, &[7, 70])), mbr(disk, 2, &[5, 4, 3, 2]), true),
            case("GPT to MBR", Disk::with(&old), mbr(disk, 3, &[11, 12]), true),
            case("nothing to MBR", empty(), mbr(disk, 3, &[11, 12]), true),
            case("MBR over a former GPT to GPT", over(&old, &mbr(disk, 4, &[20])), new, true),
        ]);
    }
    all
}

fn over(former: &TablePlan, now: &TablePlan) -> Disk {
    let disk = Disk::with(former);
    disk.put(&tables::encode(now, None).unwrap());
    disk
}

#[test]
fn a_cut_leaves_the_old_table_or_the_new_one() {
    for case in cases() {
        let mut moments = 0;
        case.each_moment(|disk, moment| {
            case.judge(disk, moment);
            moments += 1;
        });
        println!("{}: {moments} moments, {} steps", case.name, case.change.steps.len());
        let disk = case.before.clone();
        case.change.apply(&disk).unwrap();
        assert_same(&case.new, &disk.read());
        assert_eq!(disk.bytes(700 * 512, FORMER.len()), FORMER, "{}", case.name);
    }
}

/// The model of the other programs is the programs: at the end of each step, and in the middle of it.
#[test]
fn other_programs_see_the_old_table_or_the_new_one_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk.img");
    let mut looked = 0;
    for case in cases() {
        let disk = case.before.clone();
        let old = seen(&case.before).map(|(_, places)| places).unwrap_or_default();
        let new = places(&case.new);
        let mut look = |disk: &Disk, moment: &str| {
            disk.save(&path);
            let found = programs::fdisk(&path, disk.sector);
            assert!(found == old || found == new, "{}, {moment}: {found:?}", case.name);
            looked += 1;
        };
        for step in &case.change.steps {
            disk.tear(step, |sector| sector % 3 == 1);
            look(&disk, step.name);
            disk.tear(step, |_| true);
            look(&disk, step.name);
        }
    }
    assert!(looked > 200, "{looked}");
}

#[test]
fn without_room_before_the_first_partition_the_backup_rules_for_a_moment() {
    let mut random = Random(6);
    let disk = DiskFacts::plain(Bytes(SIZE), SectorSize::S512);
    let new = gpt(disk, &mut random, &[50, 60]);
    // Its first partition is where the specification allows the first.
    let mut old = gpt(disk, &mut random, &[100, 200]);
    old.partitions[0].first = aegis_hw::units::Lba(34);
    let case = case("no room", Disk::with(&old), new, false);
    case.each_moment(|disk, moment| case.judge(disk, moment));
    assert_eq!(case.change.steps.len(), 5);
}

#[test]
fn what_cannot_be_replaced_is_refused() {
    let mut random = Random(8);
    let disk = DiskFacts::plain(Bytes(SIZE), SectorSize::S512);
    let plan = gpt(disk, &mut random, &[100]);
    let refusal = |before: &Disk, plan: &TablePlan| {
        let encoded = tables::encode(plan, None).unwrap();
        match Change::replace(before, &before.read(), plan, encoded) {
            Err(aegis_hw::Error::Refused { reason, path }) => {
                assert_eq!(path.to_str(), Some("/dev/test"));
                reason
            }
            other => panic!("{other:?}"),
        }
    };
    let hybrid = Disk::with(&plan);
    // A second entry, of type 0x83.
    hybrid.write(462, &[0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    assert_eq!(refusal(&hybrid, &plan), Refusal::Hybrid);
    let other = gpt(DiskFacts { size: Bytes(SIZE * 2), ..disk }, &mut random, &[100]);
    assert_eq!(refusal(&Disk::with(&plan), &other), Refusal::OtherDisk);
    assert_ne!(plan.id, DiskId::Guid(Uuid::nil()));
}
