//! Events against a machine that is built as files. Time passes as the tests say.

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    time::{Duration, Instant},
};

use aegis_core::uevent::{Origin, Uevent};

use super::{follower::Follower, picture::Change};
use crate::tree::{Roots, Tree};

struct Machine {
    dir: tempfile::TempDir,
    follower: Option<Follower<'static>>,
    now: Instant,
    number: u64,
}

impl Machine {
    fn new(disks: &[&str]) -> Self {
        let mut machine =
            Self { dir: tempfile::tempdir().unwrap(), follower: None, now: Instant::now(), number: 100 };
        machine.write("sys/kernel/uevent_seqnum", "100");
        machine.write("proc/self/mountinfo", "");
        for folder in ["sys/block", "sys/class/block", "dev"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        disks.iter().for_each(|name| machine.plug(name, 1));
        let tree = Box::leak(Box::new(Tree::live(Roots::below(machine.dir.path()))));
        machine.follower = Some(Follower::start(tree, Origin::Kernel, machine.now).unwrap());
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Puts a disk into `/sys`.
    fn plug(&self, name: &str, diskseq: u64) {
        let device = format!("sys/devices/pci0/{name}");
        self.write(&format!("{device}/block/{name}/size"), "2048\n");
        self.write(&format!("{device}/block/{name}/diskseq"), &diskseq.to_string());
        let real = self.path(&format!("{device}/block/{name}"));
        symlink(self.path(&device), real.join("device")).unwrap();
        symlink(&real, self.path(&format!("sys/block/{name}"))).unwrap();
        symlink(&real, self.path(&format!("sys/class/block/{name}"))).unwrap();
    }

    /// Takes a disk out of `/sys`.
    fn pull(&self, name: &str) {
        fs::remove_file(self.path(&format!("sys/block/{name}"))).unwrap();
        fs::remove_file(self.path(&format!("sys/class/block/{name}"))).unwrap();
        fs::remove_dir_all(self.path(&format!("sys/devices/pci0/{name}"))).unwrap();
    }

    /// The kernel sends an event about a disk or partition.
    fn send(&mut self, action: &str, disk: &str, partition: Option<&str>) {
        self.number += 1;
        let (kind, path) = match partition {
            Some(name) => ("partition", format!("{disk}/{name}")),
            None => ("disk", disk.to_string()),
        };
        let text = format!(
            "{action}@/devices/pci0/{disk}/block/{path}\0SUBSYSTEM=block\0DEVTYPE={kind}\0SEQNUM={}\0",
            self.number
        );
        let now = self.now;
        self.follower.as_mut().unwrap().hear(&Uevent::of_kernel(text.as_bytes()).unwrap(), now);
    }

    /// What is reported after so many milliseconds.
    fn after(&mut self, ms: u64) -> Vec<String> {
        self.now += Duration::from_millis(ms);
        let changes = self.follower.as_mut().unwrap().settle(self.now).unwrap();
        let text = |change| match change {
            Change::Added { disk } => format!("+{}", disk.name),
            Change::Removed { disk } => format!("-{}", disk.name),
            Change::Changed { disk, what } => format!("{} {}", disk.name, what.join(",")),
            Change::Lost => "lost".into(),
            Change::Rescanned => "rescanned".into(),
        };
        changes.into_iter().map(text).collect()
    }

    fn deadline(&self) -> Option<Duration> {
        let at = self.follower.as_ref().unwrap().deadline();
        at.map(|at| at.saturating_duration_since(self.now))
    }
}

#[test]
fn a_burst_is_one_report_and_then_there_is_no_deadline() {
    let mut m = Machine::new(&["sda"]);
    assert_eq!(m.after(1000), [""; 0], "the second look finds nothing");
    assert_eq!(m.deadline(), None);
    m.plug("sdb", 2);
    m.send("add", "sdb", None);
    assert_eq!(m.after(5), [""; 0]);
    m.send("add", "sdb", Some("sdb1"));
    assert_eq!(m.after(5), [""; 0], "the last event was 5 ms ago");
    assert_eq!(m.after(5), ["+sdb"]);
    assert_eq!(m.deadline(), None);
    m.send("change", "sdb", None);
    assert_eq!(m.after(20), [""; 0], "nothing has changed");
}

#[test]
fn a_burst_without_end_is_reported_in_parts() {
    let mut m = Machine::new(&["sda"]);
    m.write("sys/devices/pci0/sda/block/sda/size", "4096");
    let mut waited = 0;
    while m.after(5).is_empty() {
        m.send("change", "sda", None);
        waited += 5;
        assert!(waited <= 210, "the limit is 200 ms");
    }
    assert!(waited >= 195, "{waited}");
}

#[test]
fn a_removal_is_believed_before_it_has_happened() {
    let mut m = Machine::new(&["sda", "sdb"]);
    m.send("remove", "sdb", None);
    assert_eq!(m.after(20), [""; 0], "it is still in /sys");
    m.pull("sdb");
    assert_eq!(m.after(20), ["-sdb"]);
    m.send("remove", "sda", None);
    assert_eq!(m.after(20), [""; 0]);
    assert_eq!(m.after(2100), ["-sda"], "it never left /sys, and is believed all the same");
}

#[test]
fn what_comes_and_goes_in_one_burst_is_not_reported() {
    let mut m = Machine::new(&[]);
    m.send("add", "sdb", None);
    m.send("remove", "sdb", None);
    assert_eq!(m.after(20), [""; 0]);
}

#[test]
fn another_disk_under_the_same_name_is_a_removal_and_an_addition() {
    let mut m = Machine::new(&["sda"]);
    m.pull("sda");
    m.plug("sda", 2);
    m.send("remove", "sda", None);
    m.send("add", "sda", None);
    assert_eq!(m.after(20), ["-sda", "+sda"]);
}

#[test]
fn a_disk_with_the_serial_number_of_another_changes_how_that_is_confirmed() {
    let mut m = Machine::new(&["sda"]);
    m.write("sys/devices/pci0/sda/block/sda/serial", "TWIN");
    m.send("change", "sda", None);
    assert_eq!(m.after(20), ["-sda", "+sda"], "the serial number is another");
    m.plug("sdb", 2);
    m.write("sys/devices/pci0/sdb/block/sdb/serial", "TWIN");
    m.send("add", "sdb", None);
    assert_eq!(m.after(20), ["sda told_apart_by", "+sdb"]);
    m.pull("sdb");
    m.send("remove", "sdb", None);
    assert_eq!(m.after(20), ["-sdb", "sda told_apart_by"]);
}

#[test]
fn a_card_in_a_reader_is_a_change() {
    let mut m = Machine::new(&["sda"]);
    m.write("sys/devices/pci0/sda/block/sda/size", "4096");
    m.write("sys/devices/pci0/sda/block/sda/diskseq", "2");
    m.send("change", "sda", None);
    assert_eq!(m.after(20), ["sda diskseq,size"]);
}

#[test]
fn events_from_before_the_first_look_change_nothing() {
    let mut m = Machine::new(&["sda"]);
    m.number = 90;
    for action in ["add", "remove", "add", "change"] {
        m.send(action, "sda", None);
    }
    assert_eq!(m.after(20), [""; 0]);
}

#[test]
fn a_disk_that_vanishes_before_it_is_read_is_not_there() {
    let mut m = Machine::new(&[]);
    m.send("add", "sdb", None);
    assert_eq!(m.after(20), [""; 0]);
}

#[test]
fn a_holder_changes_the_disk_below_it() {
    let mut m = Machine::new(&["sda"]);
    m.write("sys/devices/virtual/block/dm-0/dm/name", "crypt");
    fs::create_dir_all(m.path("sys/devices/virtual/block/dm-0/slaves/sda")).unwrap();
    fs::create_dir_all(m.path("sys/devices/pci0/sda/block/sda/holders/dm-0")).unwrap();
    let real = m.path("sys/devices/virtual/block/dm-0");
    symlink(&real, m.path("sys/block/dm-0")).unwrap();
    m.send("add", "dm-0", None);
    assert_eq!(m.after(20), ["sda holders,uses"]);
    fs::remove_dir(m.path("sys/devices/pci0/sda/block/sda/holders/dm-0")).unwrap();
    fs::remove_file(m.path("sys/block/dm-0")).unwrap();
    m.send("remove", "dm-0", None);
    assert_eq!(m.after(20), ["sda holders,uses"], "it is known what dm-0 was built upon");
}

#[test]
fn a_mount_changes_the_disk() {
    let mut m = Machine::new(&["sda"]);
    m.write("sys/devices/pci0/sda/block/sda/dev", "8:0");
    m.write("proc/self/mountinfo", "36 35 8:0 / /mnt rw - ext4 /dev/sda rw\n");
    let now = m.now;
    m.follower.as_mut().unwrap().any_disk(now);
    assert_eq!(m.after(20), ["sda device,uses"]);
}

#[test]
fn after_a_loss_everything_is_looked_at_twice() {
    let mut m = Machine::new(&["sda", "sdb"]);
    m.after(1000);
    m.pull("sda");
    m.plug("sdc", 3);
    let now = m.now;
    m.follower.as_mut().unwrap().lose(now);
    assert_eq!(m.after(20), ["lost", "-sda", "+sdc", "rescanned"]);
    // Its removal was announced in an event that was lost, and happens only now.
    m.pull("sdb");
    assert_eq!(m.after(1000), ["-sdb"]);
    assert_eq!(m.deadline(), None);
}

#[test]
fn a_removal_does_not_outweigh_the_addition_that_was_lost() {
    let mut m = Machine::new(&["sda"]);
    m.send("remove", "sda", None);
    m.pull("sda");
    m.plug("sda", 2);
    let now = m.now;
    m.follower.as_mut().unwrap().lose(now);
    m.after(20);
    assert_eq!(m.after(2000), ["lost", "-sda", "+sda", "rescanned"]);
}

#[test]
fn a_gap_in_the_numbers_is_a_loss() {
    let mut m = Machine::new(&["sda"]);
    m.after(1000);
    m.pull("sda");
    m.number += 1;
    let text = "add@/devices/virtual/net/lo\0SUBSYSTEM=net\0SEQNUM=102\0";
    let now = m.now;
    m.follower.as_mut().unwrap().hear(&Uevent::of_kernel(text.as_bytes()).unwrap(), now);
    assert_eq!(m.after(20), ["lost", "-sda", "rescanned"]);
}
