//! What is on the disk when something fails, at every moment that matters.

use std::{
    cell::{Cell, RefCell},
    path::Path,
};

use aegis_core::{
    crypto::Ring,
    hex::Hex,
    install::{InstallId, Role},
};
use aegis_hw::{
    Bytes, Error as DiskError,
    target::{ImageFile, Source as _, Target, Window},
    undo::Undo,
};
use aegis_installer::{
    Error,
    answers::Answers,
    apply::{self, Context, Step},
    config::Seed,
    error::DiskState,
    plan::{self, InstallPlan, TargetDisk},
    progress::Event,
    source::{Paths, Source},
};

use super::{
    fixture::{Fixture, GIB, MIB},
    read_at,
};

/// A disk that fails, lies or stops.
struct Faulty {
    disk: ImageFile,
    writes: Cell<usize>,
    /// Fails at this write and at all later ones.
    fail_at: usize,
    /// A byte of the disk that reads back inverted.
    rotten: Option<u64>,
    /// Places and lengths of all writes.
    log: RefCell<Vec<(u64, usize)>>,
}

impl Faulty {
    fn new(path: &Path, sector: u32) -> Self {
        let disk = ImageFile::open(path, sector).unwrap();
        Self { disk, writes: Cell::new(0), fail_at: usize::MAX, rotten: None, log: RefCell::default() }
    }
}

impl aegis_hw::target::Source for Faulty {
    fn path(&self) -> &Path {
        self.disk.path()
    }

    fn size(&self) -> Bytes {
        self.disk.size()
    }

    fn sector_size(&self) -> u32 {
        self.disk.sector_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.disk.read_at(offset, buffer)?;
        let place = self.rotten.and_then(|at| usize::try_from(at.checked_sub(offset)?).ok());
        if let Some(byte) = place.and_then(|at| buffer.get_mut(at)) {
            *byte ^= 0xff;
        }
        Ok(())
    }
}

impl Target for Faulty {
    fn write_at(&self, offset: u64, buffer: &[u8]) -> Result<(), DiskError> {
        let number = self.writes.replace(self.writes.get() + 1);
        self.log.borrow_mut().push((offset, buffer.len()));
        if number >= self.fail_at {
            let source = std::io::Error::from_raw_os_error(5);
            return Err(DiskError::Io { operation: "write", path: self.path().into(), source });
        }
        self.disk.write_at(offset, buffer)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.disk.sync()
    }

    fn forget_cache(&self) -> Result<(), DiskError> {
        self.disk.forget_cache()
    }

