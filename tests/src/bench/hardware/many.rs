//! A made-up server with many disks behind SAS expanders and on NVMe, in the form of a recording.

use std::{fmt::Write as _, fs, os::unix::fs::symlink, path::Path};

use aegis_hw::{Tree, tree::Recording};

use super::wrong;
use crate::error::Error;

/// Partitions of each disk.
pub(super) const PARTITIONS: usize = 3;

/// Every so many disks one is NVMe, the others are SAS.
const NVME_EACH: usize = 5;

/// Name of the last partition of the last disk on NVMe.
pub(super) fn last_partition(disks: usize) -> String {
    format!("nvme{}n1p{PARTITIONS}", (disks - 1) / NVME_EACH * NVME_EACH)
}

/// The machine.
pub(super) fn text(disks: usize) -> String {
    let mut text = String::from("aegis machine 1\n# Made up for a benchmark.\n");
    let mut links = String::from("/sys/block\n");
    let mut numbers = String::from("/sys/dev/block\n");
    for number in 0..disks {
        let disk = if number % NVME_EACH == 0 { Disk::nvme(number) } else { Disk::sas(number) };
        disk.write(&mut text);
        let directory = format!("{}/{}", disk.block.trim_start_matches("/sys"), disk.name);
        writeln!(links, "  {} -> ..{directory}", disk.name).ok();
        writeln!(numbers, "  259:{} -> ../..{directory}", disk.minor()).ok();
        for number in 1..=PARTITIONS {
            let (minor, name) = (disk.minor() + number, disk.partition(number));
            writeln!(numbers, "  259:{minor} -> ../..{directory}/{name}").ok();
        }
    }
    text.push_str(&links);
    text.push_str(&numbers);
    // Each file system of the machine is mounted from one of its disks or from memory.
    text.push_str("/proc/self\n  mountinfo =|\n  | 1 0 0:1 / / rw - tmpfs tmpfs rw\n");
    for number in 0..64 {
        writeln!(
            text,
            "  | {} 1 259:{} / /srv/{number} rw - xfs /dev/nvme0n1p1 rw",
            number + 2,
            number * 64 + 1
        )
        .ok();
    }
    text.push_str("/proc\n  swaps = Filename\\t\\t\\t\\tType\\t\\tSize\\t\\tUsed\\t\\tPriority\n");
    text
}

