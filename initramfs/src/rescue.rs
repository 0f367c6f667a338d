//! The menu after a failure, on every console.

use std::{fs, path::Path, thread, time::Duration};

use aegis_core::{
    cmdline::{OnFailure, Target},
    report,
    slot::Slot,
};

use crate::{
    console::Consoles,
    contents, drivers,
    error::Error,
    log,
    modules::alias::Aliases,
    search::{self, Seen, Verdict},
    sys::process::{self, End},
};

const REBOOT_AFTER: Duration = Duration::from_secs(10);
/// How long to wait for a key before the list of consoles is read again: one may come up late.
const KEY_LIMIT: Duration = Duration::from_secs(5);
/// The map from devices to the symbols of their drivers; an archive for Debian's kernel has none.
const SYMBOLS: &str = "/aegis/drivers.alias";
/// More of them would push the reason off the screen.
const DRIVERLESS_SHOWN: usize = 8;

/// The first line of the menu after a failure.
const AGAIN: &str = "try again";

/// What a person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Start again with the same target.
    Retry,
    /// Start again with the other slot.
    OtherSlot(Slot),
    /// Show the log, then ask again.
    ShowLog,
    /// End the machine.
    End(End),
}

/// What the menu offers: `other` is the slot that was not tried, of an installed system.
pub(crate) fn choice(key: u8, other: Option<Slot>) -> Option<Choice> {
    match key {
        b'1' => Some(Choice::Retry),
        b'2' => other.map(Choice::OtherSlot),
        b'3' => Some(Choice::ShowLog),
        b'4' => Some(Choice::End(End::Reboot)),
        b'5' => Some(Choice::End(End::PowerOff)),
        _ => None,
    }
}

/// The slot that the menu can offer beside the target's.
pub(crate) fn other_slot(target: Option<&Target>) -> Option<Slot> {
    match target {
        Some(Target::Installed { slot, .. }) => Some(slot.other()),
        _ => None,
    }
}

/// `first` is what the first line does.
fn menu(first: &str, other: Option<Slot>) -> String {
    let mut text = format!("\n  1  {first}\n");
    if let Some(slot) = other {
        text.push_str(&format!("  2  start slot {slot}\n"));
    }
    text.push_str("  3  show the log\n  4  reboot\n  5  power off\n> ");
    text
}

/// Says what failed, on consoles and in the kernel's log, and what was seen.
pub(crate) fn report_failure(error: &Error, seen: &Seen) {
    let text = report::render(error);
    text.lines().for_each(|line| log::critical(line.trim_start()));
    let mut consoles = Consoles::open();
    if !log::is_critical_shown() {
        consoles.write(&format!("\naegis-init: {text}\n"));
    }
    // For any other failure, a driver is not the reason.
    let is_missing = matches!(error, Error::NotFound { .. } | Error::NoDataPartition { .. });
    let driverless = if is_missing { drivers::without_driver(Path::new("/sys")) } else { Vec::new() };
    let symbols = fs::read_to_string(SYMBOLS).map(|text| Aliases::parse(&text)).unwrap_or_default();
    let details = details(seen, &driverless, &symbols);
    details.lines().for_each(log::debug);
    consoles.write(&details);
}

/// The devices that were looked at, and devices on the way to a disk that have no driver.
fn details(seen: &Seen, driverless: &[String], symbols: &Aliases) -> String {
    let mut text = String::from("\n");
    if !seen.is_empty() {
        text.push_str("block devices:\n");
    }
    for (device, verdict) in seen.values() {
        let holds = matches!(verdict, Verdict::Unknown(_)).then(|| contents::describe(device)).flatten();
        let holds = holds.map(|holds| format!("; {holds}")).unwrap_or_default();
        text.push_str(&format!("  {}: {verdict}{holds}\n", search::describe(device)));
    }
    if !driverless.is_empty() {
        text.push_str("controllers and disks without a driver:\n");
    }
    for modalias in driverless.iter().take(DRIVERLESS_SHOWN) {
        text.push_str(&format!("  {modalias}\n"));
        // `module/CONFIG_SYMBOL`
        for (module, symbol) in symbols.modules_for(modalias).filter_map(|driver| driver.split_once('/')) {
            text.push_str(&format!("    its driver is {module}, which the kernel has with {symbol}\n"));
        }
    }
    text
}

