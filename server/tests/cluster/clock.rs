//! A machine whose clock is put forward and back under the program: nothing lasts longer than it may, nobody is kept out
//! for longer than a quarter of an hour, and the audit log stays good.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::json;

use crate::{
    PASSWORD, acts,
    client::{Client, link_to},
    count,
    program::{Place, Served},
    release::Maker,
    texts,
    traffic::{ANN, with_key},
    until,
};

const BOB: &str = "bob@example.org";
const PAID: &str = "/download/gamer/1.0.0/aegis-gamer-1.0.0.iso";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The program and a clock of its own: `libfaketime` answers in place of the kernel. Timers, which count what passes, stay
/// as they are, as with a real clock that is put.
struct Machine {
    place: Place,
    clock: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let place = Place::new();
        let clock = place.path("clock");
        let machine = Self { place, clock };
        machine.put(0);
        machine
    }

    /// Puts the clock so many seconds before or after the true time.
    fn put(&self, seconds: i64) {
        let next = self.place.path("clock.next");
        fs::write(&next, format!("{seconds:+}\n")).unwrap();
        fs::rename(next, &self.clock).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
        let there = Path::new(&library).exists();
        assert!(there, "libfaketime is missing: install Debian's package libfaketime, or run tests/setup");
        let mut command = self.place.command(arguments);
        command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &self.clock);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    }

    /// Publishes a file that is paid for.
    fn publish(&self) {
        let maker = Maker::new();
        let keys = maker.keys(self.place.directory.path());
        maker.release(&self.place.path("gamer"), aegis_core::edition::Edition::Gamer, b"a game");
        let paths = [self.place.path("gamer"), keys].map(|path| path.to_str().unwrap().to_owned());
        self.run(&["publish", &paths[0], "--keys", &paths[1]]);
    }

    /// A path that opens the file for a day.
    fn link(&self) -> String {
        let link = String::from_utf8(self.run(&["link", PAID]).stdout).unwrap();
        format!("{PAID}?{}", link.trim().rsplit_once('?').unwrap().1)
    }
}

/// People before the program, who come from one address unless it is said.
struct People<'a> {
    served: &'a Served,
    from: &'static str,
}

