//! What an event of the kernel means for a boot.

use aegis_core::uevent::{Action, Uevent};

/// Whether the event is evidence that a disk is on its way to its block device.
pub(crate) fn is_progress(event: &Uevent<'_>) -> bool {
    const PATH_TO_A_DISK: [&str; 8] =
        ["usb", "scsi", "scsi_host", "block", "mmc", "mmc_host", "nvme", "virtio"];
    event.action == Action::Add && PATH_TO_A_DISK.contains(&event.subsystem)
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

    #[test]
    fn a_new_usb_interface_is_progress() {
        let modalias = "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00";
        let message = format!("add@/devices/usb1/1-1/1-1:1.0\0SUBSYSTEM=usb\0MODALIAS={modalias}\0");
        let event = Uevent::of_kernel(message.as_bytes()).unwrap();
        assert!(is_progress(&event));
        assert!(is_usb_storage(event.modalias().unwrap()));
    }

    #[test]
    fn a_changed_disk_is_no_progress() {
        let event = Uevent::of_kernel(b"change@/devices/virtual/block/sr0\0SUBSYSTEM=block\0").unwrap();
        assert!(!is_progress(&event));
    }

    #[test]
    fn devices_that_matter_for_a_boot() {
        assert!(is_on_the_way_to_a_disk("pci:v00008086d00009A0Bsv00000000sd00000000bc01sc04i00"));
        assert!(is_on_the_way_to_a_disk("pci:v00001B36d0000000Dsv00001AF4sd00001100bc0Csc03i30"));
        assert!(!is_on_the_way_to_a_disk("pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00"));
        assert!(!is_on_the_way_to_a_disk("acpi:PNP0303:"));
    }
}
