//! Recorded machines, with everything that can be wrong with them.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "machines/many.rs"]
mod many;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
};

use aegis_hw::{
    Bytes, Tree,
    gpu::{self, Names, PCI_IDS},
    inventory::{self, Inventory, Machine, Refusal, Use},
    tree::Recording,
};

const NONE: [&str; 0] = [];

fn fixtures() -> Vec<(String, Recording)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "machine") {
            let recording = Recording::parse(&fs::read(&path).unwrap());
            let recording = recording.unwrap_or_else(|line| panic!("{}: {line}", path.display()));
            found.push((path.file_stem().unwrap().to_str().unwrap().to_owned(), recording));
        }
    }
    assert!(found.len() >= 15);
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

fn fixture(name: &str) -> Tree {
    Tree::recorded(fixtures().into_iter().find(|(known, _)| known == name).unwrap().1)
}

fn parsed(text: &str) -> Tree {
    Tree::recorded(Recording::parse(text.as_bytes()).unwrap_or_else(|line| panic!("{line}")))
}

/// Reads what is around the disks.
fn look_around(tree: &Tree) {
    Machine::read(tree);
    inventory::usb_devices(tree);
    let _ = Names::read(tree, PCI_IDS).and_then(|names| gpu::gpus(tree, &names));
}

/// Reads the disks, and shows them.
fn look(tree: &Tree) -> Option<Inventory> {
    let _ = inventory::backing_disks(tree, Path::new("/dev/sda1"));
    let inventory = Inventory::read(tree).ok()?;
    for disk in &inventory.disks {
        assert!(!disk.summary().chars().any(char::is_control));
        assert!(!disk.confirm_token().chars().any(char::is_control));
        disk.refusals(NONE, Bytes(1 << 30)).iter().for_each(|refusal| drop(refusal.to_string()));
    }
    Some(inventory)
}

fn names(inventory: &Inventory) -> BTreeSet<String> {
    inventory.disks.iter().map(|disk| disk.name.clone()).collect()
}

#[test]
fn a_recording_is_written_as_it_was_read() {
    for (name, recording) in fixtures() {
        let text = recording.to_text("again");
        let again = Recording::parse(text.as_bytes()).unwrap_or_else(|line| panic!("{name}: {line}\n{text}"));
        assert_eq!(again.to_text("again"), text, "{name}");
        assert_eq!((again.len(), again.paths()), (recording.len(), recording.paths()), "{name}");
        let (one, other) = (Tree::recorded(recording.clone()), Tree::recorded(again));
        for path in recording.paths() {
            assert_eq!(one.link(&path), other.link(&path), "{name}: {path}");
            assert_eq!(one.read(&path).ok(), other.read(&path).ok(), "{name}: {path}");
        }
        assert_eq!(look(&one), look(&other), "{name}");
    }
}

/// One file of each kind: names without their numbers.
fn samples(recording: &Recording) -> Vec<String> {
    let kind = |path: &str| {
        let parts: Vec<&str> = path.rsplit('/').take(3).collect();
        parts.join("/").replace(|c: char| c.is_ascii_digit(), "")
    };
    let by_kind: BTreeMap<String, String> =
        recording.paths().into_iter().map(|path| (kind(&path), path)).collect();
    by_kind.into_values().collect()
}

#[test]
fn a_file_that_is_gone_or_broken_hides_no_other_disk() {
    // The largest machines have the same kinds of files many times.
    for (name, recording) in fixtures().into_iter().filter(|(_, recording)| recording.len() < 500) {
        let whole = names(&look(&Tree::recorded(recording.clone())).unwrap());
        for path in samples(&recording) {
            let broken: [&dyn Fn(&mut Recording); 6] = [
                &|machine| machine.remove(&path),
                &|machine| machine.fail(&path, libc::EIO).unwrap(),
                &|machine| machine.fail(&path, libc::EACCES).unwrap(),
                &|machine| machine.put(&path, b"").unwrap(),
                &|machine| {
                    machine.put(&path, b"\xff\xfe 18446744073709551616 -1 = : . \x1b[2J\n - \n").unwrap()
                },
                &|machine| machine.put(&path, &[b'9'; 5000]).unwrap(),
            ];
            for (number, make) in broken.iter().enumerate() {
                let mut machine = recording.clone();
                make(&mut machine);
                let tree = Tree::recorded(machine);
                if !path.contains("/block/") && !path.contains("/nvme/") && number % 3 == 1 {
                    look_around(&tree);
                }
                let found = look(&tree).unwrap_or_else(|| panic!("{name}: {path}, {number}"));
                let found = names(&found);
                // A disk may vanish with its own files only.
                let missing =
                    whole.difference(&found).filter(|disk| !path.split('/').any(|part| part == *disk));
                assert_eq!(missing.collect::<Vec<_>>(), [""; 0], "{name}: {path}, {number}");
            }
        }
    }
}

#[test]
fn without_the_mounts_nothing_is_offered() {
    let (_, mut recording) = fixtures().into_iter().find(|(name, _)| name == "vm-virtio").unwrap();
    recording.fail("/proc/self/mountinfo", libc::EIO).unwrap();
    let disks = inventory::disks(&Tree::recorded(recording)).unwrap();
    assert_eq!(disks.len(), 3);
    assert!(disks.iter().all(|disk| disk.refusals(NONE, Bytes(0)).contains(&Refusal::UsesUnknown)));
}

