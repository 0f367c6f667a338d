//! Two processes, each in a network of its own, behind a balancer: one is killed, and then one is cut off. Nothing that was
//! answered is lost, nothing is done twice, and downloads go on at the other.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    PASSWORD, acts,
    client::Client,
    count,
    program::Place,
    release::Maker,
    texts,
    traffic::{ANN, Answered, Download, Traffic, with_key},
    until,
    wires::{self, Network},
};

/// Bytes of the file, more than all buffers between a process and a client hold.
const LENGTH: usize = 48 << 20;

#[test]
fn behind_a_balancer_one_is_killed_and_one_is_cut_off() {
    wires::inside("networks::behind_a_balancer_one_is_killed_and_one_is_cut_off", |url| {
        let directory = tempfile::tempdir().unwrap();
        let mail = format!("folder = \"{}/mail\"", directory.path().display());
        let place = Place::with(directory, url, &mail);
        let content = publish(&place);
        let network = Network::new(&place, url);
        let at = network.front;
        let (one, two) = (network.node(&place, 1), network.node(&place, 2));
        network.until_known(["UP", "UP"]);
        Client::new(at, "192.0.2.1").make_account(&place.path("mail"), ANN, PASSWORD);

        let killed = lose_one(&network, &content, "killed", || one.signal(Signal::SIGKILL));
        assert_eq!(one.wait(), None);
        let one = network.node(&place, 1);
        network.until_known(["UP", "UP"]);

        let cut = lose_one(&network, &content, "cut", || Network::cut(1, true));
        Network::cut(1, false);
        network.until_known(["UP", "UP"]);
        // The process that was cut off is as good as before.
        let body = json!({"email": ANN, "password": PASSWORD});
        assert_eq!(Client::new(one.public, "192.0.2.1").json("/api/v1/auth/login", &body).status, 200);
        for served in [one, two] {
            served.signal(Signal::SIGTERM);
            assert_eq!(served.wait(), Some(0));
        }
        // Accounts and sessions were checked before; here the log must tell of the same.
        let acts = acts(&place, url);
        assert_eq!((count(&acts, "server.start"), count(&acts, "server.end")), (3, 2), "{acts:?}");
        let families = texts(url, "SELECT 'one' FROM refresh_families").len();
        assert_eq!(
            count(&acts, "session.start"),
            families,
            "a session without its entry, or an entry without it"
        );
        assert!(families > killed + cut);
    });
}

fn publish(place: &Place) -> Vec<u8> {
    let maker = Maker::new();
    let keys = maker.keys(place.directory.path());
    // Different at every place, so that a part from elsewhere is seen.
    let content: Vec<u8> =
        (0..LENGTH as u64 / 8).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    maker.release(&place.path("release"), aegis_core::edition::Edition::Freemium, &content);
    let arguments = [place.path("release"), keys].map(|path| path.to_str().unwrap().to_owned());
    let published = place.run(&["publish", &arguments[0], "--keys", &arguments[1]]);
    assert!(published.status.success(), "{published:?}");
    content
}

/// Loses the first process in the middle of everything. Returns how many signed in meanwhile.
fn lose_one(network: &Network, content: &[u8], name: &'static str, fault: impl FnOnce()) -> usize {
    let at = network.front;
    let downloads = ["one", "two"].map(|process| Download::from(at, process));
    let answered = Traffic::during(at, name, || {
        fault();
        network.until_known(["DOWN", "UP"]);
        // A transaction in the middle of which the process was lost may hold locks until the database gives it up.
        let body = json!({"email": ANN, "password": PASSWORD});
        until("the other can write", || {
            let answer = Client::new(at, "192.0.2.8").try_json("/api/v1/auth/login", &body);
            answer.is_ok_and(|answer| answer.status == 200)
        });
    });
    for download in downloads {
        let process = download.by.clone();
        let (got, before) = download.finish(at, LENGTH);
        assert!(got == content, "{name}: the download from {process} is another file");
        assert_eq!(
            before < LENGTH,
            process == "one",
            "{name}: {process} sent {before} bytes before the loss"
        );
    }
    check(network, &answered);
    answered.refresh_tokens.len()
}

/// All of it from the other process.
fn check(network: &Network, answered: &Answered) {
    let url = std::env::var(wires::INSIDE).unwrap();
    let waiting = texts(&url, "SELECT address FROM registrations");
    for email in &answered.registrations {
        assert_eq!(waiting.iter().filter(|found| *found == email).count(), 1, "{email}");
    }
    for token in &answered.refresh_tokens {
        let body = json!({"refresh_token": token});
        let exchanged = Client::new(network.front, "192.0.2.2").json("/api/v1/auth/refresh", &body);
        assert_eq!(exchanged.status, 200, "a session is lost: {}", exchanged.body);
    }
    assert!(answered.keys.len() > 2);
    for (key, (answers, first)) in &answered.keys {
        let again = with_key(&mut Client::new(network.front, ""), key).unwrap();
        let replayed = again.header("idempotency-replayed").is_some();
        // Of one whose answer was lost, the first that comes may be a repetition.
        assert!(*first <= 1 && (answers.is_empty() || replayed), "{key} was run twice");
        assert!(answers.iter().all(|answer| *answer == again.body), "{key}: {answers:?} {}", again.body);
        assert!(again.status == 200 || (again.status == 409 && answers.is_empty()), "{key}: {}", again.body);
    }
}
