//! A made-up server with many disks behind SAS expanders and on NVMe, in the form of a recording.

use std::fmt::Write as _;

/// Partitions of each disk.
pub(super) const PARTITIONS: usize = 3;

/// Every fifth disk is NVMe, the others are SAS.
pub(super) fn text(disks: usize) -> String {
    let mut text = String::from("aegis machine 1\n# Made up for a benchmark.\n");
    let mut links = String::from("/sys/block\n");
    for number in 0..disks {
        let disk = if number % 5 == 0 { Disk::nvme(number) } else { Disk::sas(number) };
        disk.write(&mut text);
        writeln!(links, "  {} -> ..{}/{}", disk.name, disk.block.trim_start_matches("/sys"), disk.name).ok();
    }
    text.push_str(&links);
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
    text.push_str("/proc\n  swaps = Filename Type Size Used Priority\n");
    text
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

    fn write(&self, text: &mut String) {
        let Self { name, device, block, facts, number } = self;
        writeln!(text, "{device}").ok();
        facts.iter().for_each(|fact| {
            writeln!(text, "  {fact}").ok();
        });
        let minor = number * 64;
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
        let between = if name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
        for partition in 1..=PARTITIONS {
            let start = partition << 28;
            writeln!(text, "{block}/{name}/{name}{between}{partition}\n  partition = {partition}").ok();
            writeln!(
                text,
                "  start = {start}\n  size = 268435456\n  dev = 259:{}\n  holders /",
                minor + partition
            )
            .ok();
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
