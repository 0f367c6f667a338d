//! Everything that goes wrong with sticks, in one live system: what each ends as is one of three things, and is said.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use aegis_tests::{
    Error, Failure, TestResult, disk,
    qmp::Qmp,
    vm::{Bus, Drive, Machine, Vm},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    guest::{self, CONTROLLER, Guest, IMAGES, Stick},
    moments, run,
};
use crate::live::{self, Medium};

const MIB: u64 = 1 << 20;
/// Bytes of the image; its last part is not a whole mebibyte.
const IMAGE: u64 = 16 * MIB + 5 * 512;
/// Bytes of a stick, a power of two because one of them is an SD card.
pub(super) const STICK: u64 = 64 * MIB;
/// Bytes a second of a stick whose phases are to be met.
const SLOW: u64 = 8 * MIB;

/// What happens to a stick.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Nothing.
    None,
    /// It is pulled when a phase begins.
    Pulled(&'static str),
    /// It is pulled when all healthy ones are complete.
    PulledLast,
    /// A byte on it changes when a phase begins.
    Changed(&'static str, u64),
    /// It fails at a sector: `read` or `write`, once or always.
    Fails { how: &'static str, at: u64, once: bool },
    /// It does not write out what it holds in memory.
    NeverFlushes,
}

/// What a stick must end as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    /// Its error has this text.
    NotBootable(&'static str),
    /// As it was before, which the error says.
    Untouched(&'static str),
}

struct Case {
    serial: &'static str,
    limit: Option<(u64, u64)>,
    fault: Fault,
    end: End,
}

const fn case(serial: &'static str, fault: Fault, end: End) -> Case {
    let limit = match fault {
        Fault::Pulled(_) | Fault::Changed(..) => Some((SLOW, SLOW)),
        Fault::PulledLast => Some((MIB / 2, MIB / 2)),
        _ => None,
    };
    Case { serial, limit, fault, end }
}

/// What a stick that is gone is reported with: ENODEV, not the end or the full device that the kernel speaks of.
const GONE: &str = "(os error 19)";

/// One stick pulled in each phase, and two that nothing happens to.
const PULLED: [Case; 7] = [
    case("PULL-CHECK", Fault::Pulled("check"), End::NotBootable(GONE)),
    case("PULL-WRITE", Fault::Pulled("write"), End::NotBootable(GONE)),
    case("PULL-FLUSH", Fault::Pulled("flush"), End::NotBootable(GONE)),
    case("PULL-VERIFY", Fault::Pulled("verify"), End::NotBootable(GONE)),
    case("PULL-FINISH", Fault::Pulled("finish"), End::NotBootable(GONE)),
    case("HEALTHY-A", Fault::None, End::Complete),
    case("HEALTHY-B", Fault::None, End::Complete),
];

/// Errors of every kind, a very slow stick, and two that nothing happens to.
const ERRORS: [Case; 9] = [
    case(
        "BAD-WRITE",
        fails("write", 9 * MIB, false),
        End::NotBootable("cannot write the device at byte 9437184"),
    ),
    case("BAD-ONCE", fails("write", 9 * MIB, true), End::Complete),
    case(
        "BAD-READ",
        fails("read", 11 * MIB, false),
        End::NotBootable("cannot read the device at byte 11534336"),
    ),
    case("BAD-START", fails("read", 0, false), End::Untouched("cannot read the device at byte 0")),
    case("BAD-FLUSH", Fault::NeverFlushes, End::NotBootable("cannot flush the device")),
    case(
        "CHANGED",
        Fault::Changed("verify", 15 * MIB + 77),
        End::NotBootable("reads back differently from byte 15728640"),
    ),
    case("SLOW", Fault::PulledLast, End::NotBootable(GONE)),
    case("HEALTHY-C", Fault::None, End::Complete),
    case("HEALTHY-D", Fault::None, End::Complete),
];

const fn fails(how: &'static str, at: u64, once: bool) -> Fault {
    Fault::Fails { how, at, once }
}

impl Fault {
    /// The same for QEMU's driver blkdebug.
    fn errors(self) -> Vec<Value> {
        match self {
            Self::Fails { how, at, once } => {
                vec![json!({ "event": "none", "iotype": how, "sector": at / 512, "errno": 5, "once": once })]
            }
            Self::NeverFlushes => vec![json!({ "event": "none", "iotype": "flush", "errno": 5 })],
            _ => Vec::new(),
        }
    }
}

/// Disks on the other buses, by their serial numbers; the SD card has one of its own.
const BUSES: [(&str, Bus); 5] = [
    ("ON-UAS", Bus::Uas),
    ("ON-SCSI", Bus::VirtioScsi),
    ("ON-NVME", Bus::Nvme),
    ("ON-NVME4K", Bus::Nvme4096),
    ("0xdeadbeef", Bus::Sd),
];

/// The files of the test, and the machine.
struct Place {
    directory: TempDir,
    image: PathBuf,
    medium: Medium,
}

impl Place {
    fn make() -> Result<Self, Failure> {
        let directory = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
        let folder = directory.path().join("folder");
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        let image = folder.join("stick.img");
        fs::write(&image, content()).map_err(Error::io("write", &image))?;
        disk::imitate_boot_sector(&image)?;
        let images = directory.path().join("images");
        disk::set_size(&images, 32 * MIB)?;
        run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&folder).arg(&images))?;
        fs::write(directory.path().join("bystander"), vec![0xa5; 8 << 20])
            .map_err(Error::io("write", "bystander"))?;
        Ok(Self { directory, image, medium: Medium::of_edition("server")? })
    }

    fn machine(&self, name: &str) -> Result<Machine, Failure> {
        let path = |name: &str| self.directory.path().join(name);
        let mut machine = self.medium.disk_machine(name).device(CONTROLLER);
        for (name, serial) in [("images", "IMAGES"), ("bystander", "BYSTANDER")] {
            machine = machine.drive(Drive::disk(path(name), Bus::Virtio, serial));
        }
        for (serial, bus) in BUSES {
            disk::set_size(&path(serial), STICK)?;
            machine = machine.drive(Drive::disk(path(serial), bus, serial));
        }
        Ok(machine)
    }

    fn guest<'a>(&self, vm: &'a mut Vm) -> Result<Guest<'a>, Failure> {
        let qmp = vm.qmp()?;
        let mut shell = live::root_shell(vm)?;
        shell.run(&format!("mkdir -p {IMAGES} && mount -o ro /dev/disk/by-id/virtio-IMAGES {IMAGES}"))?;
        Ok(Guest { shell, qmp, directory: self.directory.path().into() })
    }
}

