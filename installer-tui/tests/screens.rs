//! The screens: keys in, pictures out, without a terminal and without a disk.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "screens/desk.rs"]
mod desk;
#[path = "screens/picture.rs"]
mod picture;
#[path = "screens/snapshots.rs"]
mod snapshots;

use aegis_installer::{
    answers::Network,
    apply::Step,
    live::Afterwards,
    progress,
    tui::{
        keys::Key,
        screen::{Failure, Place, Screen},
        state::{Command, Event, Overlay},
    },
};
use desk::Desk;

#[test]
fn a_person_who_only_accepts_and_types_reaches_the_installation() {
    let mut desk = Desk::new();
    desk.to(Place::Summary);
    assert!(matches!(desk.state.screen, Screen::Review(_)));
    let answers = &desk.state.answers;
    assert_eq!((answers.user.name.as_str(), answers.hostname.as_str()), ("ada", "aegis"));
    assert_eq!(answers.timezone, "Europe/Berlin");
    assert_eq!(answers.keyboard.layout, "de");
    assert_eq!(answers.network, Network::Dhcp);
    assert_eq!(answers.problems(), []);
    desk.key(Key::Enter);
    assert!(desk.applied.is_none(), "reading the plan is no consent");
    desk.text("S6B0NL0W").key(Key::Enter);
    let plan = desk.applied.as_ref().unwrap();
    assert_eq!(plan.target.path.to_str(), Some("/dev/nvme0n1"));
    desk.send(Event::Finished(Ok(())));
    desk.key(Key::Enter);
    assert_eq!(desk.left, Some((Some(Afterwards::Reboot), 0)));
}

#[test]
fn only_the_exact_serial_number_is_consent() {
    let mut desk = Desk::new();
    desk.to(Place::Summary).key(Key::Enter);
    for wrong in ["", "s6b0nl0w", "S6B0NL0", "S6B0NL0WW", "yes", "nvme0n1"] {
        desk.key(Key::Clear).text(wrong).key(Key::Enter);
        assert!(desk.applied.is_none(), "{wrong:?}");
        assert!(matches!(&desk.state.screen, Screen::Consent(consent) if consent.wrong));
    }
    desk.key(Key::Clear).text("S6B0NL0W").key(Key::Enter);
    assert!(desk.applied.is_some());
}

#[test]
fn no_disk_is_chosen_by_itself_and_refused_disks_cannot_be() {
    let mut desk = Desk::new();
    desk.to(Place::Disk).key(Key::Enter);
    assert_eq!(desk.place(), Place::Disk, "Enter without a mark goes nowhere");
    desk.key(Key::End).key(Key::Enter);
    assert_eq!(desk.place(), Place::Disk, "a refused disk goes nowhere");
    assert!(desk.state.disk.is_none());
    desk.key(Key::Home).key(Key::Enter);
    assert_eq!(desk.place(), Place::User);
    assert!(desk.state.disk.is_some());
}

#[test]
fn a_changed_list_of_disks_takes_the_mark_away() {
    let mut desk = Desk::new();
    desk.to(Place::Disk).key(Key::Down);
    let disks = desk.state.world.disks[1..].to_vec();
    desk.send(Event::Disks(disks)).key(Key::Enter);
    assert_eq!(desk.place(), Place::Disk);
    assert!(desk.state.disk.is_none());
}

#[test]
fn a_disk_that_comes_is_shown_and_the_mark_stays_on_its_disk() {
    let mut desk = Desk::new();
    let all = desk.state.world.disks.clone();
    desk.send(Event::Hotplug);
    assert_eq!(desk.disks_read, 0, "the first screen shows no disks");
    desk.to(Place::Disk).send(Event::Disks(all[1..].to_vec())).key(Key::Home);
    let read = desk.disks_read;
    desk.send(Event::Hotplug);
    assert_eq!(desk.disks_read, read + 1);
    desk.send(Event::Disks(all.clone()));
    assert!(matches!(&desk.state.screen, Screen::Disk(screen) if screen.at == Some(1)));
    desk.key(Key::Enter);
    assert_eq!(desk.state.disk.as_ref(), Some(&all[1].target));
}

#[test]
fn the_plan_follows_the_last_choice_of_a_disk() {
    let mut desk = Desk::new();
    desk.to(Place::Summary);
    for _ in 0..4 {
        desk.key(Key::Esc);
    }
    assert_eq!(desk.place(), Place::Disk);
    desk.key(Key::Down).key(Key::Down).key(Key::Enter);
    desk.through(Place::User);
    assert!(matches!(&desk.state.screen, Screen::Review(r) if r.plan.target.token == "WD-123"));
}

#[test]
fn a_password_is_hashed_at_once_and_not_kept() {
    let mut desk = Desk::new();
    desk.to(Place::User);
    desk.key(Key::Enter)
        .text("ada")
        .key(Key::Enter)
        .text("correct horse")
        .key(Key::Enter)
        .text("correct hors");
    desk.key(Key::Enter);
    assert_eq!(desk.place(), Place::User, "the passwords differ");
    desk.text("correct horse").key(Key::Enter);
    assert_eq!(desk.place(), Place::Host);
    assert_eq!(desk.state.answers.user.password, None);
    assert_eq!(desk.state.answers.user.password_hash.as_deref(), Some(desk::HASH));
    // Coming back, empty fields keep it.
    desk.key(Key::Esc);
    for _ in 0..4 {
        desk.key(Key::Enter);
    }
    assert_eq!(desk.place(), Place::Host);
}

