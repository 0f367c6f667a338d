//! Sessions of writing: keys and lines in, pictures and text out, without a terminal and without a device.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "dialog/desk.rs"]
mod desk;
#[path = "dialog/faces.rs"]
mod faces;
#[path = "screens/picture.rs"]
mod picture;
#[path = "dialog/snapshots.rs"]
mod snapshots;

use std::process::{Command, Stdio};

use aegis_installer::{
    flash::{
        Failure, Outcome, Phase,
        dialog::{
            linear,
            screen::{Place, Row, Screen},
            state::{self, Event},
        },
        outcome,
        risk::Care,
    },
    tui::{keys::Key, screen, state::Overlay},
};
use desk::Desk;

fn place(desk: &Desk) -> Place {
    desk.state.screen.place()
}

#[test]
fn nothing_is_chosen_by_itself_and_no_screen_is_skipped_for_one_device() {
    let mut desk = Desk::bench();
    let only = desk.state.world.devices[..1].to_vec();
    desk.image();
    desk.send(Event::Devices(only));
    assert_eq!((place(&desk), desk.state.chosen.len()), (Place::Devices, 0));
    desk.key(Key::Enter);
    assert_eq!(place(&desk), Place::Devices, "Enter without a choice goes nowhere");
    assert!(desk.state.notice.is_some());
    desk.key(Key::Char(' ')).key(Key::Enter);
    assert_eq!(place(&desk), Place::Review);
    desk.key(Key::Enter);
    assert_eq!(place(&desk), Place::Confirm);
    assert!(desk.written.is_none(), "reading the plan is no consent");
}

#[test]
fn a_blank_stick_takes_a_yes_that_is_not_the_first_button() {
    let mut desk = Desk::bench();
    desk.image().choose(&["sdb"]).key(Key::Enter).key(Key::Enter);
    desk.key(Key::Enter);
    assert_eq!(place(&desk), Place::Review, "the first button goes back");
    desk.key(Key::Enter).key(Key::Down).key(Key::Enter);
    let plan = desk.written.as_ref().unwrap();
    assert_eq!(plan.targets.len(), 1);
    assert_eq!(plan.targets[0].path.to_str(), Some("/dev/sdb"));
}

#[test]
fn what_is_on_a_stick_takes_a_second_yes_and_danger_the_exact_serial_number() {
    let mut desk = Desk::bench();
    desk.image().choose(&["sda", "sdb", "sdc"]).key(Key::Enter).key(Key::Enter);
    desk.key(Key::Down).key(Key::Enter);
    assert!(desk.written.is_none(), "the blank one alone was confirmed");
    desk.key(Key::Tab).key(Key::Enter);
    assert!(desk.written.is_none(), "the encrypted one is not confirmed");
    for wrong in ["", "yes", "e0d55ea5000017a3ee9e", "E0D55EA5000017A3EE9", "E0D55EA5000017A3CFAF"] {
        desk.key(Key::Clear).text(wrong).key(Key::Enter);
        assert!(desk.written.is_none(), "{wrong:?}");
        assert_eq!(place(&desk), Place::Confirm);
    }
    desk.key(Key::Clear).text("E0D55EA5000017A3EE9E").key(Key::Enter);
    assert_eq!(desk.written.as_ref().unwrap().targets.len(), 3);
}

#[test]
fn a_refused_device_cannot_be_chosen_and_says_why() {
    let mut desk = Desk::bench();
    desk.image().choose(&["sdd"]);
    assert!(desk.state.chosen.is_empty());
    assert!(desk.state.notice.as_ref().unwrap().contains("/media/ada/PHOTOS"));
}

