//! Sticks that come and go. Files stand for their nodes, and what the kernel would tell is told by hand.

use std::{
    fs, io,
    path::Path,
    sync::{
        atomic::AtomicBool,
        mpsc::{self, Receiver},
    },
    thread,
};

use aegis_hw::{
    inventory::{Transport, UsbPlace},
    tree::Roots,
};

use super::*;
use crate::flash::{
    auto::SizeRange,
    image::{Authority, ImageFile},
    outcome::Failure,
    plan::{FlashPlan, Wishes},
};

const MIB: usize = 1 << 20;

/// A machine without a disk, an image, and sticks as files.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(desk.path("sys/block")).unwrap();
        fs::write(desk.path("x.img"), vec![0xa7; 3 * MIB + 5]).unwrap();
        desk
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// A stick as the inventory would show it.
    fn stick(&self, name: &str, diskseq: u64, content: u8) -> Disk {
        let node = self.path(name);
        fs::write(&node, vec![content; 8 * MIB]).unwrap();
        Disk {
            name: name.into(),
            node,
            size: Bytes(8 << 20),
            logical_sector: 512,
            model: Some("Kingston DataTraveler".into()),
            serial: Some(format!("SN-{name}")),
            removable: true,
            transport: Transport::Usb,
            usb: Some(UsbPlace {
                port: "2-1".into(),
                hubs: Vec::new(),
                speed: None,
                version: None,
                driver: None,
                serial: None,
                slow: None,
            }),
            diskseq: Some(diskseq),
            uses_known: true,
            ..Disk::default()
        }
    }

    fn batch(&self, auto: Option<u32>, wait_return: Option<u64>) -> Batch {
        let image = ImageFile::look(&self.path("x.img"), &Authority::Beside).unwrap();
        let plan = FlashPlan::of_chosen(image, Vec::new(), Wishes::default()).unwrap();
        let size = SizeRange { min: Bytes(1 << 20), max: Bytes(16 << 20) };
        let auto = auto.map(|count| Auto { count, size, model: None });
        Batch::new(vec![plan], auto, wait_return).unwrap()
    }

    fn holds_image(&self, name: &str) -> bool {
        fs::read(self.path(name)).unwrap().starts_with(&fs::read(self.path("x.img")).unwrap())
    }

    /// Runs `story` with a foreman; the lines that were told, and what the devices ended as.
    fn tell(
        &self,
        batch: &Batch,
        story: impl FnOnce(&mut Foreman<'_, '_, '_>, &Receiver<Message>),
    ) -> (Vec<String>, Vec<Ended>) {
        let tree = Tree::live(Roots::below(self.0.path()));
        let (stop, medium) = (AtomicBool::new(false), BTreeSet::new());
        let (messages, inbox) = mpsc::channel();
        let mut told = Vec::new();
        let mut reporter = |report: Report<'_>| {
            told.extend(match &report {
                Report::Taken { device, .. } => Some(format!("taken {device}")),
                Report::Passed { disk, why } => Some(format!("passed {}: {why}", disk.name)),
                Report::Vanished { device, .. } => Some(format!("vanished {device}")),
                Report::Returned { device, .. } => Some(format!("returned {device}")),
                Report::Ended { device, end } => Some(format!("ended {device}: {}", end.outcome.phase())),
                _ => None,
            });
            true
        };
        let ended = thread::scope(|scope| {
            let crew = Crew { scope, stop: &stop, messages };
            let mut foreman = Foreman::new(batch, &tree, &medium, crew, &mut reporter);
            foreman.listens = true;
            story(&mut foreman, &inbox);
            foreman.finish()
        });
        (told, ended)
    }
}

fn come(disk: &Disk) -> Message {
    Message::Changes(vec![Change::Added { disk: Box::new(disk.clone()) }])
}

/// Lets the engines work until every device ended.
fn work(foreman: &mut Foreman<'_, '_, '_>, inbox: &Receiver<Message>) {
    while foreman.devices.iter().any(|device| !matches!(device.state, State::Ended(_))) {
        foreman.step(inbox.recv_timeout(Duration::from_millis(50)).ok());
    }
}

