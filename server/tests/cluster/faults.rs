//! Databases that go away and come back, and disks that are full.

use std::{fs, io::Write, path::PathBuf, process::Command};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    PASSWORD, acts,
    client::{Answer, Client},
    program::{Place, Served},
    server, texts, until,
};

/// A sign-in of nobody, which needs the database.
fn sign_in(served: &Served) -> Answer {
    let body = json!({"email": "nobody@example.org", "password": PASSWORD});
    Client::new(served.public, "192.0.2.1").json("/api/v1/auth/login", &body)
}

fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.json()["code"], "unavailable");
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert!(!answer.body.contains("SQL") && !answer.body.contains('/'), "{}", answer.body);
}

fn ready(served: &Served) -> u16 {
    Client::new(served.watch, "").get("/readyz").status
}

#[test]
fn postgres_goes_and_comes_back_under_the_program() {
    let server = server::Server::start();
    let url = server.database();
    let directory = tempfile::tempdir().unwrap();
    let mail = format!("folder = \"{}/mail\"", directory.path().display());
    let place = Place::with(directory, &url, &mail);
    let served = place.serve();
    assert_eq!((sign_in(&served).status, ready(&served)), (401, 200));
    for crash in [true, false] {
        server.stop(crash);
        is_unavailable(&sign_in(&served));
        is_unavailable(&sign_in(&served));
        // What needs no database goes on.
        let mut client = Client::new(served.public, "192.0.2.1");
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.get("/api/v1/editions").status, 200);
        assert_eq!(client.get("/api/v1/status").json()["status"], "unavailable");
        assert_eq!(Client::new(served.watch, "").get("/healthz").status, 200);
        until("ready without a database", || ready(&served) == 503);
        server.go();
        until("not ready again", || ready(&served) == 200);
        // Failed attempts are remembered over that, so it may also be too often.
        assert!([401, 429].contains(&sign_in(&served).status));
    }
    served.signal(Signal::SIGTERM);
    assert_eq!(served.wait(), Some(0));
    acts(&place, &url);
}

/// A folder of few megabytes that this process alone sees, and the program in it.
struct Small {
    served: Served,
    folder: PathBuf,
}

impl Small {
    fn start(place: &Place) -> Self {
        let folder = place.path("small");
        fs::create_dir(&folder).unwrap();
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let mount = "mount -t tmpfs -o size=4m,mode=700 tmpfs \"$0\" && exec \"$@\"";
        command.args(["sh", "-c", mount]).arg(&folder).arg(env!("CARGO_BIN_EXE_aegis-server"));
        command.arg("--config").arg(place.path("config.toml")).arg("serve");
        command.arg("--set").arg(format!("storage.database=sqlite:{}/db", folder.display()));
        let served = Served::start(command);
        // As the process sees it.
        let folder = PathBuf::from(format!("/proc/{}/root{}", served.child.id(), folder.display()));
        Self { served, folder }
    }

    /// The database as it is on that disk at this moment, copied to where there is room.
    fn copy(&self, place: &Place) -> String {
        self.served.signal(Signal::SIGSTOP);
        for name in ["db", "db-wal"] {
            fs::copy(self.folder.join(name), place.path(name)).unwrap();
        }
        self.served.signal(Signal::SIGCONT);
        format!("sqlite:{}", place.path("db").display())
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.folder.join("fill")).unwrap();
        while file.write_all(&[7; 4096]).is_ok() {}
    }
}

#[test]
fn on_a_full_disk_it_says_so_and_goes_on_when_there_is_room() {
    let place = Place::new();
    let small = Small::start(&place);
    let register = |number: u32| {
        let body = json!({"email": format!("person{number}@example.org"), "password": PASSWORD});
        let mut client = Client::new(small.served.public, &format!("10.0.{}.1", number % 250));
        client.json("/api/v1/auth/register", &body)
    };
    assert_eq!(register(0).status, 202);
    small.fill();
    // What the database has of the disk already it may use up.
    let mut taken = vec![0];
    let refused = (1..400).find_map(|number| {
        let answer = register(number);
        if answer.status == 202 {
            taken.push(number);
            return None;
        }
        Some(answer)
    });
    is_unavailable(&refused.expect("the disk was never full"));
    let mut client = Client::new(small.served.public, "192.0.2.1");
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.get("/account/sign-in").status, 200);
    fs::remove_file(small.folder.join("fill")).unwrap();
    until("there is room again", || register(1000).status == 202);
    taken.push(1000);
    let copy = small.copy(&place);
    let there = texts(&copy, "SELECT address FROM registrations");
    assert!(taken.iter().all(|number| there.contains(&format!("person{number}@example.org"))));
    acts(&place, &copy);
}
