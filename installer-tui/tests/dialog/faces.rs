//! The same answers through keys and through lines.

use std::{fs, path::Path, time::Duration};

use aegis_installer::{
    flash::{
        Failure, FlashPlan, Outcome, Phase,
        dialog::{
            linear::{Linear, Reply},
            screen::{Ask, Screen},
            state::Event,
        },
    },
    tui::keys::Key,
};

use super::desk::{self, Desk};

/// A person who answers in lines, with everything that was printed and typed.
struct Talk {
    desk: Desk,
    linear: Linear,
    text: String,
    now: Duration,
}

impl Talk {
    fn new() -> Self {
        let mut talk =
            Self { desk: Desk::bench(), linear: Linear::default(), text: String::new(), now: Duration::ZERO };
        talk.hear();
        talk
    }

    fn hear(&mut self) {
        self.text.push_str(&self.linear.after(&self.desk.state, self.now));
    }

    fn send(&mut self, event: Event) -> &mut Self {
        self.desk.send(event);
        self.hear();
        self
    }

    fn line(&mut self, line: &str) -> &mut Self {
        self.text.push_str(&format!("{line}\n"));
        match self.linear.answer(&self.desk.state, line) {
            Reply::Answers(answers) => {
                for answer in answers {
                    self.desk.send(Event::Answer(answer));
                }
            }
            Reply::Say(text) => self.text.push_str(&text),
        }
        self.hear();
        self
    }

    fn progress(
        &mut self,
        seconds: u64,
        device: usize,
        phase: Phase,
        mib: u64,
        total: Option<u64>,
    ) -> &mut Self {
        self.now = Duration::from_secs(seconds);
        self.desk.progress(device, phase, mib, total);
        self.hear();
        self
    }

    /// The number by which a device was told.
    fn number(&self, name: &str) -> String {
        let is_of = |line: &&str| line.contains("chosen: ") && line.split(", ").any(|word| word == name);
        self.text.lines().find(is_of).unwrap().split(':').next().unwrap().to_owned()
    }
}

fn by_keys(image: &str, devices: &[&str]) -> Box<FlashPlan> {
    let mut desk = Desk::bench();
    desk.text(image).key(Key::Enter).choose(devices).key(Key::Enter).key(Key::Enter);
    while let Screen::Confirm(confirm) = &desk.state.screen {
        match confirm.ask() {
            Some(Ask::Serial(_)) => {
                let token = confirm.token().unwrap().to_owned();
                desk.text(&token).key(Key::Enter);
            }
            _ => {
                desk.key(Key::Down).key(Key::Enter);
            }
        }
    }
    desk.written.unwrap()
}

fn by_lines(image: &str, devices: &[&str]) -> Box<FlashPlan> {
    let mut talk = Talk::new();
    talk.line(image);
    let numbers: Vec<String> = devices.iter().map(|name| talk.number(name)).collect();
    talk.line(&numbers.join(" ")).line("").line("");
    while let Screen::Confirm(confirm) = &talk.desk.state.screen {
        let word = confirm.token().unwrap_or("yes").to_owned();
        talk.line(&word);
    }
    talk.desk.written.unwrap()
}

#[test]
fn the_same_answers_make_the_same_plan_in_both_faces() {
    for devices in [
        &["sdb"][..],
        &["sda"],
        &["sdc"],
        &["nvme0n1"],
        &["sde", "sdb"],
        &["sdc", "sda", "sdb", "nvme0n1"],
        &["sdb", "sde", "sdf", "sdg", "sdh", "sdi", "sdj", "sdk", "sdl", "sdm", "sdn", "sdo", "sdp", "sdq"],
    ] {
        let (keys, lines) = (by_keys("aegis-server-0.1.0.iso", devices), by_lines("1", devices));
        assert_eq!(keys, lines, "{devices:?}");
        assert_eq!(keys.targets.len(), devices.len());
    }
}