/// Bytes that do not repeat.
fn content() -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..IMAGE).map(|_| next()).collect()
}

#[test]
fn whatever_happens_to_sticks_is_told_and_harms_no_other() -> TestResult {
    let place = Place::make()?;
    let bystander = guest::digest(&place.directory.path().join("bystander"))?;
    let mut vm = place.machine("flash-faults")?.start()?;
    live::reach_installer(&mut vm)?;
    let mut guest = place.guest(&mut vm)?;

    every_bus(&place, &mut guest)?;
    session(&place, &mut guest, &PULLED)?;
    session(&place, &mut guest, &ERRORS)?;
    moments::swapped(&mut guest)?;
    moments::begin(&mut guest)?;
    drop(guest);
    vm.mark("faults");
    vm.cut_power()?;
    moments::after_the_cut(place.directory.path(), &place.image)?;
    assert_eq!(guest::digest(&place.directory.path().join("bystander"))?, bystander);
    Ok(())
}

/// Writes the image to these disks.
pub(super) fn command(nodes: &[String], serials: &[&str]) -> String {
    let mut command = format!("aegis-installer flash {IMAGES}/stick.img --json");
    for (node, serial) in nodes.iter().zip(serials) {
        command.push_str(&format!(" --to {node} --serial {serial}"));
    }
    command
}

/// The image on a disk of every bus at once.
fn every_bus(place: &Place, guest: &mut Guest<'_>) -> TestResult {
    let serials = BUSES.map(|(serial, _)| serial);
    let nodes = guest.wait_for(&serials)?;
    let (status, ends) = guest.flash(&command(&nodes, &serials), |_, _| Ok(()))?;
    assert_eq!(status, 0, "{ends:#?}");
    for serial in serials {
        assert!(guest::holds(&guest.file(serial), &place.image)?, "{serial}");
    }
    Ok(())
}

