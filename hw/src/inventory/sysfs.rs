//! One disk by its files in sysfs.

use super::{
    Disk, Partition, Transport,
    block::{Block, Part},
    content,
    disk::Fault,
    usb,
};
use crate::{
    error::Error,
    sys,
    text::reported,
    tree::{Directory, Tree},
    units::Bytes,
};

/// Unit of `size` in sysfs, whatever the sector size of the disk.
const SYSFS_SECTOR: u64 = 512;

/// Reads files of one disk, and keeps which of them failed.
struct Files<'a> {
    directory: Directory<'a>,
    faults: Vec<Fault>,
}

impl Files<'_> {
    /// Content of a file that the kernel may not offer for this disk.
    fn bytes(&mut self, file: &str) -> Option<Vec<u8>> {
        match self.directory.read_if_any(file) {
            Ok(bytes) => bytes,
            Err(Error::Io { source, .. }) => {
                // What needs privileges, or is not offered by this driver, says nothing about the disk.
                if !sys::is_refusal(&source) {
                    self.faults.push(Fault { file: file.into(), error: described(&source) });
                }
                None
            }
            Err(_other) => None,
        }
    }

    fn text(&mut self, file: &str) -> Option<String> {
        self.bytes(file).and_then(|raw| reported(&raw))
    }

    fn number(&mut self, file: &str) -> Option<u64> {
        self.text(file)?.parse().ok()
    }

    /// A number that the disk cannot be used without.
    fn needed(&mut self, file: &str) -> u64 {
        let faults = self.faults.len();
        let number = self.number(file);
        if number.is_none() && self.faults.len() == faults {
            self.faults.push(Fault { file: file.into(), error: "it is no number".into() });
        }
        number.unwrap_or(0)
    }

    fn small(&mut self, file: &str, default: u32) -> u32 {
        self.number(file).and_then(|number| u32::try_from(number).ok()).unwrap_or(default)
    }

    /// Numbers of the SCSI layer are hexadecimal: Linux `drivers/scsi/scsi_sysfs.c`.
    fn hexadecimal(&mut self, file: &str) -> Option<u64> {
        u64::from_str_radix(self.text(file)?.strip_prefix("0x")?, 16).ok()
    }
}

