//! A machine with as many disks as are wanted.

use std::fmt::Write;

/// The recording of a storage server: SAS disks with tables, every third in a RAID.
pub(crate) fn many(disks: usize) -> String {
    let mut text = String::from("aegis machine 1\n# made by a test\n");
    let mut arrays = Vec::new();
    for index in 0..disks {
        let name = name(index);
        let at = format!("/sys/devices/pci0000:40/0000:40:01.0/host0/target0:0:{index}/0:0:{index}:0");
        let (major, minor) = (8 + index / 16, index % 16 * 16);
        let _ = write!(
            text,
            "{at}\n  vendor = SEAGATE\\x20\n  model = ST18000NM004J\n  rev = E004\n  type = 0\n  state = running\n  \
             ioerr_cnt = 0x2\n  wwid = naa.5000c500d1{index:06x}\n  vpd_pg80 =x 00800008{}\n\
             {at}/block/{name}\n  size = 35156656128\n  dev = {major}:{minor}\n  ro = 0\n  removable = 0\n  \
             alignment_offset = 0\n  diskseq = {index}\n  hidden = 0\n  device -> ../../../0:0:{index}:0\n  holders /\n  \
             slaves /\n  queue/logical_block_size = 512\n  queue/physical_block_size = 4096\n  \
             queue/optimal_io_size = 0\n  queue/rotational = 1\n",
            hex(&format!("ZR5D{index:04}")),
        );
        for number in 1..=2 {
            let _ = write!(
                text,
                "  {name}{number}/partition = {number}\n  {name}{number}/start = {}\n  {name}{number}/size = 2097152\n  \
                 {name}{number}/ro = 0\n  {name}{number}/dev = {major}:{}\n  {name}{number}/uevent =|\n  \
                 | DEVTYPE=partition\n  | PARTN={number}\n",
                2048 + number * 2_097_152,
                minor + number,
            );
            let _ = writeln!(text, "  {name}{number}/holders /");
        }
        let _ = write!(text, "/sys/block\n  {name} -> ..{}/block/{name}\n", &at["/sys".len()..]);
        for (number, kind) in [(0, ""), (1, "E:ID_FS_TYPE=ext4\n"), (2, "E:ID_FS_TYPE=linux_raid_member\n")] {
            let lines = format!("E:ID_PART_TABLE_TYPE=gpt\n{kind}");
            let lines = lines.trim_end().replace('\n', "\n  | ");
            let _ = write!(text, "/run/udev/data\n  b{major}:{} =|\n  | {lines}\n", minor + number);
        }
        arrays.push(format!("{name}2"));
    }
    text.push_str("/proc/self\n  mountinfo =|\n  | 1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
    text
}

/// `sda`, `sdz`, `sdaa`.
fn name(index: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        letters.push(b'a' + u8::try_from((rest - 1) % 26).unwrap_or(0));
        rest = (rest - 1) / 26;
    }
    letters.reverse();
    format!("sd{}", String::from_utf8_lossy(&letters))
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
