//! Reading `/sys/block`: Linux `Documentation/ABI/stable/sysfs-block`.

use super::{
    Disk, Partition, Transport,
    usage::{self, Usage},
};
use crate::{error::Error, text::reported, tree::Tree, units::Bytes};

/// Unit of `size` and `start` in sysfs, whatever the sector size of the disk.
const SYSFS_SECTOR: u64 = 512;

/// Names of all block devices that are not partitions.
pub(super) fn block_devices(tree: &Tree) -> Result<Vec<String>, Error> {
    tree.list("/sys/block")
}

/// Whether a block device is a disk of its own rather than made from others.
pub(super) fn is_disk(tree: &Tree, name: &str) -> bool {
    let dir = format!("/sys/block/{name}");
    let boot_area = name.starts_with("mmcblk") && (name.contains("boot") || name.ends_with("rpmb"));
    // Only disks have a device behind them; SCSI type 5 is an optical drive.
    let optical = tree.text(&format!("{dir}/device/type")).as_deref() == Some("5") || name.starts_with("sr");
    let hidden = tree.text(&format!("{dir}/hidden")).as_deref() == Some("1");
    tree.exists(&format!("{dir}/device")) && !boot_area && !optical && !hidden && !name.starts_with("fd")
}

/// The disk of a disk or partition; `None` when the kernel knows neither.
pub(super) fn whole_disk(tree: &Tree, name: &str) -> Result<Option<String>, Error> {
    if tree.exists(&format!("/sys/block/{name}")) {
        return Ok(Some(name.into()));
    }
    for disk in block_devices(tree)? {
        if tree.exists(&format!("/sys/block/{disk}/{name}/partition")) {
            return Ok(Some(disk));
        }
    }
    // Names below /dev/mapper are not the kernel's names.
    for disk in block_devices(tree)? {
        if tree.text(&format!("/sys/block/{disk}/dm/name")).as_deref() == Some(name) {
            return Ok(Some(disk));
        }
    }
    Ok(None)
}

pub(super) fn read_disk(tree: &Tree, name: &str, usage: &Usage) -> Result<Disk, Error> {
    let dir = format!("/sys/block/{name}");
    let real = tree.real(&dir)?;
    let transport = transport(&real);
    let partitions = partitions(tree, &dir)?;
    let mut uses = Vec::new();
    usage::collect(tree, usage, &dir, name, &mut uses)?;
    for partition in &partitions {
        usage::collect(tree, usage, &format!("{dir}/{}", partition.name), &partition.name, &mut uses)?;
    }
    let small = |file: &str, default| {
        tree.number(&format!("{dir}/{file}")).and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
    };
    Ok(Disk {
        name: name.into(),
        node: tree.physical(&format!("/dev/{}", name.replace('!', "/"))),
        size: Bytes(tree.number(&format!("{dir}/size")).unwrap_or(0).saturating_mul(SYSFS_SECTOR)),
        logical_sector: small("queue/logical_block_size", 512),
        physical_sector: small("queue/physical_block_size", 512),
        model: model(tree, &dir),
        serial: serial(tree, &dir, &real),
        wwn: tree.text(&format!("{dir}/wwid")).or_else(|| tree.text(&format!("{dir}/device/wwid"))),
        removable: tree.number(&format!("{dir}/removable")) == Some(1) || transport == Transport::Usb,
        read_only: tree.number(&format!("{dir}/ro")) == Some(1),
        rotational: tree.number(&format!("{dir}/queue/rotational")) == Some(1),
        transport,
        diskseq: tree.number(&format!("{dir}/diskseq")),
        partitions,
        uses,
    })
}

fn partitions(tree: &Tree, dir: &str) -> Result<Vec<Partition>, Error> {
    let mut found = Vec::new();
    for name in tree.list(dir)? {
        let entry = format!("{dir}/{name}");
        let Some(number_in_table) = tree.number(&format!("{entry}/partition")) else { continue };
        found.push(Partition {
            name,
            number: u32::try_from(number_in_table).unwrap_or(u32::MAX),
            start: tree.number(&format!("{entry}/start")).unwrap_or(0).saturating_mul(SYSFS_SECTOR),
            size: Bytes(tree.number(&format!("{entry}/size")).unwrap_or(0).saturating_mul(SYSFS_SECTOR)),
        });
    }
    Ok(found)
}

fn transport(real: &str) -> Transport {
    let component = |test: &dyn Fn(&str) -> bool| real.split('/').any(test);
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

fn model(tree: &Tree, dir: &str) -> Option<String> {
    let model =
        tree.text(&format!("{dir}/device/model")).or_else(|| tree.text(&format!("{dir}/device/name")));
    // ATA disks report the name of their bus as vendor; PCI devices a number.
    let vendor = tree.text(&format!("{dir}/device/vendor")).filter(|v| v != "ATA" && !v.starts_with("0x"));
    match (vendor, model) {
        (Some(vendor), Some(model)) if !model.starts_with(&vendor) => Some(format!("{vendor} {model}")),
        (vendor, model) => model.or(vendor),
    }
}

/// Serial number of a disk, or its WWN.
pub(crate) fn disk_identity(tree: &Tree, name: &str) -> Option<String> {
    let dir = format!("/sys/block/{name}");
    let real = tree.real(&dir).ok()?;
    serial(tree, &dir, &real)
        .or_else(|| tree.text(&format!("{dir}/wwid")))
        .or_else(|| tree.text(&format!("{dir}/device/wwid")))
}

/// NVMe and MMC, then virtio, then SCSI's page 0x80, then the USB device above the disk.
fn serial(tree: &Tree, dir: &str, real: &str) -> Option<String> {
    tree.text(&format!("{dir}/device/serial"))
        .or_else(|| tree.text(&format!("{dir}/serial")))
        .or_else(|| unit_serial(&tree.read(&format!("{dir}/device/vpd_pg80")).ok()?))
        .or_else(|| {
            let usb = ancestors(real).find(|above| tree.exists(&format!("{above}/idVendor")))?;
            tree.text(&format!("{usb}/serial"))
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

/// The directories above a path, the nearest first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above))
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
            assert_eq!(transport(path), expected, "{path}");
        }
    }
}