/// What the system says, without the number that differs between systems.
fn described(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// A disk, before it is known what uses it.
pub(super) fn read_disk(tree: &Tree, block: &Block, content: &content::Reader<'_>) -> Disk {
    let mut files = Files { directory: Directory::open(tree, &block.directory), faults: Vec::new() };
    let transport = transport(&block.directory);
    let usb = (transport == Transport::Usb).then(|| usb::place(tree, &block.directory)).flatten();
    let size = Bytes(files.needed("size").saturating_mul(SYSFS_SECTOR));
    let found = content.of(block.device, &block.name, size);
    files.faults.extend(found.fault.map(|error| Fault { file: "content".into(), error }));
    let (vendor, model) = model(&mut files);
    let removable_medium = files.number("removable") == Some(1);
    let revision = ["device/rev", "device/firmware_rev", "device/hwrev"].into_iter();
    Disk {
        name: block.name.clone(),
        node: tree.physical(&format!("/dev/{}", block.name.replace('!', "/"))),
        device: block.device,
        size,
        logical_sector: files.small("queue/logical_block_size", 512),
        physical_sector: files.small("queue/physical_block_size", 512),
        optimal_io: files.small("queue/optimal_io_size", 0),
        alignment_offset: files.small("alignment_offset", 0),
        revision: revision.filter_map(|file| files.text(file)).next(),
        serial: serial(&mut files, usb.as_ref()),
        told_apart_by: None,
        wwn: files.text("wwid").or_else(|| files.text("device/wwid")),
        removable: removable_medium || transport == Transport::Usb,
        removable_medium,
        read_only: files.number("ro") == Some(1),
        rotational: files.number("queue/rotational") == Some(1),
        transport,
        usb,
        paths: controllers(tree, &block.directory),
        diskseq: files.number("diskseq"),
        fingerprint: None,
        state: files.text("device/state"),
        io_errors: files.hexadecimal("device/ioerr_cnt"),
        table: found.table,
        content: found.content,
        partitions: block.partitions.iter().map(|part| partition(part, content)).collect(),
        holders: block.holders.clone(),
        uses: Vec::new(),
        uses_known: true,
        vendor,
        model,
        faults: files.faults,
    }
}

fn partition(part: &Part, content: &content::Reader<'_>) -> Partition {
    let found = content.of(part.device, &part.name, part.size);
    Partition {
        name: part.name.clone(),
        device: part.device,
        number: part.number,
        start: part.start,
        size: part.size,
        read_only: part.read_only,
        kind: found.kind,
        guid: part.guid.clone().or(found.guid),
        label: part.label.clone().or(found.label),
        content: found.content,
        holders: part.holders.clone(),
    }
}

/// The bus, by the devices that the disk is below.
pub(super) fn transport(real: &str) -> Transport {
    let component = |prefix: &str| {
        real.split('/').any(|part| {
            part.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    let buses = [
        ("usb", Transport::Usb),
        ("nvme", Transport::Nvme),
        ("virtio", Transport::Virtio),
        ("ata", Transport::Ata),
        ("mmc", Transport::Mmc),
        ("host", Transport::Scsi),
    ];
    buses.into_iter().find(|(prefix, _)| component(prefix)).map_or(Transport::Other, |(_, bus)| bus)
}

/// Maker, and maker with model.
fn model(files: &mut Files<'_>) -> (Option<String>, Option<String>) {
    let model = files.text("device/model").or_else(|| files.text("device/name"));
    // ATA disks report the name of their bus as vendor; PCI devices a number.
    let vendor = files.text("device/vendor").filter(|v| v != "ATA" && !v.starts_with("0x"));
    let both = match (&vendor, model) {
        (Some(vendor), Some(model)) if !model.starts_with(vendor.as_str()) => {
            Some(format!("{vendor} {model}"))
        }
        (vendor, model) => model.or_else(|| vendor.clone()),
    };
    (vendor, both)
}

/// Serial number of a disk, or its WWN.
pub(crate) fn disk_identity(tree: &Tree, name: &str) -> Option<String> {
    let directory = tree.real(&format!("/sys/block/{name}")).ok()?;
    let mut files = Files { directory: Directory::open(tree, &directory), faults: Vec::new() };
    let usb = usb::place(tree, &directory);
    serial(&mut files, usb.as_ref()).or_else(|| files.text("wwid")).or_else(|| files.text("device/wwid"))
}

/// NVMe and MMC, then virtio, then SCSI's page 0x80, then the USB device above the disk.
fn serial(files: &mut Files<'_>, usb: Option<&usb::UsbPlace>) -> Option<String> {
    files
        .text("device/serial")
        .or_else(|| files.text("serial"))
        .or_else(|| unit_serial(&files.bytes("device/vpd_pg80")?))
        .or_else(|| usb?.serial.clone())
}

/// Unit serial number page: SPC-4, 7.8.15. Four bytes of header, the length in the last two.
fn unit_serial(page: &[u8]) -> Option<String> {
    if page.get(1) != Some(&0x80) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    reported(page.get(4..)?.get(..length)?)
}

/// Controllers of an NVMe subsystem, where the kernel joins several ways to one namespace: Linux `drivers/nvme/host/multipath.c`.
fn controllers(tree: &Tree, directory: &str) -> Vec<String> {
    let Some((subsystem, _)) = directory.rsplit_once('/').filter(|(above, _)| above.contains("/nvme-subsys"))
    else {
        return Vec::new();
    };
    let controller =
        |name: &str| name.strip_prefix("nvme").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let mut found = Vec::new();
    for name in tree.list_named(subsystem, &controller).unwrap_or_default() {
        let text = |file: &str| tree.text(&format!("{subsystem}/{name}/{file}"));
        let words = [text("transport"), text("address"), text("state")];
        let words: Vec<String> = words.into_iter().flatten().collect();
        found.push(format!("{name} {}", words.join(" ")).trim_end().into());
    }
    found
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
            ("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", Transport::Nvme),
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