#[test]
fn a_number_never_means_a_device_that_came_later() {
    let mut talk = Talk::new();
    talk.line("1");
    let number = talk.number("sdb");
    let mut devices = talk.desk.state.world.devices.clone();
    let at = devices.iter().position(|device| device.target().path.ends_with("sdb")).unwrap();
    devices[at].candidate.target.identity.diskseq = Some(99);
    talk.send(Event::Devices(devices)).line(&number);
    assert!(talk.desk.state.chosen.is_empty());
    assert!(talk.text.contains("This device has changed or is no longer there."));
}

#[test]
fn wrong_lines_change_nothing_and_the_question_comes_again() {
    let mut talk = Talk::new();
    for line in ["", "99x", "/nowhere.iso"] {
        let before = talk.text.len();
        talk.line(line);
        assert!(talk.text[before..].ends_with("(? explains, q leaves): "), "{}", &talk.text[before..]);
    }
    talk.line("1");
    for line in ["0", "99", "1 x", ""] {
        let before = talk.text.len();
        talk.line(line);
        assert!(talk.desk.state.chosen.is_empty(), "{line}");
        assert!(talk.text[before..].contains("0 chosen. "), "{line}: {}", &talk.text[before..]);
    }
    let number = talk.number("sdc");
    talk.line(&number).line("").line("");
    for line in ["yes", "q", "?", "e0d5"] {
        talk.line(line);
        assert!(
            talk.desk.written.is_none() && matches!(talk.desk.state.screen, Screen::Confirm(_)),
            "{line}"
        );
        assert!(talk.text.ends_with("(an empty line goes back): "));
    }
}

#[test]
fn nothing_moves_the_cursor_and_progress_is_told_each_tenth_and_second_at_most() {
    let mut talk = Talk::new();
    talk.line("1");
    let numbers = ["sda", "sdb"].map(|name| talk.number(name)).join(",");
    talk.line(&numbers).line("").line("").line("yes").line("yes");
    assert!(talk.desk.written.is_some(), "{}", talk.text);
    let before = talk.text.len();
    for tick in 0..350u64 {
        talk.now = Duration::from_millis(200 * tick);
        talk.desk.progress(0, Phase::Write, tick, Some(700)).progress(1, Phase::Write, 2 * tick, Some(700));
        talk.hear();
    }
    let lines = talk.text[before..].lines().count();
    assert!((10..=20).contains(&lines), "{}", &talk.text[before..]);
    assert!(!talk.text.contains(['\x1b', '\r', '\u{8}', '\u{202e}']));
}

/// `UPDATE_SNAPSHOTS=1` writes it anew, as the pictures.
#[test]
fn a_whole_talk() {
    let mut talk = Talk::new();
    talk.line("?").line("1");
    let numbers = ["sda", "sdb", "sdc"].map(|name| talk.number(name)).join(" ");
    talk.line(&numbers);
    let mut devices = talk.desk.state.world.devices.clone();
    devices.retain(|device| !device.target().path.ends_with("sdg"));
    talk.send(Event::Devices(devices));
    talk.line("").line("b").line("").line("").line("no").line("yes").line("yes");
    talk.line("4C530001").line("E0D55EA5000017A3EE9E");
    talk.progress(1, 0, Phase::Check, 0, None).progress(1, 1, Phase::Write, 0, Some(700));
    talk.progress(9, 0, Phase::Write, 90, Some(700)).progress(9, 1, Phase::Write, 185, Some(700));
    talk.progress(12, 2, Phase::Write, 200, None);
    talk.send(Event::Answer(aegis_installer::flash::dialog::screen::Answer::Leave));
    talk.progress(14, 1, Phase::Write, 300, Some(700)).line("");
    talk.progress(20, 1, Phase::Verify, 100, Some(699)).progress(21, 1, Phase::Complete, 700, Some(700));
    talk.progress(22, 2, Phase::Failed, 0, None).progress(23, 0, Phase::Complete, 700, Some(700));
    let failed = Outcome::NotBootable(Failure::ReadBack { offset: 17 << 20 });
    talk.send(Event::Finished(Ok(vec![desk::complete(), desk::complete(), failed]))).line("");
    assert_eq!(talk.desk.left, Some(1));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/flash-linear.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &talk.text).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == talk.text,
        "{} differs from\n{}",
        path.display(),
        talk.text
    );
}