/// The target of a link from the link's place on, as short as the kernel writes it.
fn relative(link: &str, target: &str) -> String {
    let Some(target) = target.strip_prefix('/') else { return target.into() };
    let (from, to): (Vec<_>, Vec<_>) = (link[1..].split('/').collect(), target.split('/').collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    "../".repeat(from.len() - common - 1) + &to[common..].join("/")
}

/// Puts a recording's files and links below a directory, as sysfs has them: links are relative.
pub(super) fn unpack(text: &str, root: &Path) -> Result<(), Error> {
    let recording = Recording::parse(text.as_bytes()).map_err(wrong)?;
    let tree = Tree::recorded(recording.clone());
    for path in recording.paths() {
        let place = root.join(path.trim_start_matches('/'));
        let parent = place.parent().unwrap_or(root);
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        match (recording.content(&path), tree.link(&path)) {
            (Some(content), _) => fs::write(&place, content).map_err(Error::io("write", &place))?,
            (None, Some(target)) => {
                let target = relative(&path, &target);
                symlink(&target, &place).map_err(Error::io("link", &place))?;
            }
            (None, None) => return Err(wrong(format!("{path} is neither a file nor a link"))),
        }
    }
    Ok(())
}

struct Disk {
    name: String,
    /// Device behind it.
    device: String,
    /// Directory that the disk's is in.
    block: String,
    facts: Vec<String>,
    number: usize,
}

impl Disk {
    fn nvme(number: usize) -> Self {
        let device = format!("/sys/devices/pci0000:80/0000:80:01.0/0000:{number:02x}:00.0/nvme/nvme{number}");
        let facts = ["model = MZWLR3T8HBLS-00007", "transport = pcie", "firmware_rev = MPK90B5Q"];
        let mut facts: Vec<_> = facts.map(String::from).to_vec();
        facts.push(format!("serial = S5XANE0R{number:06}"));
        Self { name: format!("nvme{number}n1"), block: device.clone(), device, facts, number }
    }

    fn sas(number: usize) -> Self {
        let host = "/sys/devices/pci0000:00/0000:00:03.0/0000:03:00.0/host0/port-0:0/expander-0:0";
        let device =
            format!("{host}/port-0:0:{number}/end_device-0:0:{number}/target0:0:{number}/0:0:{number}:0");
        let facts = ["vendor = SEAGATE", "model = ST16000NM004J", "type = 0", "rev = E004"];
        let mut facts: Vec<_> = facts.map(String::from).to_vec();
        facts.push(format!("wwid = naa.5000c500d{number:07x}"));
        // Unit serial number page: SPC-4, 7.8.15.
        let serial: String = format!("ZR5{number:05}").bytes().map(|byte| format!(" {byte:02x}")).collect();
        facts.push(format!("vpd_pg80 =x 00 80 00 08{serial}"));
        Self { name: letters(number), block: format!("{device}/block"), device, facts, number }
    }

    fn minor(&self) -> usize {
        self.number * 64
    }

    fn partition(&self, number: usize) -> String {
        let between = if self.name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
        format!("{}{between}{number}", self.name)
    }

    fn write(&self, text: &mut String) {
        let Self { name, device, block, facts, number } = self;
        writeln!(text, "{device}").ok();
        facts.iter().for_each(|fact| {
            writeln!(text, "  {fact}").ok();
        });
        let minor = self.minor();
        writeln!(
            text,
            "{block}/{name}\n  size = 31251759104\n  dev = 259:{minor}\n  removable = 0\n  ro = 0"
        )
        .ok();
        writeln!(text, "  diskseq = {}\n  device -> {device}", number + 1).ok();
        text.push_str(
            "  queue/logical_block_size = 512\n  queue/physical_block_size = 4096\n  queue/rotational = 1\n",
        );
        text.push_str("  queue/optimal_io_size = 0\n  holders /\n  slaves /\n");
        for partition in 1..=PARTITIONS {
            let start = partition << 28;
            let (own, minor) = (self.partition(partition), minor + partition);
            writeln!(text, "{block}/{name}/{own}\n  partition = {partition}\n  dev = 259:{minor}").ok();
            writeln!(text, "  start = {start}\n  size = 268435456\n  ro = 0\n  holders /\n  uevent =|").ok();
            for property in [
                "MAJOR=259",
                &format!("MINOR={minor}"),
                &format!("DEVNAME={own}"),
                "DEVTYPE=partition",
                &format!("DISKSEQ={}", number + 1),
                &format!("PARTN={partition}"),
            ] {
                writeln!(text, "  | {property}").ok();
            }
        }
    }
}

/// `sda`, `sdz`, `sdaa`, as the kernel counts.
fn letters(number: usize) -> String {
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).unwrap_or_default());
    match number / 26 {
        0 => format!("sd{}", letter(number)),
        above => format!("sd{}{}", letter(above - 1), letter(number)),
    }
}

#[cfg(test)]
mod tests {
    use aegis_hw::{Tree, inventory, tree::Recording};

    #[test]
    fn every_disk_of_the_machine_is_found_whole() {
        let tree = Tree::recorded(Recording::parse(super::text(30).as_bytes()).unwrap());
        let disks = inventory::disks(&tree).unwrap();
        assert_eq!(disks.len(), 30);
        for disk in disks {
            assert!(disk.serial.is_some() && disk.model.is_some(), "{disk:?}");
            assert_eq!(disk.partitions.len(), super::PARTITIONS);
        }
    }
}