#[test]
fn what_a_desktop_mounted_can_be_chosen_and_is_told() {
    let mut desk = Desk::desktop();
    desk.image().choose(&["sdd"]);
    assert_eq!(desk.state.chosen[0].lost(), ["is mounted at /media/ada/PHOTOS, will be unmounted"]);
    assert_eq!(desk.state.chosen[0].care, Care::Listed, "what is mounted is not blank");
    desk.key(Key::Enter);
    let Screen::Review(review) = &desk.state.screen else { panic!("{:?}", desk.state.notice) };
    assert_eq!(review.plan.unmount, ["/media/ada/PHOTOS"]);
    assert!(review.lines().contains(&"Unmounted  /media/ada/PHOTOS".to_owned()));
}

#[test]
fn what_is_unplugged_or_changed_is_no_longer_chosen_and_says_so() {
    for (what, screens) in [("unplugged", 0), ("changed", 0), ("unplugged", 1), ("changed", 2), ("in use", 2)]
    {
        let mut desk = Desk::bench();
        desk.image().choose(&["sdb", "sde"]);
        for _ in 0..screens {
            desk.key(Key::Enter);
        }
        let mut devices = desk.state.world.devices.clone();
        let at = devices.iter().position(|device| device.target().path.ends_with("sdb")).unwrap();
        match what {
            "unplugged" => drop(devices.remove(at)),
            "changed" => devices[at].candidate.target.identity.diskseq = Some(99),
            _ => devices[at].candidate.refusals.push("sdb is mounted at /mnt".into()),
        }
        desk.send(Event::Devices(devices));
        assert_eq!(place(&desk), Place::Devices, "{what} after {screens}");
        let chosen: Vec<_> = desk.state.chosen.iter().map(|device| device.target().path.clone()).collect();
        assert_eq!(chosen, [std::path::Path::new("/dev/sde")]);
        let notice = desk.state.notice.as_ref().unwrap();
        assert!(notice.contains("/dev/sdb") && notice.contains(what), "{notice}");
    }
}

#[test]
fn the_list_follows_what_is_plugged_in_and_the_cursor_stays_on_its_device() {
    let mut desk = Desk::bench();
    desk.image();
    let all = desk.state.world.devices.clone();
    desk.key(Key::Down).key(Key::Down);
    let at = all[2].target().path.clone();
    desk.send(Event::Devices(all[1..].to_vec()));
    let Screen::Devices(list) = &desk.state.screen else { panic!() };
    assert_eq!(desk.state.world.devices[list.at].target().path, at);
    let reads = desk.reads;
    desk.send(Event::Hotplug);
    assert_eq!(desk.reads, reads + 1);
}

#[test]
fn devices_are_not_looked_at_while_they_are_written() {
    let mut desk = Desk::bench();
    desk.write(&["sdb"]);
    let reads = desk.reads;
    desk.send(Event::Hotplug).send(Event::Devices(Vec::new()));
    assert_eq!((desk.reads, place(&desk)), (reads, Place::Work));
}

#[test]
fn a_plan_of_other_devices_than_the_chosen_ones_is_not_shown() {
    let mut desk = Desk::bench();
    desk.image().choose(&["sdb"]);
    let commands = desk.commands(Key::Enter);
    let [state::Command::Plan(image, paths)] = &commands[..] else { panic!("{commands:?}") };
    let mut plan = desk.plan(image, paths);
    plan.targets[0].identity.diskseq = Some(99);
    desk.send(Event::Planned(Ok(Box::new(plan))));
    assert_eq!(place(&desk), Place::Devices);
    assert!(desk.state.notice.is_some());
}

#[test]
fn stopping_asks_says_what_state_the_devices_are_in_and_the_safe_answer_comes_first() {
    let mut desk = Desk::bench();
    desk.write(&["sdb", "sde", "sdf"]);
    desk.progress(0, Phase::Complete, 700, Some(700)).progress(1, Phase::Write, 300, Some(700));
    desk.key(Key::Interrupt);
    let (_, text, _) = desk.state.leave_question();
    assert_eq!(
        text,
        "1 device is complete. 1 device is being written: its former content is gone, and it will not start. \
         1 device was not begun."
    );
    desk.key(Key::Enter);
    assert_eq!((desk.stopped, &desk.state.overlay), (0, &None));
    desk.key(Key::Esc).key(Key::Down).key(Key::Enter);
    assert_eq!((desk.stopped, place(&desk)), (1, Place::Work), "until the writers have stopped");
    desk.send(Event::Finished(Ok(vec![
        desk::complete(),
        Outcome::NotBootable(Failure::Cancelled),
        Outcome::Untouched(Failure::Cancelled),
    ])));
    desk.key(Key::Enter);
    assert_eq!(desk.left, Some(1));
}