#[test]
fn blank_sticks_are_taken_until_there_are_enough() {
    let desk = Desk::new();
    let batch = desk.batch(Some(2), None);
    let sticks = [("a", 0), ("b", 0x5a), ("c", 0xff), ("d", 0)];
    let sticks: Vec<Disk> =
        sticks.iter().zip(10..).map(|((name, content), seq)| desk.stick(name, seq, *content)).collect();
    let (told, ended) = desk.tell(&batch, |foreman, inbox| {
        for stick in &sticks {
            assert!(!foreman.is_done() || stick.name == "d");
            foreman.step(Some(come(stick)));
        }
        work(foreman, inbox);
        assert!(foreman.is_done());
    });
    let events: Vec<&str> =
        told.iter().map(String::as_str).filter(|line| !line.starts_with("ended")).collect();
    assert_eq!(events, ["taken 0", "passed b: it is not blank: there is something at byte 0", "taken 1"]);
    assert!(ended.len() == 2 && ended.iter().all(|end| end.outcome.failure().is_none()), "{ended:?}");
    assert!(desk.holds_image("a") && desk.holds_image("c"));
    // The third would have been blank, but two were asked for.
    assert!(fs::read(desk.path("d")).unwrap().iter().all(|byte| *byte == 0));
    assert!(fs::read(desk.path("b")).unwrap().iter().all(|byte| *byte == 0x5a));
}

#[test]
fn a_stick_that_failed_is_replaced_by_the_next() {
    let desk = Desk::new();
    let batch = desk.batch(Some(1), None);
    let (bad, good) = (desk.stick("a", 10, 0), desk.stick("b", 11, 0));
    let (told, ended) = desk.tell(&batch, |foreman, inbox| {
        foreman.devices.push(device(TargetDisk::of_disk(&bad), 0, true));
        assert_eq!(foreman.wanted(), 0);
        foreman.step(Some(Message::Ended(0, Outcome::NotBootable(Failure::ReadBack { offset: 1 }))));
        assert_eq!(foreman.wanted(), 1);
        // The same appearance of the bad one is not taken again.
        foreman.step(Some(come(&bad)));
        foreman.step(Some(come(&good)));
        work(foreman, inbox);
        assert!(foreman.is_done());
    });
    let passed = "passed a: it is written already";
    assert_eq!(told, ["ended 0: failed", passed, "taken 1", "ended 1: complete"]);
    assert_eq!(ended.len(), 2);
}

#[test]
fn what_is_no_blank_stick_is_left_alone() {
    let desk = Desk::new();
    let batch = desk.batch(Some(9), None);
    let auto = batch.auto.clone().unwrap();
    let none = BTreeSet::new();
    let stick = desk.stick("a", 10, 0);
    assert_eq!(auto.judge(&stick, false, &none), Ok(()));
    assert_eq!(auto.judge(&stick, true, &none), Err(Pass::WasThere));
    let named = Auto { model: Some("datatraveler".into()), ..auto.clone() };
    assert_eq!(named.judge(&stick, true, &none), Ok(()));
    let other = Auto { model: Some("ultra".into()), ..auto.clone() };
    assert_eq!(other.judge(&stick, false, &none), Err(Pass::Model));
    for internal in [Transport::Ata, Transport::Nvme, Transport::Virtio, Transport::Mmc, Transport::Other] {
        let disk = Disk { transport: internal, ..stick.clone() };
        assert_eq!(auto.judge(&disk, false, &none), Err(Pass::NotUsb));
    }
    let fixed = Disk { removable: false, ..stick.clone() };
    assert_eq!(auto.judge(&fixed, false, &none), Err(Pass::NotUsb));
    for size in [Bytes(1 << 19), Bytes(17 << 20)] {
        let disk = Disk { size, ..stick.clone() };
        assert_eq!(auto.judge(&disk, false, &none), Err(Pass::Size(size)));
    }
    let refused = |disk: Disk| matches!(auto.judge(&disk, false, &none), Err(Pass::Refused(_)));
    assert!(refused(Disk { read_only: true, ..stick.clone() }));
    assert!(refused(Disk { uses_known: false, ..stick.clone() }));
    let medium = BTreeSet::from(["a".to_owned()]);
    assert!(matches!(auto.judge(&stick, false, &medium), Err(Pass::Refused(_))));
    let table = Disk { table: Some("dos".into()), ..stick.clone() };
    assert!(matches!(auto.judge(&table, false, &none), Err(Pass::NotBlank(_))));
}