#[test]
fn system_accounts_are_not_taken() {
    let mut desk = Desk::new();
    desk.to(Place::User);
    desk.key(Key::Enter)
        .text("www-data")
        .key(Key::Enter)
        .text("long")
        .key(Key::Enter)
        .text("long")
        .key(Key::Enter);
    assert_eq!(desk.place(), Place::User);
}

#[test]
fn static_addresses_are_checked_and_planned() {
    let mut desk = Desk::new();
    desk.to(Place::Network).key(Key::Char(' ')).key(Key::Tab).key(Key::Tab);
    desk.text("192.0.2.10/24")
        .key(Key::Tab)
        .text("198.51.100.1")
        .key(Key::Tab)
        .text("192.0.2.53, 2001:db8::53");
    desk.key(Key::Tab).key(Key::Enter);
    assert_eq!(desk.place(), Place::Network, "the router is elsewhere");
    desk.key(Key::Clear).text("192.0.2.1").key(Key::Tab).key(Key::Tab).key(Key::Enter);
    assert_eq!(desk.place(), Place::Summary);
    let Network::Static(network) = &desk.state.answers.network else { panic!("not static") };
    assert_eq!(network.interface, "enp1s0");
    assert_eq!(network.dns.len(), 2);
}

#[test]
fn license_keys_are_optional_but_not_arbitrary() {
    let mut desk = Desk::new();
    desk.to(Place::Edition).text("GAME-ABCD-2345-678Q").key(Key::Enter);
    assert_eq!(desk.place(), Place::Edition, "a key of another edition");
    desk.key(Key::Clear).text("SERV-ABCD-2354-678W").key(Key::Enter);
    assert_eq!(desk.place(), Place::Edition, "two characters are swapped");
    desk.key(Key::Clear).text("serv abcd 2345 678w").key(Key::Enter);
    assert_eq!(desk.place(), Place::Disk);
    assert_eq!(desk.state.answers.license_key.as_deref(), Some("SERV-ABCD-2345-678W"));
    desk.key(Key::Esc).key(Key::Clear).key(Key::Enter);
    assert_eq!(desk.state.answers.license_key, None);
}

#[test]
fn leaving_asks_and_the_safe_answer_comes_first() {
    let mut desk = Desk::new();
    desk.key(Key::Interrupt).key(Key::Enter);
    assert_eq!(desk.left, None);
    desk.key(Key::Esc).key(Key::Enter);
    assert_eq!(desk.left, None, "Esc on the first screen asks too");
    desk.key(Key::Interrupt).key(Key::Down).key(Key::Enter);
    assert_eq!(desk.left, Some((Some(Afterwards::Reboot), 1)));
}

#[test]
fn stopping_an_installation_asks_and_then_shows_what_is_on_the_disk() {
    let mut desk = Desk::new();
    desk.to(Place::Work);
    desk.send(Event::Progress(progress::Event::Start { step: Step::Image, total: 100 }));
    desk.key(Key::Interrupt).key(Key::Enter);
    assert_eq!(desk.stopped, 0);
    desk.key(Key::Esc).key(Key::Down).key(Key::Enter);
    assert_eq!(desk.stopped, 1);
    assert_eq!(desk.place(), Place::Work, "until the executor has stopped");
    let failure = Failure { text: "error: copying the system failed: stopped on request".into(), code: 1 };
    desk.send(Event::Finished(Err(failure)));
    desk.key(Key::Down).key(Key::Enter);
    assert_eq!(desk.left, Some((Some(Afterwards::PowerOff), 1)));
}

#[test]
fn an_installation_that_ends_while_the_question_is_open_shows_its_end() {
    let mut desk = Desk::new();
    desk.to(Place::Work).key(Key::Interrupt);
    assert!(matches!(desk.state.overlay, Some(Overlay::Leave { .. })));
    desk.send(Event::Finished(Ok(())));
    assert_eq!(desk.state.overlay, None);
    assert_eq!(desk.place(), Place::Done);
}

#[test]
fn a_lost_terminal_ends_the_program_but_never_an_installation() {
    let mut desk = Desk::new();
    desk.send(Event::Closed);
    assert_eq!(desk.left, Some((None, 1)));
    let mut desk = Desk::new();
    desk.to(Place::Work).send(Event::Closed);
    assert_eq!((desk.left, desk.stopped), (None, 0));
    desk.send(Event::Finished(Ok(())));
    assert_eq!(desk.left, Some((None, 0)));
}

#[test]
fn every_screen_has_help_and_a_way_back() {
    let mut desk = Desk::new();
    for place in Place::ASKED {
        desk.to(place);
        desk.key(Key::Help);
        assert!(matches!(desk.state.overlay, Some(Overlay::Help { .. })), "{place:?}");
        desk.key(Key::Esc);
        assert_eq!(desk.state.overlay, None);
    }
    for place in Place::ASKED.iter().rev() {
        assert_eq!(desk.place(), *place);
        desk.key(Key::Esc);
    }
    assert!(matches!(desk.state.overlay, Some(Overlay::Leave { .. })));
}

#[test]
fn choosing_a_keyboard_uses_it() {
    let mut desk = Desk::new();
    let commands = desk.to(Place::Keyboard).commands(Key::Enter);
    assert!(matches!(commands.as_slice(), [Command::UseKeyboard(layout)] if layout == "us"));
}

#[test]
fn a_plan_that_cannot_be_made_says_why() {
    let mut desk = Desk::new();
    desk.to(Place::Network);
    desk.refuse_plan = true;
    desk.key(Key::Tab).key(Key::Enter);
    assert_eq!(desk.place(), Place::Network);
    assert_eq!(desk.state.notice.as_deref(), Some("error: refused"));
}
