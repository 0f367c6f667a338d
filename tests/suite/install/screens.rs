//! An installation by the installer's screens, typed on the serial line.

use std::time::Duration;

use aegis_tests::{
    Failure, TestResult,
    host::patience,
    qmp::Qmp,
    screen::{self, Picture},
    serial::Key,
    vm::Vm,
};

use crate::{
    answers::{DISK, PASSWORD, USER},
    snapshots::keep,
};

/// Titles of the screens that come before the summary, and what is typed on each.
fn answers(hostname: &str) -> [(&'static str, String); 8] {
    let line = |text: &str| format!("{text}\r");
    [
        ("1/9 Language", line("")),
        ("2/9 Keyboard", line("English (US) [us]")),
        ("3/9 Time zone", line("europe/ber")),
        ("4/9 Edition and license", line("")),
        // The first disk; nothing is marked before an arrow key.
        ("5/9 Disk", line(&Key::Down.sequence())),
        ("6/9 User", [line("Ada Lovelace"), line(USER), line(PASSWORD), line(PASSWORD)].concat()),
        // Ctrl-U empties the field with the proposal.
        ("7/9 Host name", format!("\x15{hostname}\r")),
        ("8/9 Network", line("") + &line("")),
    ]
}

/// Goes through every screen and switches the machine off at the end.
pub(crate) fn install(vm: &mut Vm, hostname: &str) -> TestResult {
    for (title, keys) in answers(hostname) {
        vm.serial.expect_screen(title, patience(60))?;
        vm.serial.send(&keys)?;
    }
    vm.serial.expect_screen(&format!("serial {DISK} (vda)"), patience(120))?;
    vm.serial.press(&[Key::Enter])?;
    consent(vm)?;
    vm.serial.refuse(&["The system is NOT installed."]);
    vm.serial.expect_screen("[>] copying the system", patience(120))?;
    vm.serial.expect_screen("The system is installed.", patience(900))?;
    vm.mark("installed");
    vm.serial.press(&[Key::Down, Key::Enter])?;
    Ok(())
}

/// A wrong word erases nothing; the right one does.
fn consent(vm: &mut Vm) -> TestResult {
    vm.serial.expect_screen(&format!("To go on, type {DISK}"), patience(60))?;
    vm.serial.send("no\r")?;
    vm.serial.expect_screen("That is something else. Nothing has been written.", patience(60))?;
    vm.serial.send(&format!("\x15{DISK}\r"))?;
    Ok(())
}

/// Takes pictures of the installer on the VGA screen, from its first screen to its last. The installation on the serial
/// line then replaces this one.
pub(crate) fn photograph(vm: &Vm) -> TestResult {
    let mut qmp = vm.qmp()?;
    for name in ["welcome", "keyboard", "time-zone", "edition"] {
        keep(&still(&mut qmp)?, &format!("installer-{name}"))?;
        qmp.press(&["ret"])?;
    }
    still(&mut qmp)?;
    qmp.press(&["down"])?;
    keep(&still(&mut qmp)?, "installer-disk")?;
    qmp.press(&["ret"])?;
    still(&mut qmp)?;
    qmp.type_text(&format!("Ada Lovelace\n{USER}\n{PASSWORD}\n{PASSWORD}"))?;
    keep(&still(&mut qmp)?, "installer-user")?;
    qmp.type_text("\n")?;
    keep(&still(&mut qmp)?, "installer-host-name")?;
    qmp.type_text("\n")?;
    keep(&still(&mut qmp)?, "installer-network")?;
    qmp.type_text("\n\n")?;
    keep(&still(&mut qmp)?, "installer-summary")?;
    qmp.press(&["ret"])?;
    still(&mut qmp)?;
    qmp.type_text(DISK)?;
    let before = still(&mut qmp)?;
    keep(&before, "installer-confirmation")?;
    qmp.press(&["ret"])?;
    let moved = |picture: &Picture| picture.difference(&before) > 0.02;
    keep(&screen::wait_still(&mut qmp, Duration::ZERO, patience(120), moved)?, "installer-progress")?;
    // Progress moves at least once a second.
    let done = screen::wait_still(&mut qmp, Duration::from_secs(15), patience(600), moved)?;
    keep(&done, "installer-done")
}

fn still(qmp: &mut Qmp) -> Result<Picture, Failure> {
    Ok(screen::wait_still(qmp, Duration::from_secs(2), patience(120), |_| true)?)
}
