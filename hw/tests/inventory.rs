//! The inventory against a machine that is built as files: sysfs, /proc and /dev below one root.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use aegis_hw::{
    Bytes, Tree,
    inventory::{self, Disk, Refusal, Transport, Use},
    tree::Roots,
};

struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(machine.path("sys/block")).unwrap();
        fs::create_dir_all(machine.path("dev")).unwrap();
        machine.write("proc/self/mountinfo", b"1 0 0:1 / / rw - tmpfs tmpfs rw\n");
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A disk whose directory is `device`, linked from sys/block as the kernel does.
    fn disk(&self, name: &str, device: &str, sectors: u64) -> String {
        let dir = format!("sys/devices/{device}/block/{name}");
        self.write(&format!("{dir}/size"), format!("{sectors}\n").as_bytes());
        symlink(self.path(&dir), self.path(&format!("sys/block/{name}"))).unwrap();
        symlink(self.path(&format!("sys/devices/{device}")), self.path(&format!("{dir}/device"))).unwrap();
        dir
    }

    fn tree(&self) -> Tree {
        Tree::live(Roots::below(self.dir.path()))
    }

    fn disks(&self) -> Vec<Disk> {
        inventory::disks(&self.tree()).unwrap()
    }
}

const GIB: u64 = 1 << 30;
const NONE: [&str; 0] = [];

#[test]
fn each_bus_has_its_own_place_for_the_serial() {
    let m = Machine::new();
    m.disk("nvme0n1", "pci0/nvme/nvme0", 1 << 21);
    m.write("sys/devices/pci0/nvme/nvme0/serial", b"S6B0NL0W     \n");
    m.write("sys/devices/pci0/nvme/nvme0/model", b"Samsung SSD 990 PRO   \n");
    let sda = m.disk("sda", "pci0/ata1/host0/target0:0:0/0:0:0:0", 1 << 21);
    m.write("sys/devices/pci0/ata1/host0/target0:0:0/0:0:0:0/vpd_pg80", b"\0\x80\0\x06WD-123");
    m.write("sys/devices/pci0/ata1/host0/target0:0:0/0:0:0:0/vendor", b"ATA     \n");
    m.write("sys/devices/pci0/ata1/host0/target0:0:0/0:0:0:0/model", b"WDC WD10\n");
    m.write(&format!("{sda}/queue/rotational"), b"1\n");
    m.disk("sdb", "pci0/usb2/2-1/2-1:1.0/host1/target1:0:0/1:0:0:0", 1 << 21);
    m.write("sys/devices/pci0/usb2/2-1/idVendor", b"0781\n");
    m.write("sys/devices/pci0/usb2/2-1/serial", b"4C530001\n");
    m.write("sys/devices/pci0/usb2/2-1/2-1:1.0/host1/target1:0:0/1:0:0:0/vendor", b"SanDisk\n");
    m.write("sys/devices/pci0/usb2/2-1/2-1:1.0/host1/target1:0:0/1:0:0:0/model", b"Ultra\n");
    let vda = m.disk("vda", "pci0/virtio1", 1 << 21);
    m.write(&format!("{vda}/serial"), b"aegis-test\n");
    m.write("sys/devices/pci0/virtio1/vendor", b"0x1af4\n");

    let seen: Vec<_> =
        m.disks().into_iter().map(|d| (d.name, d.transport, d.model, d.serial, d.removable)).collect();
    let text = |s: &str| Some(s.to_string());
    assert_eq!(
        seen,
        [
            ("nvme0n1".into(), Transport::Nvme, text("Samsung SSD 990 PRO"), text("S6B0NL0W"), false),
            ("sda".into(), Transport::Ata, text("WDC WD10"), text("WD-123"), false),
            ("sdb".into(), Transport::Usb, text("SanDisk Ultra"), text("4C530001"), true),
            ("vda".into(), Transport::Virtio, None, text("aegis-test"), false),
        ]
    );
    assert!(m.disks()[1].rotational);
}

#[test]
fn what_is_no_disk_is_not_listed() {
    let m = Machine::new();
    m.disk("sr0", "pci0/ata2/host1/target1:0:0/1:0:0:0", 2048);
    m.write("sys/devices/pci0/ata2/host1/target1:0:0/1:0:0:0/type", b"5\n");
    m.disk("mmcblk0", "soc/mmc_host/mmc0/mmc0:0001", 1 << 21);
    m.disk("mmcblk0boot0", "soc/mmc_host/mmc0/mmc0:0001", 4096);
    let path = m.disk("nvme0c0n1", "pci0/nvme/nvme0", 1 << 21);
    m.write(&format!("{path}/hidden"), b"1\n");
    m.write("sys/block/loop0/size", b"2048\n");
    m.write("sys/block/dm-0/size", b"2048\n");
    let names: Vec<_> = m.disks().into_iter().map(|d| d.name).collect();
    assert_eq!(names, ["mmcblk0"]);
}

