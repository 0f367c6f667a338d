//! The power goes while an installation runs: afterwards the disk starts, or nothing on it looks as if it could.
//!
//! The live system is started once and its state saved. Every case goes on from there with a disk of its own, and
//! QEMU is killed at a part of the installation's progress. Progress is counted in the installer's reports, of
//! which there are up to ten a second in every step.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use aegis_tests::{
    Error, Failure, TestResult, disk,
    host::patience,
    shell::Shell,
    vm::{Bus, Drive, Firmware, Machine, Vm},
};

use serde_json::Value;

use crate::{
    answers,
    install::{DISK_SIZE, workplace},
    installed,
    live::{self, Medium},
};

/// What every report contains.
const REPORT: &str = "\"event\":";

/// Parts of the progress at which the power goes, beside its end.
fn points() -> Vec<f64> {
    match env::var_os("AEGIS_ALL") {
        Some(_) => (0..19_u8).map(|n| f64::from(n) / 19.0 + 0.02).collect(),
        None => vec![0.05, 0.6],
    }
}

#[test]
fn no_power_cut_leaves_a_half_installed_disk_that_looks_whole() -> TestResult {
    let cases = Cases::prepare()?;
    // The whole installation comes first: it says how many reports there are.
    let whole = cases.cut("power-end", None)?;
    let reports = whole.reports;
    assert!(disk::boot_signs(&whole.disk)?.primary_gpt, "{}", disk::boot_signs(&whole.disk)?);
    whole.judge("power-end")?;
    for point in points() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some hundreds, not negative"
        )]
        let after = (f64::from(reports) * point).round().max(1.0) as u32;
        let name = format!("power-{:02.0}", point * 100.0);
        cases.cut(&name, Some(after))?.judge(&name)?;
    }
    Ok(())
}

fn expect_login(name: &str, disk: &Path) -> TestResult {
    let mut vm = installed::start(name, Firmware::Bios, disk)?;
    installed::log_in(&mut vm)?.run("cat /sys/block/dm-0/dm/name")?;
    Ok(vm.cut_power()?)
}

/// What the cases share: the state of a live system that waits in a root shell.
struct Cases {
    machine: Machine,
    directory: tempfile::TempDir,
}

impl Cases {
    fn prepare() -> Result<Self, Failure> {
        let directory = workplace("power")?;
        let medium = Medium::of_edition("server")?;
        let carrier = answers::carrier(directory.path(), &answers::text("server", "power-box", "us"))?;
        let machine = medium.machine("power").memory_mib(1024).drive(answers::drive(&carrier));
        let cases = Self { machine, directory };
        let disk = cases.fresh_disk("first")?;
        let mut vm = cases.with_disk("power-live", &disk).start()?;
        live::reach_installer(&mut vm)?;
        live::root_shell(&mut vm)?.run(answers::MOUNT)?;
        vm.qmp()?.save_state(&cases.state())?;
        vm.mark("state saved");
        vm.cut_power()?;
        Ok(cases)
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// A disk that looks as if it could start a system, as a used one does.
    fn fresh_disk(&self, name: &str) -> Result<PathBuf, Failure> {
        let disk = self.directory.path().join(format!("{name}.img"));
        disk::set_size(&disk, DISK_SIZE)?;
        disk::imitate_system(&disk)?;
        Ok(disk)
    }

    fn with_disk(&self, name: &str, disk: &Path) -> Machine {
        self.machine.clone().named(name).drive(Drive::disk(disk, Bus::Virtio, answers::DISK))
    }

    /// Installs and cuts the power after so many reports, or after the last.
    fn cut(&self, name: &str, after: Option<u32>) -> Result<Cut, Failure> {
        let disk = self.fresh_disk(name)?;
        let mut vm = self.with_disk(name, &disk).resume(self.state()).start()?;
        let shell = Shell::attach(&mut vm.serial)?;
        shell.leave_with(&format!("aegis-installer install --json --answers {}", answers::FILE))?;
        let mut cut = Cut { disk, reports: 0, wiped: false, last: String::new() };
        cut.follow(&mut vm, after)?;
        vm.mark("power cut");
        vm.cut_power()?;
        Ok(cut)
    }
}

/// A disk that was being installed to when the power went.
struct Cut {
    disk: PathBuf,
    /// Reports that came before.
    reports: u32,
    /// The step that removes the old tables was over.
    wiped: bool,
    /// The last report.
    last: String,
}

impl Cut {
    fn follow(&mut self, vm: &mut Vm, after: Option<u32>) -> TestResult {
        vm.serial.refuse(&["error: "]);
        while after.is_none_or(|after| self.reports < after) {
            self.last = vm.serial.expect_line(REPORT, patience(300))?;
            self.reports += 1;
            let report: Value = serde_json::from_str(&self.last)
                .map_err(|error| Failure::new(format!("{:?} is not a report: {error}", self.last)))?;
            self.wiped |= report["event"] == "done" && report["step"] == "wipe";
            if report["event"] == "installed" {
                break;
            }
        }
        Ok(())
    }

    /// Either nothing looks bootable, or the disk starts. Before the old tables are gone they may still be there.
    fn judge(self, name: &str) -> TestResult {
        let signs = disk::boot_signs(&self.disk)?;
        println!("{name}: cut after report {} ({}); {signs}", self.reports, self.last.trim());
        let is_old = !self.wiped && disk::is_imitation(&self.disk)?;
        if signs.any() && !is_old {
            expect_login(&format!("{name}-start"), &self.disk)?;
        }
        fs::remove_file(&self.disk).map_err(Error::io("remove", &self.disk))?;
        Ok(())
    }
}