/// Writes the image to all sticks at once, lets their faults happen, and judges what each ended as.
fn session(place: &Place, guest: &mut Guest<'_>, cases: &[Case]) -> TestResult {
    let serials: Vec<&str> = cases.iter().map(|case| case.serial).collect();
    for (number, case) in cases.iter().enumerate() {
        guest.make(case.serial, STICK)?;
        let errors = case.fault.errors();
        let stick = Stick { serial: case.serial.into(), port: number + 1, limit: case.limit, errors };
        guest.plug(&stick, case.serial)?;
    }
    let before: Vec<_> =
        serials.iter().map(|serial| guest::digest(&guest.file(serial))).collect::<Result<_, _>>()?;
    let nodes = guest.wait_for(&serials)?;
    let mut sabotage = Sabotage::new(cases, &nodes, guest);
    let (status, ends) = guest.flash(&command(&nodes, &serials), |qmp, event| sabotage.happen(qmp, event))?;
    assert_eq!(status, 1, "{ends:#?}");
    for (number, case) in cases.iter().enumerate() {
        let end = ends.get(&nodes[number]).cloned().unwrap_or_default();
        println!("{}: {end}", case.serial);
        judge(place, guest, case, &end, &before[number])?;
        if !sabotage.pulled.contains(&case.serial) {
            guest.qmp.unplug_and_wait(case.serial)?;
        }
    }
    Ok(())
}

/// Lets the faults happen when the events say that it is time.
struct Sabotage<'a> {
    cases: &'a [Case],
    /// Places of the cases by their nodes.
    places: BTreeMap<String, usize>,
    files: Vec<PathBuf>,
    begun: Vec<String>,
    complete: usize,
    pulled: Vec<&'static str>,
}

impl<'a> Sabotage<'a> {
    fn new(cases: &'a [Case], nodes: &[String], guest: &Guest<'_>) -> Self {
        Self {
            cases,
            places: nodes.iter().cloned().zip(0..).collect(),
            files: cases.iter().map(|case| guest.file(case.serial)).collect(),
            begun: vec![String::new(); cases.len()],
            complete: 0,
            pulled: Vec::new(),
        }
    }

    fn happen(&mut self, qmp: &mut Qmp, event: &Value) -> TestResult {
        let place = event["device"].as_str().and_then(|node| self.places.get(node).copied());
        let Some((place, case)) = place.and_then(|place| Some((place, self.cases.get(place)?))) else {
            return Ok(());
        };
        if event["event"] == "complete" {
            self.complete += 1;
            return self.all_complete(qmp);
        }
        let phase = event["phase"].as_str().unwrap_or_default();
        if self.begun[place] == phase {
            return Ok(());
        }
        phase.clone_into(&mut self.begun[place]);
        match case.fault {
            Fault::Pulled(wanted) if wanted == phase => self.pull(qmp, case.serial),
            Fault::Changed(wanted, at) if wanted == phase => Ok(disk::flip_byte(&self.files[place], at)?),
            _ => Ok(()),
        }
    }

    /// By then a very slow stick has not got far: nobody waited for it.
    fn all_complete(&mut self, qmp: &mut Qmp) -> TestResult {
        let wanted = self.cases.iter().filter(|case| case.end == End::Complete).count();
        if self.complete < wanted {
            return Ok(());
        }
        for (place, case) in self.cases.iter().enumerate() {
            if matches!(case.fault, Fault::PulledLast) {
                assert!(["check", "write"].contains(&self.begun[place].as_str()), "{}", self.begun[place]);
                self.pull(qmp, case.serial)?;
            }
        }
        Ok(())
    }

    fn pull(&mut self, qmp: &mut Qmp, serial: &'static str) -> TestResult {
        self.pulled.push(serial);
        Ok(qmp.unplug(serial)?)
    }
}

fn judge(place: &Place, guest: &Guest<'_>, case: &Case, end: &Value, before: &str) -> TestResult {
    let file = guest.file(case.serial);
    let text = end["error"].as_str().unwrap_or_default();
    match case.end {
        End::Complete => {
            assert_eq!(end["event"], "complete", "{}: {end}", case.serial);
            assert!(guest::holds(&file, &place.image)?, "{}", case.serial);
        }
        End::Untouched(expected) => {
            assert_eq!(end["disk"], "untouched", "{}: {end}", case.serial);
            assert!(text.contains(expected), "{}: {text}", case.serial);
            assert_eq!(guest::digest(&file)?, before, "{}", case.serial);
        }
        End::NotBootable(expected) => {
            assert_eq!(end["disk"], "not-installed", "{}: {end}", case.serial);
            assert!(text.contains(expected), "{}: {text}", case.serial);
            // A stick that was pulled at once may be as it was; else its first mebibyte is blank.
            let at_once = matches!(case.fault, Fault::Pulled("check")) && disk::is_imitation(&file)?;
            let blank = guest::start_of(&file, 1 << 20)?.iter().all(|byte| *byte == 0);
            let whole = matches!(case.fault, Fault::Pulled("finish")) && !disk::boot_signs(&file)?.any();
            assert!(at_once || blank || whole, "{}: {}", case.serial, disk::boot_signs(&file)?);
        }
    }
    Ok(())
}