#[test]
fn the_screen_and_the_exit_code_come_from_the_same_outcomes() {
    let ends: [fn() -> Outcome; 3] = [
        desk::complete,
        || Outcome::Untouched(Failure::Cancelled),
        || Outcome::NotBootable(Failure::ReadBack { offset: 1 << 20 }),
    ];
    for (first, one) in ends.iter().enumerate() {
        for (second, other) in ends.iter().enumerate() {
            let mut desk = Desk::bench();
            desk.write(&["sdb", "sde"]);
            let outcomes = vec![one(), other()];
            let expected = outcome::exit_code(&outcomes);
            desk.send(Event::Finished(Ok(outcomes)));
            let Screen::Done(done) = &desk.state.screen else { panic!() };
            let good = first == 0 && second == 0;
            assert_eq!(done.summary().starts_with("All 2 devices are complete"), good, "{}", done.summary());
            desk.key(Key::Enter);
            assert_eq!(desk.left, Some(expected));
            assert_eq!(expected == 0, good);
        }
    }
    assert_eq!(outcome::exit_code(&[]), 1, "nothing written is nothing done");
}

#[test]
fn receipts_are_shown_and_a_missing_one_is_a_failure() {
    for (second, code, summary) in [
        (Ok("receipt /r/2.json\nlabel two".to_owned()), 0, "All 2 devices are complete and were read back."),
        (
            Err("error: no space".to_owned()),
            1,
            "All 2 devices are complete and were read back. A receipt is MISSING.",
        ),
    ] {
        let mut desk = Desk::bench();
        desk.write(&["sdb", "sde"]);
        desk.send(Event::Receipt(Ok("receipt /r/1.json\nlabel one".into())));
        desk.send(Event::Receipt(second.clone()));
        desk.send(Event::Finished(Ok(vec![desk::complete(), desk::complete()])));
        let Screen::Done(done) = &desk.state.screen else { panic!() };
        assert_eq!(done.summary(), summary);
        let last = second.unwrap_or_else(|error| error);
        let text = linear::ended(done);
        assert!(text.ends_with(&format!("receipt /r/1.json\nlabel one\n{last}\n")), "{text}");
        desk.key(Key::Enter);
        assert_eq!(desk.left, Some(code));
    }
}

#[test]
fn more_devices_are_chosen_anew_and_an_earlier_failure_is_not_forgotten() {
    let mut desk = Desk::bench();
    desk.write(&["sdb"]);
    desk.send(Event::Finished(Ok(vec![Outcome::NotBootable(Failure::Cancelled)])));
    desk.key(Key::Down).key(Key::Enter);
    assert_eq!((place(&desk), desk.state.chosen.len()), (Place::Devices, 0));
    desk.choose(&["sde"]).key(Key::Enter).key(Key::Enter).key(Key::Down).key(Key::Enter);
    desk.send(Event::Finished(Ok(vec![desk::complete()]))).key(Key::Enter);
    assert_eq!(desk.left, Some(1));
}

#[test]
fn a_session_that_could_not_begin_says_why_and_keeps_its_exit_code() {
    let mut desk = Desk::bench();
    desk.write(&["sdb"]);
    let failure = screen::Failure { text: "error: the disk cannot be used".into(), code: 3 };
    desk.send(Event::Finished(Err(failure))).key(Key::Enter);
    assert_eq!(desk.left, Some(3));
}

