//! Pictures of every screen of a session.

use aegis_installer::{
    flash::{
        Failure, Outcome, Phase,
        dialog::{
            draw::draw,
            screen::Screen,
            state::{Event, State},
        },
    },
    tui::{keys::Key, screen},
};

use super::{
    desk::{self, Desk},
    picture::{self, THEMES, picture, render},
};

/// Blank sticks of the bench.
const BLANK: [&str; 17] = [
    "sdb", "sde", "sdf", "sdg", "sdh", "sdi", "sdj", "sdk", "sdl", "sdm", "sdn", "sdo", "sdp", "sdq", "sdr",
    "sds", "sdt",
];

fn check(name: &str, state: &State) {
    picture::check(name, &|theme, frame| draw(state, theme, frame));
}

#[test]
fn screens_that_ask() {
    let mut desk = Desk::bench();
    check("flash-image", &desk.state);
    desk.text("serv");
    check("flash-image-typed", &desk.state);
    desk.key(Key::Esc).image();
    check("flash-devices", &desk.state);
    desk.choose(&["sda", "sdb", "sdc"]);
    check("flash-devices-chosen", &desk.state);
    desk.choose(&["sdd"]);
    check("flash-devices-refused", &desk.state);
    desk.key(Key::Help);
    check("flash-help", &desk.state);
    desk.key(Key::Esc).key(Key::Enter);
    check("flash-review", &desk.state);
    desk.key(Key::Enter);
    check("flash-confirm-blank", &desk.state);
    desk.key(Key::Down).key(Key::Enter);
    check("flash-confirm-listed", &desk.state);
    desk.key(Key::Down).key(Key::Enter).text("4C530001");
    check("flash-confirm-serial", &desk.state);
    desk.key(Key::Enter);
    check("flash-confirm-wrong", &desk.state);
    desk.key(Key::Interrupt);
    check("flash-leave", &desk.state);
}

#[test]
fn screens_where_a_device_goes_or_none_is_there() {
    let mut desk = Desk::bench();
    desk.image().choose(&["sdb", "sde"]).key(Key::Enter);
    let mut devices = desk.state.world.devices.clone();
    devices.retain(|device| !device.target().path.ends_with("sdb"));
    desk.send(Event::Devices(devices));
    check("flash-devices-gone", &desk.state);
    let mut desk = Desk::bench();
    desk.image().send(Event::Devices(Vec::new()));
    check("flash-devices-none", &desk.state);
    let mut desk = Desk::desktop();
    desk.image().choose(&["sdd"]);
    check("flash-devices-mounted", &desk.state);
}

/// Twenty sticks in every state.
fn grid() -> Desk {
    let mut desk = Desk::bench();
    desk.write(&BLANK);
    let at = [
        (Phase::Write, 300, Some(700)),
        (Phase::Verify, 650, Some(699)),
        (Phase::Complete, 700, Some(700)),
        (Phase::Failed, 0, None),
        (Phase::Flush, 0, None),
        (Phase::Check, 0, None),
        (Phase::Write, 7, None),
        (Phase::Finish, 0, None),
    ];
    for (index, (phase, mib, total)) in at.into_iter().enumerate() {
        desk.progress(index, phase, mib, total);
        desk.progress(index + 8, phase, mib, total);
    }
    if let Screen::Work(work) = &mut desk.state.screen {
        work.rows[5].waits = Some(20);
        work.rows[13].awaited = Some(60);
    }
    desk
}

#[test]
fn the_grid() {
    let mut desk = Desk::bench();
    desk.write(&["sdb"]).progress(0, Phase::Write, 300, Some(700));
    check("flash-grid-one", &desk.state);
    let mut desk = grid();
    check("flash-grid", &desk.state);
    desk.key(Key::End);
    check("flash-grid-end", &desk.state);
    desk.key(Key::Interrupt);
    check("flash-grid-stop", &desk.state);
    desk.key(Key::Down).key(Key::Enter);
    check("flash-grid-stopping", &desk.state);
}

#[test]
fn the_end() {
    let mut desk = Desk::bench();
    desk.write(&["sdb"]).send(Event::Finished(Ok(vec![desk::complete()])));
    check("flash-done", &desk.state);
    let mut desk = Desk::bench();
    desk.write(&["sdb", "sde", "sdf"]).send(Event::Finished(Ok(vec![
        desk::complete(),
        Outcome::NotBootable(Failure::ReadBack { offset: 17 << 20 }),
        Outcome::Untouched(Failure::Cancelled),
    ])));
    check("flash-done-some", &desk.state);
    let mut desk = Desk::bench();
    let text = "error: the disk cannot be used: /dev/sdb is in use: Device or resource busy\n  next: unmount what is on it";
    desk.write(&["sdb"]).send(Event::Finished(Err(screen::Failure { text: text.into(), code: 1 })));
    check("flash-failed", &desk.state);
}

#[test]
fn a_terminal_of_any_size_shows_something_and_never_panics() {
    let mut asking = Desk::bench();
    let mut states = vec![asking.state.clone(), asking.image().state.clone()];
    states.push(asking.choose(&["sda", "sdc"]).key(Key::Enter).state.clone());
    states.push(asking.key(Key::Enter).state.clone());
    states.push(asking.key(Key::Down).key(Key::Enter).state.clone());
    states.push(grid().state);
    let mut desk = Desk::bench();
    states.push(desk.write(&["sdb"]).send(Event::Finished(Ok(vec![desk::complete()]))).state.clone());
    for state in states {
        for width in [1, 5, 20, 35, 36, 40, 59, 60, 66, 70, 200] {
            for height in [1, 3, 9, 10, 15, 16, 24, 60] {
                let (buffer, _) =
                    render(&|theme, frame| draw(&state, theme, frame), THEMES[0].1, (width, height));
                assert!(picture(&buffer, None).trim_start().len() > 20, "{width}x{height}");
            }
        }
    }
}
