//! The same tables, read by sgdisk, sfdisk and parted.

use std::{path::Path, process::Command};

use aegis_hw::{
    tables::{DiskId, PartitionType, Scheme, TablePlan},
    units::SectorSize,
};

/// Standard output of a program that must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    // Debian keeps these programs out of a user's PATH.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = command.env("PATH", path).env("LC_ALL", "C.UTF-8").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The table by sfdisk, which knows sectors of 512 bytes; `None` where it finds none.
pub(crate) fn sfdisk(path: &Path) -> Option<serde_json::Value> {
    let output = Command::new("/usr/sbin/sfdisk").arg("--json").arg(path).output().unwrap();
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    Some(table["partitiontable"].clone())
}

/// First and last sector of every partition by fdisk, whose library is that of sfdisk.
pub(crate) fn fdisk(path: &Path, sector: u32) -> Vec<(u64, u64)> {
    let mut command = Command::new("fdisk");
    command.args(["--list", "--output", "Start,End", "--sector-size", &sector.to_string()]);
    let text = output(command.arg(path));
    let numbers = |line: &str| {
        let mut words = line.split_ascii_whitespace().map(str::parse);
        Some((words.next()?.ok()?, words.next()?.ok()?))
    };
    text.lines().filter_map(numbers).collect()
}

/// First and last sector of every partition that sfdisk found.
fn places(table: &serde_json::Value) -> Vec<(u64, u64)> {
    let partitions = table["partitions"].as_array().cloned().unwrap_or_default();
    let place = |partition: &serde_json::Value| {
        let (start, size) = (partition["start"].as_u64().unwrap(), partition["size"].as_u64().unwrap());
        (start, start + size - 1)
    };
    partitions.iter().map(place).collect()
}

/// Demands that every program reads what was planned.
pub(crate) fn assert_same(plan: &TablePlan, path: &Path) {
    assert_eq!(fdisk(path, plan.disk.sector_size.into()), places_of(plan));
    // The others take the sectors of a file for 512 bytes.
    if plan.disk.sector_size == SectorSize::S512 {
        check_sfdisk(plan, path);
        if plan.id.scheme() == Scheme::Gpt {
            check_sgdisk(plan, path);
        }
        check_parted(plan, path);
    }
}

fn places_of(plan: &TablePlan) -> Vec<(u64, u64)> {
    plan.partitions.iter().map(|placed| (placed.first.0, placed.last.0)).collect()
}

fn check_sfdisk(plan: &TablePlan, path: &Path) {
    let table = sfdisk(path).expect("sfdisk finds a table");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_lowercase();
    let (label, id) = match plan.id {
        DiskId::Guid(guid) => ("gpt", guid.to_string()),
        DiskId::Signature(number) => ("dos", format!("0x{number:08x}")),
    };
    assert_eq!((text(&table["label"]), text(&table["id"])), (label.to_owned(), id));
    assert_eq!(places(&table), places_of(plan));
    let empty = Vec::new();
    for (found, placed) in table["partitions"].as_array().unwrap_or(&empty).iter().zip(&plan.partitions) {
        match placed.kind {
            PartitionType::Gpt(kind) => {
                assert_eq!(text(&found["type"]), kind.to_string());
                assert_eq!(text(&found["uuid"]), placed.guid.unwrap().to_string());
                // sfdisk escapes what is not plain in its own way.
                if placed.name.chars().all(|c| c.is_alphanumeric()) {
                    assert_eq!(found["name"].as_str().unwrap_or_default(), placed.name);
                }
            }
            PartitionType::Mbr(byte) => assert_eq!(text(&found["type"]), format!("{byte:x}")),
        }
    }
}

fn check_sgdisk(plan: &TablePlan, path: &Path) {
    let verdict = output(Command::new("sgdisk").arg("--verify").arg(path));
    assert!(verdict.contains("No problems found"), "{verdict}");
    for (number, placed) in (1..).zip(&plan.partitions) {
        let text = output(Command::new("sgdisk").arg(format!("--info={number}")).arg(path));
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name}: {text}")).trim().split(' ').next().unwrap().to_lowercase()
        };
        assert_eq!(field("First sector:"), placed.first.to_string());
        assert_eq!(field("Last sector:"), placed.last.to_string());
        assert_eq!(field("Partition unique GUID:"), placed.guid.unwrap().to_string());
        assert_eq!(field("Attribute flags:"), format!("{:016x}", placed.attributes.0));
    }
}

fn check_parted(plan: &TablePlan, path: &Path) {
    // parted refuses tables with properties that it does not know; it prints those that it reads.
    let text = output(Command::new("parted").args(["-m", "-s"]).arg(path).args(["unit", "s", "print"]));
    let rows = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let sector = |field: &str| field.trim_end_matches('s').parse::<u64>().unwrap();
    let found: Vec<_> = rows
        .map(|row| row.split(':').collect::<Vec<_>>())
        .map(|fields| (sector(fields[1]), sector(fields[2])))
        .collect();
    assert_eq!(found, places_of(plan), "{text}");
}
