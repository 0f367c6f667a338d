//! Pictures of every screen of an installation.

use aegis_installer::{
    apply::Step,
    progress::Event as Progress,
    tui::{
        draw::draw,
        keys::Key,
        screen::{Failure, Place},
        state::{Event, State},
    },
};

use super::{
    desk::Desk,
    picture::{self, THEMES, picture, render},
};

fn check(name: &str, state: &State) {
    picture::check(name, &|theme, frame| draw(state, theme, frame));
}

#[test]
fn screens_that_ask() {
    let mut desk = Desk::new();
    check("language", &desk.state);
    for (name, place) in [
        ("keyboard", Place::Keyboard),
        ("zone", Place::Zone),
        ("edition", Place::Edition),
        ("disk", Place::Disk),
        ("user", Place::User),
        ("host", Place::Host),
        ("network", Place::Network),
        ("summary", Place::Summary),
    ] {
        desk.to(place);
        check(name, &desk.state);
    }
    desk.key(Key::Enter).text("S6B0");
    check("consent", &desk.state);
    desk.key(Key::Enter);
    check("consent-wrong", &desk.state);
}

#[test]
fn screens_with_mistakes_and_overlays() {
    let mut desk = Desk::new();
    desk.key(Key::Interrupt);
    check("leave", &desk.state);
    desk.key(Key::Esc).to(Place::Zone).text("par");
    check("zone-narrowed", &desk.state);
    desk.key(Key::Esc).to(Place::Disk).key(Key::End).key(Key::Enter);
    check("disk-refused", &desk.state);
    desk.key(Key::Help);
    check("help", &desk.state);
    desk.key(Key::Esc).key(Key::Home).key(Key::Enter);
    desk.key(Key::Enter).text("Root").key(Key::Enter).text("abc").key(Key::Enter).text("abd").key(Key::Enter);
    check("user-problems", &desk.state);
    let mut desk = Desk::new();
    desk.to(Place::Network).key(Key::Char(' ')).key(Key::Tab).key(Key::Tab).text("192.0.2.10/24");
    check("network-static", &desk.state);
}

#[test]
fn screens_of_the_installation() {
    let mut desk = Desk::new();
    desk.to(Place::Work);
    check("work-start", &desk.state);
    for step in [Step::Prepare, Step::Wipe] {
        desk.send(Event::Progress(Progress::Start { step, total: 0 }));
        desk.send(Event::Progress(Progress::Done { step, bytes: 0, ms: 1250 }));
    }
    let step = Step::Image;
    desk.send(Event::Progress(Progress::Start { step, total: 700 << 20 }));
    let (bytes, rate) = (300 << 20, 100 << 20);
    desk.send(Event::Progress(Progress::Advance { step, bytes, total: 700 << 20, rate, eta: Some(64) }));
    check("work", &desk.state);
    desk.key(Key::Interrupt);
    check("work-stop", &desk.state);
    let mut failed = Desk::new();
    failed.to(Place::Work);
    let text = "error: copying the system failed (the disk's former content is gone; it has no partition table and does not \
                look installed): aegis/root.img on the medium is damaged: expected 0909, found 0a0a\n  next: write the medium \
                again, or try another USB stick or drive";
    failed.send(Event::Finished(Err(Failure { text: text.into(), code: 1 })));
    check("failed", &failed.state);
    desk.send(Event::Finished(Ok(())));
    check("done", &desk.state);
}

#[test]
fn a_terminal_of_any_size_shows_something_and_never_panics() {
    let mut desk = Desk::new();
    loop {
        for width in [1, 5, 20, 35, 36, 40, 59, 60, 200] {
            for height in [1, 3, 9, 10, 15, 16, 24, 60] {
                let (buffer, _) =
                    render(&|theme, frame| draw(&desk.state, theme, frame), THEMES[0].1, (width, height));
                let text = picture(&buffer, None);
                assert!(text.trim_start().len() > 20, "{width}x{height}");
            }
        }
        if desk.place() == Place::Done {
            return;
        }
        let next = match desk.place() {
            Place::Summary => Place::Work,
            Place::Work => Place::Done,
            place => Place::ASKED[Place::ASKED.iter().position(|p| *p == place).unwrap() + 1],
        };
        desk.to(next);
    }
}