#[test]
fn a_lost_terminal_ends_the_program_but_never_the_writing() {
    let mut desk = Desk::bench();
    desk.send(Event::Closed);
    assert_eq!(desk.left, Some(1));
    let mut desk = Desk::bench();
    desk.write(&["sdb"]).send(Event::Closed);
    assert_eq!((desk.left, desk.stopped), (None, 0));
    desk.send(Event::Finished(Ok(vec![desk::complete()])));
    assert_eq!(desk.left, Some(0));
}

#[test]
fn every_screen_has_help_and_a_way_back() {
    let mut desk = Desk::bench();
    let help = |desk: &mut Desk| {
        desk.key(Key::Help);
        assert!(matches!(desk.state.overlay, Some(Overlay::Help { .. })), "{:?}", place(desk));
        desk.key(Key::Esc);
        assert_eq!(desk.state.overlay, None);
    };
    help(&mut desk);
    desk.image();
    help(&mut desk);
    desk.choose(&["sdb"]).key(Key::Enter);
    help(&mut desk);
    desk.key(Key::Enter);
    help(&mut desk);
    for expected in [Place::Review, Place::Devices, Place::Image] {
        desk.key(Key::Esc);
        assert_eq!(place(&desk), expected);
    }
    desk.key(Key::Esc);
    assert!(matches!(desk.state.overlay, Some(Overlay::Leave { .. })));
    desk.key(Key::Enter).write(&["sde"]);
    help(&mut desk);
    desk.send(Event::Finished(Ok(vec![desk::complete()])));
    help(&mut desk);
}

#[test]
fn an_image_that_cannot_be_used_says_why() {
    let mut desk = Desk::bench();
    desk.key(Key::Clear).text("/nowhere/at/all.iso").key(Key::Enter);
    assert_eq!(place(&desk), Place::Image);
    assert!(desk.state.notice.as_ref().unwrap().contains("/nowhere/at/all.iso"));
}

#[test]
fn an_image_that_is_too_large_for_a_device_refuses_it() {
    let mut desk = Desk::bench();
    desk.text("large").key(Key::Enter);
    assert_eq!(place(&desk), Place::Devices);
    let sdb = desk.state.world.devices.iter().find(|device| device.target().path.ends_with("sdb")).unwrap();
    assert_eq!(sdb.candidate.refusals, ["it is too small, 40.0 GiB are needed"]);
}

#[test]
fn a_device_that_was_pulled_out_is_waited_for_and_shown_as_missing() {
    let mut desk = Desk::bench();
    desk.write(&["sdb", "sde"]).progress(0, Phase::Write, 300, Some(700));
    let words = |desk: &Desk| {
        let Screen::Work(work) = &desk.state.screen else { panic!() };
        work.rows.iter().map(Row::word).collect::<Vec<_>>()
    };
    desk.send(Event::Vanished { device: 0, seconds: 60 });
    assert_eq!(words(&desk), ["missing", "waiting"]);
    desk.send(Event::Returned { device: 0 });
    assert_eq!(words(&desk), ["writing", "waiting"]);
    desk.send(Event::Ended { device: 0, phase: Phase::Complete });
    desk.send(Event::Ended { device: 1, phase: Phase::Failed });
    desk.send(Event::Ended { device: 7, phase: Phase::Failed });
    assert_eq!(words(&desk), ["complete", "FAILED"]);
    let Screen::Work(work) = &desk.state.screen else { panic!() };
    assert_eq!((work.counts(), work.rows[0].percent()), ((1, 1, 0), Some(100)));
}

#[test]
fn without_a_terminal_what_is_missing_is_an_error_of_usage() {
    for arguments in [
        &[][..],
        &["--linear"],
        &["--to", "/dev/null"],
        &["nowhere.iso"],
        &["nowhere.iso", "--plan"],
        &["--json", "--to", "/dev/null", "--serial", "x"],
        &["--auto", "2", "--auto-size", "1GiB..64GiB"],
        &["a.iso", "b.iso", "--linear"],
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
        let output = program.arg("flash").args(arguments).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains("nobody can be asked\n  next: "), "{arguments:?}: {text}");
    }
}