    fn reread_table(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn window(&self, offset: u64, size: Bytes) -> Result<Window, DiskError> {
        self.disk.window(offset, size)
    }
}

fn source(fixture: &Fixture) -> Source {
    let paths = Paths {
        medium: fixture.path("medium"),
        state: fixture.path("state"),
        image_root: fixture.path("image"),
    };
    Source::read(paths).unwrap()
}

fn plan_for(fixture: &Fixture, source: &Source, disk: &Path, sector: u32) -> InstallPlan {
    let answers = Answers::read(&fixture.answers(&[])).unwrap();
    let seed = Seed { install: InstallId(Hex([0x11; 16])), machine_id: Hex([0x22; 16]), now: 1_760_000_000 };
    let target = TargetDisk::of_file(disk.into(), Bytes(8 * GIB), sector);
    plan::plan(source, &answers, target, &seed, Vec::new()).unwrap()
}

/// Applies and returns how it ended.
fn apply_to(
    fixture: &Fixture,
    plan: &InstallPlan,
    source: &Source,
    target: &Faulty,
    stop_in: Option<Step>,
) -> Result<(), Error> {
    let staging = fixture.path("staging");
    let mut observer = |event: Event| match event {
        Event::Start { step, .. } => Some(step) != stop_in,
        _ => true,
    };
    apply::apply_to(
        plan,
        Context { source, staging: &staging, undo: &fixture.path("undo") },
        target,
        &mut observer,
    )
}

/// Writes that remove what was there: both ends of the disk, the start of five partitions, two trailers.
const WIPES: usize = 9;

fn looks_installed(disk: &Path) -> bool {
    let sector = read_at(disk, 0, 512);
    sector[510..] == [0x55, 0xaa] || sector[450] != 0
}

#[test]
fn a_write_that_fails_at_any_moment_leaves_no_boot_sector() {
    let fixture = Fixture::new();
    let source = source(&fixture);
    let disk = fixture.disk("whole.img", 8 * GIB);
    let plan = plan_for(&fixture, &source, &disk, 512);
    let whole = Faulty::new(&disk, 512);
    apply_to(&fixture, &plan, &source, &whole, None).unwrap();
    let count = whole.writes.get();
    assert_eq!(whole.log.borrow().last(), Some(&(0, 512)), "the boot sector is written last");
    assert!(looks_installed(&disk));

    // Every write of the beginning and of the end, and some between.
    let moments = (0..12).chain((12..count - 12).step_by(count / 12)).chain(count - 12..count);
    for moment in moments {
        let disk = fixture.disk("disk.img", 8 * GIB);
        fixture.former_table(&disk);
        let target = Faulty { fail_at: moment, ..Faulty::new(&disk, 512) };
        let error = apply_to(&fixture, &plan, &source, &target, None).unwrap_err();
        let Error::Step { disk: state, undo, .. } = &error else { panic!("{error}") };
        assert_eq!(undo.is_some(), *state == DiskState::Restorable);
        let expected = if moment < WIPES { DiskState::Restorable } else { DiskState::NotInstalled };
        assert_eq!(*state, expected);
        // The very first write is the one that removes the old table.
        assert_eq!(looks_installed(&disk), moment == 0, "write {moment} of {count}: {error}");
    }
}

#[test]
fn what_does_not_read_back_is_found_before_there_is_a_table() {
    let fixture = Fixture::new();
    let source = source(&fixture);
    for (role, within, message) in [
        (Role::RootA, 3_000_000, "the system image reads back differently"),
        (Role::Esp, 12 << 20, "reads back differently"),
        (Role::BiosBoot, 0x64u64.wrapping_sub(MIB), "the boot sector of "),
        (Role::BiosBoot, 1024u64.wrapping_sub(MIB), "the partition entries of "),
        (Role::BiosBoot, 700, "the GRUB core image of "),
        (Role::RootA, (1536 << 20) - 65_000, "the slot trailer of "),
    ] {
        let disk = fixture.disk("disk.img", 8 * GIB);
        let plan = plan_for(&fixture, &source, &disk, 512);
        let rotten = Some(plan.partitions.place(role).0.wrapping_add(within));
        let target = Faulty { rotten, ..Faulty::new(&disk, 512) };
        let error = apply_to(&fixture, &plan, &source, &target, None).unwrap_err();
        let text = aegis_core::report::render(&error);
        assert!(text.contains(message) && text.contains("reads back differently"), "{text}");
        assert!(!looks_installed(&disk));
    }
}

#[test]
fn stopping_is_possible_in_every_step() {
    let fixture = Fixture::new();
    let source = source(&fixture);
    for step in Step::ALL {
        let disk = fixture.disk("disk.img", 8 * GIB);
        fixture.former_table(&disk);
        let ends = || (read_at(&disk, 0, 1 << 20), read_at(&disk, 8 * GIB - MIB, 1 << 20));
        let before = ends();
        let plan = plan_for(&fixture, &source, &disk, 512);
        let error = apply_to(&fixture, &plan, &source, &Faulty::new(&disk, 512), Some(step)).unwrap_err();
        let Error::Step { disk: state, step: stopped, source: cause, .. } = &error else { panic!("{error}") };
        assert_eq!(*stopped, step);
        assert!(matches!(**cause, Error::Cancelled));
        assert_eq!(*state == DiskState::Untouched, looks_installed(&disk), "{step}");
        assert_eq!(*state == DiskState::Restorable, step == Step::Image, "{step}");
        if *state == DiskState::Restorable {
            let target = ImageFile::open(&disk, 512).unwrap();
            let undo = Undo::load::<Ring>(&fixture.path("undo")).unwrap();
            undo.restore(&target).unwrap().apply(&target).unwrap();
            assert!(ends() == before, "byte for byte as it was");
        } else if step > Step::Image {
            assert!(!fixture.path("undo").exists(), "{step}: what it holds would be a lie");
        }
        assert_eq!(
            std::fs::read_dir(fixture.path("staging")).unwrap().count(),
            0,
            "temporary files are gone"
        );
    }
}

#[test]
fn sectors_of_4096_bytes() {
    let fixture = Fixture::new();
    let source = source(&fixture);
    let disk = fixture.disk("disk.img", 8 * GIB);
    let plan = plan_for(&fixture, &source, &disk, 4096);
    assert!(
        !plan.bios_loader && plan.to_string().contains("a BIOS does not start disks with sectors of 4096")
    );
    apply_to(&fixture, &plan, &source, &Faulty::new(&disk, 4096), None).unwrap();
    assert_eq!(read_at(&disk, 4096, 8), b"EFI PART");
    assert_eq!(read_at(&disk, 8 * GIB - 4096, 8), b"EFI PART");
    let (esp, _) = plan.partitions.place(Role::Esp);
    super::check_fat(&fixture, &disk, esp);
    let (data, _) = plan.partitions.place(Role::Data);
    super::check_ext4(&disk, data);
}

#[test]
fn the_same_plan_makes_the_same_boot_partition() {
    let fixture = Fixture::new();
    let source = source(&fixture);
    let read = |name: &str| {
        let disk = fixture.disk(name, 8 * GIB);
        let plan = plan_for(&fixture, &source, &disk, 512);
        apply_to(&fixture, &plan, &source, &Faulty::new(&disk, 512), None).unwrap();
        (read_at(&disk, 0, 1 << 20), read_at(&disk, plan.partitions.place(Role::Esp).0, 64 << 20))
    };
    assert!(read("one.img") == read("two.img"));
}
