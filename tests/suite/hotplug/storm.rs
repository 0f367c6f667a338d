//! Disks that are plugged in and pulled through QEMU's monitor.

use aegis_tests::{Error, TestResult, qmp::Qmp};
use serde_json::json;

use super::guest::Guest;

/// Controllers: SCSI, and USB with three hubs of eight ports.
pub(super) const CONTROLLERS: [&str; 5] = [
    "virtio-scsi-pci,id=scsi",
    "qemu-xhci,id=sticks,p2=8,p3=8",
    "usb-hub,bus=sticks.0,port=1,ports=8",
    "usb-hub,bus=sticks.0,port=2,ports=8",
    "usb-hub,bus=sticks.0,port=3,ports=8",
];
/// Places for virtio disks, each a PCI Express port.
pub(super) const SLOTS: usize = 8;
/// Ports of the hubs.
const STICKS: usize = 24;
/// So many are plugged in before some are pulled.
const BATCH: usize = 10;

/// A port for one virtio disk.
pub(super) fn root_port(number: usize) -> String {
    format!("pcie-root-port,id=slot{number},chassis={},slot={}", number + 1, number + 1)
}

/// Which disk is where.
pub(super) struct Storm {
    qmp: Qmp,
    /// Ids of disks that are plugged in.
    sticks: [Option<String>; STICKS],
    slots: [Option<String>; SLOTS],
    scsi: Vec<String>,
    made: usize,
}

impl Storm {
    pub(super) fn new(qmp: Qmp) -> Self {
        Self { qmp, sticks: Default::default(), slots: Default::default(), scsi: Vec::new(), made: 0 }
    }

    /// Serial numbers of the disks that QEMU says are plugged in, in order.
    pub(super) fn plugged(&mut self) -> Result<Vec<String>, Error> {
        let ids = self.qmp.plugged()?.into_iter();
        let mut serials: Vec<_> = ids.filter(|id| id.starts_with("disk")).collect();
        serials.sort();
        Ok(serials)
    }

    /// Plugs `count` disks in, a batch at a time, and pulls about as many: some at once, some that the guest works with.
    pub(super) fn blow(&mut self, guest: &mut Guest<'_>, count: usize) -> TestResult {
        for batch in 0..count.div_ceil(BATCH) {
            for _ in 0..BATCH.min(count - batch * BATCH) {
                self.plug()?;
            }
            // The guest has hardly noticed these.
            self.pull_scsi(2)?;
            self.pull_sticks(1)?;
            if batch % 3 == 2 {
                guest.settle(self)?;
                self.pull_slots()?;
                self.pull_scsi(5)?;
                self.pull_sticks(3)?;
            }
        }
        guest.settle(self)
    }

    /// Plugs a disk in where there is room: a third sticks, some virtio, the rest SCSI. Its id is its serial number.
    fn plug(&mut self) -> Result<(), Error> {
        self.made += 1;
        let id = format!("disk{:03}", self.made);
        let bytes = (16 + self.made as u64) << 20;
        let stick = self.sticks.iter().position(Option::is_none).filter(|_| self.made.is_multiple_of(3));
        let slot = self.slots.iter().position(Option::is_none).filter(|_| self.made % 3 == 1);
        let mut device = json!({ "id": id, "serial": id });
        if let Some(port) = stick {
            device["driver"] = "usb-storage".into();
            device["bus"] = "sticks.0".into();
            device["port"] = format!("{}.{}", port / 8 + 1, port % 8 + 1).into();
            self.sticks[port] = Some(id);
        } else if let Some(slot) = slot {
            device["driver"] = "virtio-blk-pci".into();
            device["bus"] = format!("slot{slot}").into();
            self.slots[slot] = Some(id);
        } else {
            device["driver"] = "scsi-hd".into();
            device["bus"] = "scsi.0".into();
            self.scsi.push(id);
        }
        self.qmp.plug(device, bytes)
    }

    /// Pulls the newest SCSI disks.
    fn pull_scsi(&mut self, count: usize) -> Result<(), Error> {
        let rest = self.scsi.len().saturating_sub(count);
        self.scsi.split_off(rest).iter().try_for_each(|id| self.qmp.unplug_and_wait(id))
    }

    /// Pulls sticks, so that the next ones get their ports.
    fn pull_sticks(&mut self, count: usize) -> Result<(), Error> {
        let pulled = self.sticks.iter_mut().filter(|port| port.is_some()).take(count);
        let pulled: Vec<_> = pulled.filter_map(Option::take).collect();
        pulled.iter().try_for_each(|id| self.qmp.unplug_and_wait(id))
    }

    /// Pulls half of the virtio disks. The guest has to agree, so it must know them already.
    fn pull_slots(&mut self) -> Result<(), Error> {
        let pulled: Vec<_> = self.slots.iter_mut().step_by(2).filter_map(Option::take).collect();
        pulled.iter().try_for_each(|id| self.qmp.unplug_and_wait(id))
    }
}
