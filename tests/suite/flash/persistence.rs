//! A live stick that keeps what is changed.

use aegis_tests::{
    Error, TestResult, disk,
    host::patience,
    vm::{Bus, Drive, Machine},
};

use super::guest::nodes;
use crate::live;

const SERIAL: &str = "KEEPER";
const STICK: u64 = 1 << 30;

#[test]
#[ignore = "a live system is started three times; make test-all"]
fn what_is_written_on_a_live_stick_is_there_after_a_restart() -> TestResult {
    let directory = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
    let stick = directory.path().join("stick");
    disk::set_size(&stick, STICK)?;
    let drive = || Drive::disk(&stick, Bus::UsbStick, SERIAL);
    let medium = live::Medium::of_edition("server")?;

    let mut vm = medium.disk_machine("persistence-made").drive(drive()).start()?;
    live::reach_installer(&mut vm)?;
    let mut shell = live::root_shell(&mut vm)?;
    let node = nodes(&mut shell, &[SERIAL])?.remove(0);
    let flash = format!("aegis-installer flash --live --to {node} --serial {SERIAL}");
    let output = shell.run_within(&flash, patience(900))?;
    assert!(output.contains("complete and read back"), "{output}");
    let persistence = format!("aegis-installer persistence {node} --size 256MiB --serial {SERIAL}");
    shell.run_within(&persistence, patience(300))?;
    shell.leave_with("poweroff")?;
    vm.wait_end(patience(240))?;

    // From here on the stick is all that there is.
    let alone = |name| Machine::new(name).direct(medium.direct("")).drive(drive()).start();
    let mut vm = alone("persistence-written")?;
    live::reach_installer(&mut vm)?;
    let mut shell = live::root_shell(&mut vm)?;
    shell.run("grep -q '\"persistent\":true' /run/aegis/boot.json")?;
    shell.run("test ! -e /root/kept && echo kept > /root/kept && echo changed >> /etc/motd")?;
    shell.leave_with("poweroff")?;
    vm.wait_end(patience(240))?;

    let mut vm = alone("persistence-read")?;
    live::reach_installer(&mut vm)?;
    let mut shell = live::root_shell(&mut vm)?;
    assert_eq!(shell.run("cat /root/kept; tail -n 1 /etc/motd")?, "kept\nchanged");
    vm.mark("file of the last start");
    Ok(vm.cut_power()?)
}
