//! Up to a hundred disks come and go while they are watched: what the events told is what a fresh look finds, and what QEMU
//! says is plugged in. The same without udev, and when events are lost.

mod guest;
mod storm;

use std::path::Path;

use aegis_tests::{
    Error, TestResult, disk,
    vm::{Bus, Drive, Vm},
};

use crate::{
    install,
    live::{self, Medium},
};
use guest::Guest;
use storm::Storm;

/// Serial number of the disk by which the guest hands files out.
const REPORT: &str = "REPORT";
/// A receive buffer in which hardly an event fits.
const TINY: usize = 1;

#[test]
fn a_storm_of_disks_leaves_the_right_picture() -> TestResult {
    let directory = install::workplace("hotplug")?;
    let report = directory.path().join("report.img");
    disk::set_size(&report, 32 << 20)?;
    let mut vm = machine(&report)?;
    live::reach_installer(&mut vm)?;
    let mut storm = Storm::new(vm.qmp()?);
    let shell = live::root_shell(&mut vm)?;
    let mut guest = Guest::new(shell, report)?;

    let watch = guest.watch("udev", &[])?;
    storm.blow(&mut guest, disks(100, 30))?;
    guest.agree(&watch, &mut storm)?;
    guest.stop(watch)?;
    lose_events(&mut guest, &mut storm, "udev")?;

    guest.without_udev()?;
    let watch = guest.watch("kernel", &[])?;
    storm.blow(&mut guest, disks(40, 30))?;
    guest.agree(&watch, &mut storm)?;
    guest.stop(watch)?;
    lose_events(&mut guest, &mut storm, "kernel")?;

    drop((guest, storm));
    vm.mark("storms");
    vm.cut_power()?;
    Ok(())
}

/// How many disks come and go: all of them, or the sample of every run, in which each kind is plugged in and pulled too.
fn disks(all: usize, sample: usize) -> usize {
    if std::env::var_os("AEGIS_ALL").is_some() { all } else { sample }
}

/// While the watcher is stopped, more happens than its buffer holds.
fn lose_events(guest: &mut Guest<'_>, storm: &mut Storm, source: &str) -> TestResult {
    let buffer = TINY.to_string();
    let watch = guest.watch(source, &["--receive-buffer", &buffer])?;
    guest.pause(&watch)?;
    storm.blow(guest, 20)?;
    guest.resume(&watch)?;
    guest.agree(&watch, storm)?;
    let events = guest.events(&watch)?;
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert!(of("lost") > 0, "with {source}, nothing was lost: {events:#?}");
    assert_eq!(of("lost"), of("rescanned"));
    guest.stop(watch)
}

/// The live medium, with a controller for each kind of disk.
fn machine(report: &Path) -> Result<Vm, Error> {
    let machine = Medium::of_edition("server")?.disk_machine("hotplug");
    let mut machine = machine.drive(Drive::disk(report, Bus::Virtio, REPORT));
    machine = storm::CONTROLLERS.iter().fold(machine, |machine, device| machine.device(device));
    let ports = (0..storm::SLOTS).map(storm::root_port);
    ports.fold(machine, |machine, port| machine.device(&port)).start()
}