#[test]
fn loop_devices_with_a_file_are_listed() {
    let m = Machine::new();
    for number in 0..3 {
        let path = format!("sys/devices/virtual/block/loop{number}");
        m.write(&format!("{path}/size"), b"2048\n");
        symlink(m.path(&path), m.path(&format!("sys/block/loop{number}"))).unwrap();
    }
    let names = || {
        let volumes = inventory::Inventory::read(&m.tree()).unwrap().volumes;
        volumes.into_iter().map(|volume| volume.name).collect::<Vec<_>>()
    };
    for number in [0, 2] {
        m.write(&format!("sys/devices/virtual/block/loop{number}/loop/backing_file"), b"/a\n");
    }
    assert_eq!(names(), ["loop0", "loop2"]);
    m.write("proc/partitions", b"major minor  #blocks  name\n\n   7        2       1024 loop2\n");
    assert_eq!(names(), ["loop2"], "a loop device without a size is idle");
}

#[test]
fn every_use_is_a_reason_against_the_disk() {
    let m = Machine::new();
    let sda = m.disk("sda", "pci0/ata1/host0/target0:0:0/0:0:0:0", 1 << 24);
    for (number, start) in [(1, 2048), (2, 1_000_000), (3, 2_000_000)] {
        m.write(&format!("{sda}/sda{number}/partition"), format!("{number}\n").as_bytes());
        m.write(&format!("{sda}/sda{number}/start"), format!("{start}\n").as_bytes());
        m.write(&format!("{sda}/sda{number}/size"), b"2048\n");
        m.write(&format!("{sda}/sda{number}/dev"), format!("8:{number}\n").as_bytes());
    }
    m.write("proc/self/mountinfo", b"1 0 8:1 / /mnt\\040x rw - ext4 /dev/sda1 rw\n");
    m.write("proc/swaps", b"Filename\n/dev/sda2 partition\n");
    fs::create_dir_all(m.path(&format!("{sda}/sda3/holders/dm-0"))).unwrap();
    m.write("sys/block/dm-0/dm/name", b"vg-home\n");
    m.write(&format!("{sda}/ro"), b"1\n");

    let disk = &m.disks()[0];
    assert_eq!(disk.partitions[0].start, 1 << 20);
    let reasons: Vec<_> = disk.refusals(["sda"], Bytes(64 * GIB)).iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "this system runs from it",
            "sda1 is mounted at /mnt x",
            "sda2 is used as swap space",
            "sda3 is used by vg-home",
            "it is read-only",
            "it is too small, 64.0 GiB are needed",
        ]
    );
}

#[test]
fn a_mount_with_its_own_device_number_is_found_by_its_source() {
    let m = Machine::new();
    m.disk("sda", "pci0/ata1/host0/target0:0:0/0:0:0:0", 1 << 24);
    m.write("proc/self/mountinfo", b"1 0 0:44 / /data rw - btrfs /dev/sda rw\n");
    let expected = Use::Mount { device: "sda".into(), through: Vec::new(), at: "/data".into() };
    assert_eq!(m.disks()[0].refusals(NONE, Bytes(0)), [Refusal::InUse(expected)]);
}

#[test]
fn the_medium_is_found_through_partitions_and_mappings() {
    let m = Machine::new();
    let sdb = m.disk("sdb", "pci0/usb2/2-1/2-1:1.0/host1/target1:0:0/1:0:0:0", 1 << 21);
    m.write(&format!("{sdb}/sdb1/partition"), b"1\n");
    fs::create_dir_all(m.path("sys/block/dm-0/slaves/sdb1")).unwrap();
    m.write("sys/block/dm-0/dm/name", b"aegis-medium\n");
    for device in ["/dev/sdb", "/dev/sdb1", "/dev/dm-0", "/dev/mapper/aegis-medium"] {
        let found = inventory::backing_disks(&m.tree(), Path::new(device)).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["sdb"], "{device}");
    }
    assert!(inventory::backing_disks(&m.tree(), Path::new("/dev/sdz")).unwrap().is_empty());
}

#[test]
fn the_word_to_type_is_the_serial_or_the_name_and_is_never_hidden_text() {
    let m = Machine::new();
    let vda = m.disk("vda", "pci0/virtio1", 1 << 21);
    assert_eq!(m.disks()[0].confirm_token(), "vda");
    m.write(&format!("{vda}/serial"), "AB\u{202e}CD\x1b[2J\n".as_bytes());
    assert_eq!(m.disks()[0].confirm_token(), "AB\\u{202e}CD\\u{1b}[2J");
    assert!(!m.disks()[0].summary().contains('\x1b'));
    assert!(inventory::disk(&m.tree(), "../vda").is_err());
    assert_eq!(inventory::disk(&m.tree(), "vda").unwrap().name, "vda");
}