/// Acts after a failure: reboots when nobody is expected to be there, else asks.
pub(crate) fn after_failure(on_failure: OnFailure, target: Option<&Target>) -> Choice {
    match on_failure {
        OnFailure::Menu => ask(AGAIN, other_slot(target)),
        OnFailure::Reboot => {
            log::critical(&format!("rebooting in {} s", REBOOT_AFTER.as_secs()));
            thread::sleep(REBOOT_AFTER);
            Choice::End(End::Reboot)
        }
    }
}

/// Shows the menu until a key names one of its lines that leads away from it.
pub(crate) fn ask(first: &str, other: Option<Slot>) -> Choice {
    let mut consoles = open_menu(first, other);
    loop {
        match consoles.read_key(KEY_LIMIT).and_then(|key| choice(key, other)) {
            Some(Choice::ShowLog) => {
                consoles.write(&format!("\n{}\n", log::lines().join("\n")));
                consoles.write(&menu(first, other));
            }
            Some(choice) => {
                consoles.write("\n");
                return choice;
            }
            None if consoles.is_empty() => {
                thread::sleep(KEY_LIMIT);
                consoles = open_menu(first, other);
            }
            None => {}
        }
    }
}

fn open_menu(first: &str, other: Option<Slot>) -> Consoles {
    let mut consoles = Consoles::open();
    consoles.deliver_keys();
    consoles.write(&menu(first, other));
    consoles
}

/// Asks after a failure that leaves nothing to try again: the machine can only end.
pub(crate) fn end_by_choice() -> ! {
    let end_of = |choice| if let Choice::End(end) = choice { end } else { End::Reboot };
    end(end_of(ask("reboot", None)))
}

/// Ends the machine. When the kernel refuses, the menu is all that is left.
pub(crate) fn end(end: End) -> ! {
    loop {
        let error = process::end_machine(end);
        log::critical(&format!("error: the kernel refuses: {error}"));
        thread::sleep(REBOOT_AFTER);
    }
}

#[cfg(test)]
mod tests {
    use aegis_core::install::InstallId;

    use super::*;

    #[test]
    fn keys() {
        assert_eq!(choice(b'1', None), Some(Choice::Retry));
        assert_eq!(choice(b'2', None), None);
        assert_eq!(choice(b'2', Some(Slot::B)), Some(Choice::OtherSlot(Slot::B)));
        assert_eq!(choice(b'4', None), Some(Choice::End(End::Reboot)));
        assert_eq!(choice(b'5', None), Some(Choice::End(End::PowerOff)));
        assert_eq!(choice(b'\n', None), None);
    }

    #[test]
    fn the_menu_shows_what_its_keys_do() {
        for other in [None, Some(Slot::B)] {
            for key in b'1'..=b'5' {
                let shown = menu(AGAIN, other).contains(&format!("\n  {}  ", char::from(key)));
                assert_eq!(shown, choice(key, other).is_some());
            }
        }
    }

    #[test]
    fn a_device_without_a_driver_names_the_symbol_that_is_missing() {
        let symbols = Aliases::parse("alias pci:v0000103Cd*sv* hpsa/CONFIG_SCSI_HPSA\n");
        let device = "pci:v0000103Cd00003220sv0000103C".to_string();
        let text = details(&Seen::new(), &[device, "pci:v0000FFFFd0001sv0".to_string()], &symbols);
        assert!(text.contains("hpsa, which the kernel has with CONFIG_SCSI_HPSA\n"), "{text}");
        assert_eq!(text.matches("CONFIG_").count(), 1);
    }

    #[test]
    fn only_an_installed_system_has_another_slot() {
        let id = InstallId::parse("00112233445566778899aabbccddeeff").unwrap();
        assert_eq!(other_slot(Some(&Target::Installed { id, slot: Slot::B })), Some(Slot::A));
        assert_eq!(other_slot(Some(&Target::Medium(id.0))), None);
        assert_eq!(other_slot(None), None);
    }
}
