//! `aegis-server secret rotate`, with the server started again.

use std::fs;

use aegis_core::edition::Edition;
use nix::sys::signal::Signal;

use crate::{Maker, client::Client, get, program::Place};

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "correct horse on a hill";

#[test]
fn links_and_tokens_outlive_a_rotation_unless_the_secret_leaked() {
    let (place, maker) = (Place::new(), Maker::new());
    let keys = maker.keys(place.directory.path());
    maker.release(&place.path("gamer"), Edition::Gamer, b"a game");
    let directory = place.path("gamer");
    let published = place.run(&["publish", directory.to_str().unwrap(), "--keys", keys.to_str().unwrap()]);
    assert!(published.status.success(), "{published:?}");
    let path = "/download/gamer/1.0.0/aegis-gamer-1.0.0.iso";
    let link = || {
        let link = place.run(&["link", path]);
        let link = String::from_utf8(link.stdout).unwrap();
        format!("{path}?{}", link.trim().rsplit_once('?').unwrap().1)
    };
    let key = || String::from_utf8(place.run(&["audit", "key"]).stdout).unwrap();
    let again = |served: crate::program::Served| {
        served.signal(Signal::SIGTERM);
        assert_eq!(served.wait(), Some(0));
        place.serve()
    };
    let served = place.serve();
    let mut client = Client::new(served.public, "192.0.2.7");
    client.make_account(&place.path("mail"), ANN, PASSWORD);
    let credentials = serde_json::json!({"email": ANN, "password": PASSWORD});
    let tokens = client.json("/api/v1/auth/login", &credentials).json();
    let (first, audit_key) = (link(), key());

    let rotated = place.run(&["secret", "rotate", "--wait", "0"]);
    assert!(rotated.status.success(), "{rotated:?}");
    assert_eq!(get(served.public, &first).0, 200, "the process knows one secret until it is started again");
    let served = again(served);
    let mut client = client.moved(served.public);
    let second = link();
    assert_eq!([get(served.public, &first).0, get(served.public, &second).0], [200, 200]);
    assert_eq!(client.bearer(&tokens), 200);

    let leaked = place.run(&["secret", "rotate", "--leaked"]);
    assert!(leaked.status.success(), "{leaked:?}");
    let served = again(served);
    client = client.moved(served.public);
    assert_eq!([get(served.public, &first).0, get(served.public, &second).0], [403, 403]);
    assert_eq!(client.bearer(&tokens), 401);
    assert_eq!(get(served.public, &link()).0, 200);
    assert_eq!(client.json("/api/v1/auth/login", &credentials).status, 200);

    // The audit log goes on under its key.
    assert_eq!(key(), audit_key);
    let verified = place.run(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    assert_eq!(fs::read_to_string(place.path("secret")).unwrap().lines().count(), 3);
    let waiting = place.run(&["secret", "rotate"]);
    assert!(waiting.status.success(), "{waiting:?}");
    let refused = place.run(&["secret", "rotate"]);
    assert_eq!(refused.status.code(), Some(3), "one rotation after the other");
}
