//! One event of the kernel's device model (`lib/kobject_uevent.c`): `ACTION@PATH`, then `NAME=VALUE`, each with a
//! final zero byte.

/// The fields of an event that the boot uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uevent {
    /// `add`, `change`, `remove`, `bind`, …
    pub(crate) action: String,
    /// Such as `block` or `usb`.
    pub(crate) subsystem: String,
    /// Path below `/sys`, which starts with `/`.
    pub(crate) path: String,
    /// What a driver's alias is compared with.
    pub(crate) modalias: Option<String>,
    /// The kernel's number of the event.
    pub(crate) sequence: Option<u64>,
}

impl Uevent {
    /// Parses a message of the netlink socket; `None` when it is none, such as one of udev's.
    pub(crate) fn from_message(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.split(|byte| *byte == 0);
        let header = std::str::from_utf8(parts.next()?).ok()?;
        let (action, path) = header.split_once('@')?;
        let mut event = Self { action: action.to_string(), path: path.to_string(), ..Self::default() };
        parts.filter_map(|part| std::str::from_utf8(part).ok()).for_each(|pair| event.set(pair));
        Some(event)
    }

    fn set(&mut self, pair: &str) {
        let Some((name, value)) = pair.split_once('=') else { return };
        match name {
            "SUBSYSTEM" => self.subsystem = value.to_string(),
            "MODALIAS" => self.modalias = Some(value.to_string()),
            "SEQNUM" => self.sequence = value.parse().ok(),
            _ => {}
        }
    }

    /// A disk or partition that came, went or changed its medium: its name in `/sys/class/block`.
    pub(crate) fn block_device(&self) -> Option<&str> {
        let is_news =
            self.subsystem == "block" && matches!(self.action.as_str(), "add" | "change" | "remove");
        is_news.then(|| self.path.rsplit('/').next()).flatten()
    }

    /// Whether the event is evidence that a disk is on its way to its block device.
    pub(crate) fn is_progress(&self) -> bool {
        const PATH_TO_A_DISK: [&str; 8] =
            ["usb", "scsi", "scsi_host", "block", "mmc", "mmc_host", "nvme", "virtio"];
        self.action == "add" && PATH_TO_A_DISK.contains(&self.subsystem.as_str())
    }
}

/// Whether the device is a USB interface of the mass storage class.
pub(crate) fn is_usb_storage(modalias: &str) -> bool {
    modalias.starts_with("usb:") && modalias.contains("ic08")
}

/// Whether a device without a driver can be the reason that no disk is found: a controller of storage (PCI class
/// 01), of USB (0c03), of SD cards (0805), a RAID bridge, a USB disk, or a paravirtual device.
pub(crate) fn is_on_the_way_to_a_disk(modalias: &str) -> bool {
    let (bus, rest) = modalias.split_once(':').unwrap_or_default();
    match bus {
        "pci" => ["bc01", "bc0Csc03", "bc08sc05"].iter().any(|class| rest.contains(class)),
        "usb" => is_usb_storage(modalias),
        "virtio" | "vmbus" | "xen" | "mmc" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"add@/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0\0ACTION=add\0\
DEVPATH=/devices/x\0SUBSYSTEM=usb\0MODALIAS=usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00\0SEQNUM=1412\0";

    #[test]
    fn message_of_a_usb_interface() {
        let event = Uevent::from_message(MESSAGE).unwrap();
        assert_eq!((event.action.as_str(), event.subsystem.as_str()), ("add", "usb"));
        assert_eq!(event.sequence, Some(1412));
        assert!(is_usb_storage(event.modalias.as_deref().unwrap()));
        assert!(event.is_progress());
        assert_eq!(event.block_device(), None);
    }

    #[test]
    fn message_of_a_disk() {
        let bytes = b"change@/devices/pci0000:00/ata2/host1/target1:0:0/1:0:0:0/block/sr0\0SUBSYSTEM=block\0";
        let event = Uevent::from_message(bytes).unwrap();
        assert_eq!(event.block_device(), Some("sr0"));
        assert!(!event.is_progress());
    }

    #[test]
    fn other_messages_are_refused() {
        assert_eq!(Uevent::from_message(b"libudev\0\xfe\xed\xca\xfe"), None);
        assert_eq!(Uevent::from_message(b""), None);
        assert_eq!(Uevent::from_message(b"\xff@x\0"), None);
    }

    #[test]
    fn devices_that_matter_for_a_boot() {
        assert!(is_on_the_way_to_a_disk("pci:v00008086d00009A0Bsv00000000sd00000000bc01sc04i00"));
        assert!(is_on_the_way_to_a_disk("pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30"));
        assert!(!is_on_the_way_to_a_disk("pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00"));
        assert!(!is_on_the_way_to_a_disk("acpi:PNP0303:"));
    }
}