#[test]
fn without_the_list_of_devices_the_reading_fails_and_says_where() {
    let tree = parsed("aegis machine 1\n/sys\n  block ! EIO\n");
    assert_eq!(Inventory::read(&tree).unwrap_err().to_string(), "cannot list /sys/block");
    assert!(inventory::disks(&parsed("aegis machine 1\n")).unwrap().is_empty());
}

#[test]
fn the_whole_chain_is_named_up_and_down() {
    let tree = fixture("workstation-raid");
    let inventory = Inventory::read(&tree).unwrap();
    let uses: Vec<String> = inventory.disks[0].uses.iter().map(ToString::to_string).collect();
    assert_eq!(
        uses,
        [
            "nvme0n1p1 is mounted at /boot/efi",
            "nvme0n1p2 is mounted at /, through md0, vg0-root",
            "nvme0n1p2 is mounted at /home, through md0, vg0-home",
            "nvme0n1p2 is mounted at /mnt/test, through md0, vg0-home, loop3",
            "nvme0n1p2 is used as swap space, through md0, vg0-swap",
        ]
    );
    let file = inventory.volumes.iter().find(|volume| volume.name == "loop3").unwrap();
    assert_eq!(
        (file.below.as_slice(), file.disks.as_slice()),
        (&["dm-1".into()][..], &["nvme0n1".into()][..])
    );
    for device in ["/dev/loop3", "/dev/mapper/vg0-home", "/dev/dm-1", "/dev/md0", "/dev/nvme0n1p2"] {
        let disks = inventory::backing_disks(&tree, Path::new(device)).unwrap();
        assert_eq!(disks.into_iter().collect::<Vec<_>>(), ["nvme0n1"], "{device}");
    }
}

#[test]
fn every_device_of_a_btrfs_is_mounted() {
    let disks = inventory::disks(&fixture("workstation-luks-lvm-btrfs")).unwrap();
    let second = disks.iter().find(|disk| disk.name == "sda").unwrap();
    assert_eq!(second.uses, [Use::Mount { device: "sda".into(), through: Vec::new(), at: "/".into() }]);
}

#[test]
fn an_empty_slot_is_listed_and_not_offered() {
    let disks = inventory::disks(&fixture("card-reader")).unwrap();
    let offered = |disk: &&inventory::Disk| disk.refusals(NONE, Bytes(0)).is_empty();
    let offered: Vec<&str> = disks.iter().filter(offered).map(|disk| disk.name.as_str()).collect();
    assert_eq!(offered, ["sda", "sdc"]);
    assert_eq!(disks[1].refusals(NONE, Bytes(1 << 30)), [Refusal::Empty]);
    assert_eq!(disks[1].content, None, "what was in it last is not what is in it");
    assert_eq!(disks[2].told_apart_by, None, "empty slots of one reader have its number too");
}

#[test]
fn one_serial_number_does_not_confirm_two_disks() {
    let disks = inventory::disks(&fixture("duplicates")).unwrap();
    let tokens: BTreeSet<String> = disks.iter().map(inventory::Disk::confirm_token).collect();
    assert_eq!(tokens.len(), disks.len(), "{tokens:?}");
    assert!(tokens.contains("0123456789ABCDEF 2-3") && tokens.contains("AA00000000000489 sde"), "{tokens:?}");
    // One disk asked for by name is confirmed in the same way.
    let one = inventory::disk(&fixture("duplicates"), "sdc").unwrap();
    assert_eq!(one.confirm_token(), "0123456789ABCDEF 2-3");
}

#[test]
fn circles_end() {
    let tree = parsed(
        "aegis machine 1\n/sys/block\n  dm-0/dm/uuid = LVM-1\n  dm-0/holders/dm-1 /\n  dm-0/slaves/dm-1 /\n  dm-0/size = 8\n  \
         dm-1/dm/uuid = LVM-2\n  dm-1/holders/dm-0 /\n  dm-1/slaves/dm-0 /\n  dm-1/size = 8\n  \
         sda/device /\n  sda/size = 8\n  sda/holders/dm-0 /\n  sdb -> sdb\n  sdc/device /\n  sdc/size -> ../sdc/size\n\
         /proc/self\n  mountinfo = 1 0 0:1 / / rw - tmpfs tmpfs rw\n",
    );
    let inventory = look(&tree).unwrap();
    assert_eq!(names(&inventory).into_iter().collect::<Vec<_>>(), ["sda", "sdc"]);
    assert_eq!(inventory.disks[0].uses.len(), 1, "{:?}", inventory.disks[0].uses);
    assert_eq!(inventory.volumes.len(), 2);
}

#[test]
fn ten_thousand_partitions() {
    let mut text = String::from("aegis machine 1\n/sys/block/sda\n  device /\n  size = 99999999\n");
    for number in 1..=10_000 {
        let _ = write!(
            text,
            "  sda{number}/partition = {number}\n  sda{number}/start = {number}\n  sda{number}/size = 1\n"
        );
    }
    let disks = inventory::disks(&parsed(&text)).unwrap();
    assert_eq!(disks[0].partitions.len(), 10_000);
    assert_eq!((disks[0].partitions[9_999].name.as_str(), disks[0].partitions[9].number), ("sda10000", 10));
}

#[test]
fn two_hundred_disks() {
    let inventory = look(&parsed(&many::many(200))).unwrap();
    assert_eq!(inventory.disks.len(), 200);
    assert_eq!(inventory.disks.iter().map(|disk| disk.partitions.len()).sum::<usize>(), 400);
    assert_eq!(inventory.disks[0].uses.len(), 1);
    assert_eq!(inventory.warnings, []);
}
