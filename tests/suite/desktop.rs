//! The freemium edition: its desktop on the live medium and after an installation.

use std::{path::PathBuf, time::Duration};

use aegis_tests::{
    Failure, TestResult, disk,
    host::patience,
    qmp::Qmp,
    screen::{self, Picture},
    shell::Shell,
    vm::{Bus, Drive, Machine, Vm},
};

use crate::{
    answers::{self, DISK, PASSWORD, USER},
    install::{install_unattended, power_off_live, workplace},
    live::{self, Medium},
    snapshots::keep,
};

/// The smallest disk that the edition allows.
const DISK_SIZE: u64 = 12 << 30;

/// A picture must not change for so long to count as complete.
const QUIET: Duration = Duration::from_secs(5);

/// The same for a text console, which changes at once.
const SHORT: Duration = Duration::from_secs(2);

/// A text console has a black background and few colours.
fn is_text(picture: &Picture) -> bool {
    let seen = picture.statistics();
    seen.colours <= 16 && seen.most_frequent > 0.9
}

/// A text console with at least a line on it.
fn has_text(picture: &Picture) -> bool {
    is_text(picture) && picture.statistics().most_frequent < 0.9995
}

/// More than a cursor that moved: a word.
fn has_new_word(picture: &Picture, before: &Picture) -> bool {
    picture.difference(before) > 0.0001
}

/// A graphical picture has many colours; a text screen has at most sixteen.
fn is_desktop(picture: &Picture) -> bool {
    let seen = picture.statistics();
    picture.width >= 800 && seen.colours > 64 && seen.most_frequent < 0.97
}

/// Processes without which there is no session.
const SESSION: [&str; 4] = ["xfce4-session", "xfwm4", "xfce4-panel", "xfdesktop"];

/// A live medium starts to its desktop; the installer in its root shell then installs, and the installed system lets its
/// user in.
#[test]
fn freemium_starts_live_is_installed_and_lets_its_user_in() -> TestResult {
    let directory = workplace("freemium")?;
    let target = directory.path().join("disk.img");
    disk::set_size(&target, DISK_SIZE)?;
    let medium = Medium::of_edition("freemium")?;
    let carrier = answers::carrier(directory.path(), &answers::text("freemium", "desk-box", "us"))?;
    let mut vm = medium
        .machine("freemium-live")
        .memory_mib(2048)
        .drive(Drive::disk(&target, Bus::Virtio, DISK))
        .drive(answers::drive(&carrier))
        .start()?;
    live::reach_installer(&mut vm)?;
    await_session(&mut live::root_shell(&mut vm)?, "live")?;
    let picture = screen::wait_still(&mut vm.qmp()?, QUIET, patience(600), is_desktop)?;
    vm.mark("desktop");
    keep(&picture, "freemium-live")?;
    let mut shell = Shell::attach(&mut vm.serial)?;
    shell.run(answers::MOUNT)?;
    install_unattended(&mut shell, answers::FILE)?;
    vm.mark("installed");
    power_off_live(vm)?;
    // The server edition's installations start in every run, this one by `make test-all`.
    if std::env::var_os("AEGIS_ALL").is_none() {
        assert!(disk::boot_signs(&target)?.primary_gpt);
        return Ok(());
    }
    installed_desktop(target)
}

/// Waits until every part of the session runs: they start one after another, and a picture may be still in between.
fn await_session(shell: &mut Shell<'_>, user: &str) -> TestResult {
    let all = SESSION.map(|process| format!("pgrep -u {user} -x {process}")).join(" && ");
    let wait = format!("timeout 600 sh -c 'until {all}; do sleep 1; done' >/dev/null");
    let (status, _) = shell.status(&wait, patience(660))?;
    if status != 0 {
        let log = shell.run(&format!("ps -u {user}; tail -n 40 /home/{user}/.xsession-errors; free -m"))?;
        return Err(Failure::new(format!("the session of {user} is not complete:\n{log}")));
    }
    Ok(())
}

/// The greeter, a login with the keyboard, and the session. The installed desktop has no serial console, so what is
/// asked of it is typed into a terminal of its own and answered through the port.
fn installed_desktop(target: PathBuf) -> TestResult {
    let drive = Drive::disk(&target, Bus::Virtio, DISK).bootable();
    let mut vm = Machine::new("freemium-installed").memory_mib(2048).drive(drive).start()?;
    let mut qmp = vm.qmp()?;
    let greeter = screen::wait_still(&mut qmp, QUIET, patience(900), is_desktop)?;
    vm.mark("greeter");
    keep(&greeter, "freemium-greeter")?;
    // The greeter shows no list of users; after the name it asks for the password.
    let mut before = greeter.clone();
    for keys in [USER, "\n", PASSWORD] {
        qmp.type_text(keys)?;
        let changed = |picture: &Picture| picture.difference(&before) > 0.0;
        before = screen::wait_still(&mut qmp, SHORT, patience(120), changed)?;
    }
    qmp.type_text("\n")?;
    // The window of the greeter is gone and the panels are there; everything else is black in both pictures.
    let changed = |picture: &Picture| is_desktop(picture) && picture.difference(&greeter) > 0.05;
    let session = screen::wait_still(&mut qmp, QUIET, patience(600), changed)?;
    vm.mark("session");
    keep(&session, "freemium-session")?;
    drop(qmp);
    ask_terminal(&mut vm)?;
    vm.wait_end(patience(300))?;
    Ok(())
}

/// Types more than a keyboard's queue takes: the next part when the part before is on the screen.
fn type_long(qmp: &mut Qmp, text: &str) -> TestResult {
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.len().min(12));
        qmp.type_text(part)?;
        screen::wait_still(qmp, SHORT, patience(60), has_text)?;
        rest = after;
    }
    Ok(())
}

/// Logs in on the second virtual terminal; a command there reports on the serial port and switches the machine off.
fn ask_terminal(vm: &mut Vm) -> TestResult {
    let mut qmp = vm.qmp()?;
    qmp.press(&["ctrl", "alt", "f2"])?;
    screen::wait_still(&mut qmp, SHORT, patience(120), has_text)?;
    for text in [USER, PASSWORD] {
        // What is typed before login(1) asks for it is thrown away.
        qmp.type_text(text)?;
        let before = screen::wait_still(&mut qmp, SHORT, patience(60), has_text)?;
        qmp.type_text("\n")?;
        screen::wait_still(&mut qmp, SHORT, patience(120), |picture| has_new_word(picture, &before))?;
    }
    let last = SESSION[SESSION.len() - 1];
    let report = format!(
        "until pgrep -x {last}; do sleep 1; done; pgrep -l -u {USER}; cat /sys/block/dm-0/dm/name; systemctl --failed --plain --no-legend; echo report-ends"
    );
    let command = format!("echo {PASSWORD} | sudo -S sh -c '({report}) >/dev/ttyS0; systemctl poweroff'");
    type_long(&mut qmp, &command)?;
    qmp.type_text("\n")?;
    let report = vm.serial.expect("report-ends", patience(120))?;
    for process in SESSION {
        assert!(report.contains(&format!(" {process}\n")), "{process} does not run: {report}");
    }
    assert!(report.contains("aegis-root\nreport-ends"), "a unit failed: {report}");
    Ok(())
}
