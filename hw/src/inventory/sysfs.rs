//! Reading `/sys/block`: Linux `Documentation/ABI/stable/sysfs-block`.

use std::{fs, io, path::Path};

use super::{
    Disk, Partition, Roots, Transport,
    usage::{self, Usage},
};
use crate::{error::Error, text::reported, units::Bytes};

/// Unit of `size` and `start` in sysfs, whatever the sector size of the disk.
const SYSFS_SECTOR: u64 = 512;

/// Names of entries of a directory, sorted; none when it does not exist.
pub(crate) fn names_in(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(source) => return Err(Error::io("list", directory)(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::io("list", directory))?.file_name();
        names.extend(name.into_string().ok());
    }
    names.sort_by_key(|name| natural_key(name));
    Ok(names)
}

/// `sda10` after `sda9`.
fn natural_key(name: &str) -> (String, u64) {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem.into(), number.parse().unwrap_or(0))
}

/// Names of all block devices that are not partitions.
pub(super) fn block_devices(roots: &Roots) -> Result<Vec<String>, Error> {
    names_in(&roots.sysfs.join("block"))
}

/// Whether a block device is a disk of its own rather than made from others.
pub(super) fn is_disk(roots: &Roots, name: &str) -> bool {
    let dir = roots.sysfs.join("block").join(name);
    let boot_area = name.starts_with("mmcblk") && (name.contains("boot") || name.ends_with("rpmb"));
    // Only disks have a device behind them; SCSI type 5 is an optical drive.
    let optical = text(&dir.join("device/type")).as_deref() == Some("5") || name.starts_with("sr");
    let hidden = text(&dir.join("hidden")).as_deref() == Some("1");
    dir.join("device").exists() && !boot_area && !optical && !hidden && !name.starts_with("fd")
}

/// The disk of a disk or partition; `None` when the kernel knows neither.
pub(super) fn whole_disk(roots: &Roots, name: &str) -> Result<Option<String>, Error> {
    let block = roots.sysfs.join("block");
    if block.join(name).exists() {
        return Ok(Some(name.into()));
    }
    for disk in block_devices(roots)? {
        if block.join(&disk).join(name).join("partition").exists() {
            return Ok(Some(disk));
        }
    }
    // Names below /dev/mapper are not the kernel's names.
    for disk in block_devices(roots)? {
        if text(&block.join(&disk).join("dm/name")).as_deref() == Some(name) {
            return Ok(Some(disk));
        }
    }
    Ok(None)
}

pub(super) fn read_disk(roots: &Roots, name: &str, usage: &Usage) -> Result<Disk, Error> {
    let dir = roots.sysfs.join("block").join(name);
    let real = dir.canonicalize().map_err(Error::io("look at", &dir))?;
    let transport = transport(&real);
    let partitions = partitions(&dir)?;
    let mut uses = Vec::new();
    usage::collect(roots, usage, &dir, name, &mut uses)?;
    for partition in &partitions {
        usage::collect(roots, usage, &dir.join(&partition.name), &partition.name, &mut uses)?;
    }
    let small =
        |file: &str, default| number(&dir.join(file)).and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
    Ok(Disk {
        name: name.into(),
        node: roots.dev.join(name),
        size: Bytes(number(&dir.join("size")).unwrap_or(0).saturating_mul(SYSFS_SECTOR)),
        logical_sector: small("queue/logical_block_size", 512),
        physical_sector: small("queue/physical_block_size", 512),
        model: model(&dir),
        serial: serial(&dir, &real),
        wwn: text(&dir.join("wwid")).or_else(|| text(&dir.join("device/wwid"))),
        removable: number(&dir.join("removable")) == Some(1) || transport == Transport::Usb,
        read_only: number(&dir.join("ro")) == Some(1),
        rotational: number(&dir.join("queue/rotational")) == Some(1),
        transport,
        diskseq: number(&dir.join("diskseq")),
        partitions,
        uses,
    })
}

fn partitions(dir: &Path) -> Result<Vec<Partition>, Error> {
    let mut found = Vec::new();
    for name in names_in(dir)? {
        let entry = dir.join(&name);
        let Some(number_in_table) = number(&entry.join("partition")) else { continue };
        found.push(Partition {
            name,
            number: u32::try_from(number_in_table).unwrap_or(u32::MAX),
            start: number(&entry.join("start")).unwrap_or(0).saturating_mul(SYSFS_SECTOR),
            size: Bytes(number(&entry.join("size")).unwrap_or(0).saturating_mul(SYSFS_SECTOR)),
        });
    }
    Ok(found)
}