impl People<'_> {
    fn at(&self, from: &str) -> Client {
        Client::new(self.served.public, from)
    }

    fn browser(&self, from: &str) -> Client {
        let mut browser = self.at(from);
        let fields = [("email", ANN), ("password", PASSWORD)];
        assert_eq!(browser.post_from("/account/sign-in", "/account/sign-in", &fields).status, 303);
        assert_eq!(browser.get("/account").status, 200);
        browser
    }

    fn tokens(&self) -> serde_json::Value {
        let answer =
            self.at(self.from).json("/api/v1/auth/login", &json!({"email": ANN, "password": PASSWORD}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    fn bearer(&self, tokens: &serde_json::Value) -> u16 {
        self.at(self.from).bearer(tokens)
    }

    fn refresh(&self, tokens: &serde_json::Value) -> (u16, serde_json::Value) {
        let body = json!({"refresh_token": tokens["refresh_token"]});
        let answer = self.at(self.from).json("/api/v1/auth/refresh", &body);
        (answer.status, answer.json())
    }

    /// A wrong password for Bob, always from one network: the status, and how long to wait.
    fn guess(&self) -> (u16, u64) {
        let body = json!({"email": BOB, "password": "not the password"});
        let answer = self.at("198.51.100.1").json("/api/v1/auth/login", &body);
        (answer.status, answer.header("retry-after").map_or(0, |seconds| seconds.parse().unwrap()))
    }

    /// One more page for an address that looks at many.
    fn look(&self) -> (u16, u64) {
        let answer = self.at("203.0.113.1").get("/account/sign-in");
        (answer.status, answer.header("retry-after").map_or(0, |seconds| seconds.parse().unwrap()))
    }

    /// Guesses and looks until both are refused.
    fn exhaust(&self) {
        while self.guess().0 != 429 {}
        while self.look().0 != 429 {}
    }
}

#[test]
fn a_clock_that_is_put_forward_and_back_lengthens_nothing_and_keeps_nobody_out() {
    let machine = Machine::new();
    machine.publish();
    let served = Served::start(machine.command(&["serve"]));
    let people = People { served: &served, from: "192.0.2.1" };
    let mail = machine.place.path("mail");
    people.at("192.0.2.1").make_account(&mail, ANN, PASSWORD);
    forward(&machine, &people, &mail);
    let far = ahead(&machine, &people, &mail);
    acts(&machine.place, &url(&machine));
    // An address that was there in the future has used its limit up, which is whole again within its minute.
    let people = People { from: "192.0.2.70", ..people };
    back(&machine, &people, &mail, far);
    let acts = acts(&machine.place, &url(&machine));
    assert_eq!(count(&acts, "clock.back"), 1, "{acts:?}");
}

fn url(machine: &Machine) -> String {
    format!("sqlite:{}", machine.place.path("db").display())
}

/// Everything ends when its time has come, and so does every wait.
fn forward(machine: &Machine, people: &People<'_>, mail: &Path) {
    let (mut browser, tokens, link) = (people.browser("192.0.2.1"), people.tokens(), machine.link());
    let body = json!({"email": "carol@example.org", "password": PASSWORD});
    assert_eq!(people.at("192.0.2.3").json("/api/v1/auth/register", &body).status, 202);
    let confirm = link_to(mail, "carol@example.org");
    people.exhaust();
    assert_eq!((people.bearer(&tokens), people.at("").get(&link).status), (200, 200));

    machine.put(16 * MINUTE);
    assert_eq!(
        (people.bearer(&tokens), browser.get("/account").status),
        (401, 200),
        "ten minutes, and a day"
    );
    assert_eq!((people.guess().0, people.look().0), (401, 200), "every wait is over");
    let (status, tokens) = people.refresh(&tokens);
    assert_eq!((status, people.bearer(&tokens)), (200, 200));

    machine.put(26 * HOUR);
    assert_eq!(
        (browser.get("/account").status, people.at("").get(&link).status),
        (303, 403),
        "unused for a day"
    );
    let token = confirm.split_once("?token=").unwrap().1;
    let fields = [("token", token), ("password", PASSWORD)];
    assert_ne!(people.at("192.0.2.3").post_from(&confirm, "/account/confirm", &fields).status, 200);
    let (status, tokens) = people.refresh(&tokens);
    assert_eq!((status, people.bearer(&tokens)), (200, 200));

    machine.put(31 * DAY);
    assert_eq!(
        (people.bearer(&tokens), people.refresh(&tokens).0),
        (401, 401),
        "thirty days, however often exchanged"
    );
}

/// What was begun in the future.
struct Far {
    browser: Client,
    tokens: serde_json::Value,
    link: String,
}

fn ahead(machine: &Machine, people: &People<'_>, mail: &Path) -> Far {
    machine.put(400 * DAY);
    let far = Far { browser: people.browser("192.0.2.1"), tokens: people.tokens(), link: machine.link() };
    assert_eq!((people.bearer(&far.tokens), people.at("").get(&far.link).status), (200, 200));
    people.exhaust();
    assert_eq!(with_key(&mut people.at(""), "order-1").unwrap().status, 200);
    // A letter that cannot be delivered at once, and is put off for two minutes.
    fs::rename(mail, mail.with_extension("away")).unwrap();
    fs::write(mail, "").unwrap();
    let body = json!({"email": "dave@example.org", "password": PASSWORD});
    assert_eq!(people.at("192.0.2.4").json("/api/v1/auth/register", &body).status, 202);
    until("the letter was tried", || {
        let waiting = "SELECT recipient FROM outbox WHERE tries > 0";
        texts(&url(machine), waiting) == ["dave@example.org"]
    });
    fs::remove_file(mail).unwrap();
    fs::rename(mail.with_extension("away"), mail).unwrap();
    far
}

fn back(machine: &Machine, people: &People<'_>, mail: &Path, mut far: Far) {
    machine.put(HOUR);
    assert_eq!(
        (people.bearer(&far.tokens), people.at("").get(&far.link).status),
        (401, 403),
        "from the future"
    );
    let (status, wait) = people.look();
    assert!(status == 429 && wait <= 60, "{wait} seconds for a limit of one minute");
    far.browser.from = people.from.into();
    until("the session of the future ends", || far.browser.get("/account").status == 303);
    assert_eq!(people.refresh(&far.tokens).0, 401);
    until("the wait of the future ends", || people.guess().0 == 401);
    until("a key of the future is free", || {
        let answer = with_key(&mut people.at(""), "order-1").unwrap();
        answer.status == 200 && answer.header("idempotency-replayed").is_none()
    });
    until("the service is ready again", || Client::new(people.served.watch, "").get("/readyz").status == 200);
    link_to(mail, "dave@example.org");
    let tokens = people.tokens();
    assert_eq!((people.bearer(&tokens), people.browser("192.0.2.7").get("/account").status), (200, 200));
}
