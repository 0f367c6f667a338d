//! `aegis-server account` beside a running server.

use std::{fs, io::Write, process::Stdio};

use crate::{client::Client, program::Place};

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "correct horse on a hill";

#[test]
fn the_operator_helps_while_it_serves_and_never_by_mistake() {
    let place = Place::new();
    let served = place.serve();
    let mut client = Client::new(served.public, "192.0.2.7");
    client.make_account(&place.path("mail"), ANN, PASSWORD);
    let credentials = serde_json::json!({"email": ANN, "password": PASSWORD});
    let tokens = client.json("/api/v1/auth/login", &credentials).json();
    assert_eq!(client.bearer(&tokens), 200);

    let shown = place.run(&["account", "show", "Ann@example.org", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["api_clients"], &shown["disabled_at"]), (&1.into(), &serde_json::Value::Null));
    let shown = String::from_utf8(place.run(&["account", "show", ANN]).stdout).unwrap();
    assert!(shown.contains("authenticator  none"), "{shown}");

    // Neither another address, nor silence, nor a mere yes.
    for (more, typed) in [(vec!["--yes", "bob@example.org"], ""), (vec![], ""), (vec![], "yes\n")] {
        let mut command = place.command(&[&["account", "disable", ANN], more.as_slice()].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(3) && said.contains("next:"), "{said}");
    }
    assert_eq!(client.bearer(&tokens), 200);
    let nothing = place.run(&["account", "reset-factor", ANN, "--yes", ANN]);
    assert_eq!(nothing.status.code(), Some(3), "there is no second factor");
    let nobody = place.run(&["account", "unlock", "bob@example.org", "--yes", "bob@example.org"]);
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(nobody.status.code() == Some(2) && !said.contains("bob@"), "{said}");

    assert!(place.run(&["account", "disable", ANN, "--yes", ANN]).status.success());
    assert_eq!(client.bearer(&tokens), 401);
    assert_eq!(client.json("/api/v1/auth/login", &credentials).status, 403);
    assert!(place.run(&["account", "enable", ANN, "--yes", ANN]).status.success());
    assert_eq!(client.json("/api/v1/auth/login", &credentials).status, 200);
    assert!(place.run(&["audit", "verify"]).status.success());
    let copy = place.path("audit.jsonl");
    assert!(place.run(&["audit", "export", copy.to_str().unwrap()]).status.success());
    let copy = fs::read_to_string(copy).unwrap();
    assert!(copy.contains("account.disable") && copy.contains("account.enable") && !copy.contains("ann@"));
}