#[test]
fn anything_at_an_end_or_a_sample_is_content() {
    let desk = Desk::new();
    let found = |disk: &Disk| find_content(open(&TargetDisk::of_disk(disk)).unwrap().as_ref()).unwrap();
    for content in [0, 0xff] {
        let stick = desk.stick("a", 1, content);
        assert_eq!(found(&stick), None);
        let sample = 8 * MIB / 63 * 20 / 512 * 512 + 100;
        for at in [0, MIB - 1, 8 * MIB - 1, 7 * MIB, sample] {
            let mut bytes = vec![content; 8 * MIB];
            bytes[at] = 1;
            fs::write(&stick.node, bytes).unwrap();
            assert!(found(&stick).is_some(), "{at}");
        }
    }
    // Zeros here and ones there is no memory that was never written.
    let stick = desk.stick("b", 1, 0);
    let mut bytes = vec![0; 8 * MIB];
    bytes[4 * MIB..].fill(0xff);
    fs::write(&stick.node, bytes).unwrap();
    assert!(found(&stick).is_some());
}

fn pulled() -> Outcome {
    let source = io::Error::from_raw_os_error(libc::ENODEV);
    let source = aegis_hw::Error::Io { operation: "write", path: Path::new("/dev/a").into(), source };
    Outcome::NotBootable(Failure::Device { operation: "write", offset: 5, source })
}

#[test]
fn a_stick_that_was_pulled_out_goes_on_when_it_returns() {
    let desk = Desk::new();
    let batch = desk.batch(None, Some(60));
    let before = desk.stick("a", 10, 0);
    // Another name and another number, the same stick.
    let again = Disk { serial: before.serial.clone(), ..desk.stick("b", 12, 0) };
    let (told, ended) = desk.tell(&batch, |foreman, inbox| {
        foreman.devices.push(device(TargetDisk::of_disk(&before), 0, false));
        foreman.devices[0].reached = Phase::Write;
        foreman.step(Some(Message::Ended(0, pulled())));
        let other = Disk { serial: Some("SN-other".into()), ..desk.stick("c", 11, 0) };
        foreman.step(Some(come(&other)));
        let larger = Disk { size: Bytes(9 << 20), ..again.clone() };
        foreman.step(Some(come(&larger)));
        assert!(matches!(foreman.devices[0].state, State::Awaited(..)));
        foreman.step(Some(come(&again)));
        work(foreman, inbox);
    });
    assert_eq!(told, ["vanished 0", "returned 0", "ended 0: complete"]);
    assert_eq!(ended[0].target.path, desk.path("b"));
    assert!(desk.holds_image("b"));
    assert!(fs::read(desk.path("c")).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_stick_that_does_not_return_ends_as_pulled_out() {
    let desk = Desk::new();
    for (wait, serial) in [(None, Some("SN".into())), (Some(0), Some("SN".into())), (Some(60), None)] {
        let batch = desk.batch(None, wait);
        let stick = Disk { serial, ..desk.stick("a", 10, 0) };
        let (_, ended) = desk.tell(&batch, |foreman, inbox| {
            foreman.devices.push(device(TargetDisk::of_disk(&stick), 0, false));
            foreman.step(Some(Message::Ended(0, pulled())));
            work(foreman, inbox);
        });
        assert!(
            matches!(&ended[0].outcome, Outcome::NotBootable(Failure::Gone { offset: 5, .. })),
            "{ended:?}"
        );
    }
}

#[test]
fn a_stick_that_is_still_there_failed_by_itself() {
    let desk = Desk::new();
    let directory = desk.path("sys/block/a");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("diskseq"), "10\n").unwrap();
    let batch = desk.batch(None, Some(60));
    let stick = desk.stick("a", 10, 0);
    let story = |foreman: &mut Foreman<'_, '_, '_>, inbox: &Receiver<Message>| {
        foreman.devices.push(device(TargetDisk::of_disk(&stick), 0, false));
        foreman.step(Some(Message::Ended(0, pulled())));
        work(foreman, inbox);
    };
    let (told, ended) = desk.tell(&batch, story);
    assert!(matches!(&ended[0].outcome, Outcome::NotBootable(Failure::Device { .. })), "{ended:?}");
    assert_eq!(told, ["ended 0: failed"]);
    // Another disk by its name: it is gone.
    fs::write(directory.join("diskseq"), "11\n").unwrap();
    let (told, _) = desk.tell(&desk.batch(None, Some(0)), story);
    assert_eq!(told, ["vanished 0", "ended 0: failed"]);
}