fn transport(real: &Path) -> Transport {
    let component = |test: &dyn Fn(&str) -> bool| real.iter().any(|part| part.to_str().is_some_and(test));
    let numbered = |prefix: &'static str| {
        move |part: &str| {
            part.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        }
    };
    if component(&numbered("usb")) {
        Transport::Usb
    } else if component(&numbered("nvme")) {
        Transport::Nvme
    } else if component(&numbered("virtio")) {
        Transport::Virtio
    } else if component(&numbered("ata")) {
        Transport::Ata
    } else if component(&numbered("mmc")) {
        Transport::Mmc
    } else if component(&numbered("host")) {
        Transport::Scsi
    } else {
        Transport::Other
    }
}

fn model(dir: &Path) -> Option<String> {
    let model = text(&dir.join("device/model")).or_else(|| text(&dir.join("device/name")));
    // ATA disks report the name of their bus as vendor; PCI devices a number.
    let vendor = text(&dir.join("device/vendor")).filter(|v| v != "ATA" && !v.starts_with("0x"));
    match (vendor, model) {
        (Some(vendor), Some(model)) if !model.starts_with(&vendor) => Some(format!("{vendor} {model}")),
        (vendor, model) => model.or(vendor),
    }
}

/// Serial number of a disk, or its WWN.
pub(crate) fn disk_identity(roots: &Roots, name: &str) -> Option<String> {
    let dir = roots.sysfs.join("block").join(name);
    let real = dir.canonicalize().ok()?;
    serial(&dir, &real).or_else(|| text(&dir.join("wwid"))).or_else(|| text(&dir.join("device/wwid")))
}

/// NVMe and MMC, then virtio, then SCSI's page 0x80, then the USB device above the disk.
fn serial(dir: &Path, real: &Path) -> Option<String> {
    text(&dir.join("device/serial"))
        .or_else(|| text(&dir.join("serial")))
        .or_else(|| unit_serial(&fs::read(dir.join("device/vpd_pg80")).ok()?))
        .or_else(|| {
            let usb = real.ancestors().find(|above| above.join("idVendor").exists())?;
            text(&usb.join("serial"))
        })
}

/// Unit serial number page: SPC-4, 7.8.15. Four bytes of header, the length in the last two.
fn unit_serial(page: &[u8]) -> Option<String> {
    if page.get(1) != Some(&0x80) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    reported(page.get(4..)?.get(..length)?)
}

/// Content of a file that the kernel may not offer for this disk.
pub(crate) fn text(file: &Path) -> Option<String> {
    fs::read(file).ok().and_then(|raw| reported(&raw))
}

pub(crate) fn number(file: &Path) -> Option<u64> {
    text(file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_of_page_80() {
        assert_eq!(unit_serial(b"\0\x80\0\x08  S3Z8NB").as_deref(), Some("S3Z8NB"));
        assert_eq!(unit_serial(b"\0\x80\0\x09  S3Z8NB"), None, "shorter than it claims");
        assert_eq!(unit_serial(b"\0\x83\0\x02ab"), None);
        assert_eq!(unit_serial(b"\0\x80\0"), None);
        assert_eq!(unit_serial(b""), None);
    }

    #[test]
    fn names_sort_by_number() {
        let mut names = ["sda10", "sda9", "sdb", "sda"];
        names.sort_by_key(|n| natural_key(n));
        assert_eq!(names, ["sda", "sda9", "sda10", "sdb"]);
    }

    #[test]
    fn transport_from_path() {
        for (path, expected) in [
            (
                "/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb",
                Transport::Usb,
            ),
            ("/sys/devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1", Transport::Nvme),
            ("/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda", Transport::Virtio),
            ("/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda", Transport::Ata),
            (
                "/sys/devices/pci0000:00/0000:00:04.0/virtio1/host2/target2:0:0/2:0:0:0/block/sda",
                Transport::Virtio,
            ),
            ("/sys/devices/platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0", Transport::Mmc),
            ("/sys/devices/virtual/block/loop0", Transport::Other),
        ] {
            assert_eq!(transport(Path::new(path)), expected, "{path}");
        }
    }
}
