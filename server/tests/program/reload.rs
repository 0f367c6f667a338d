//! SIGHUP, which `systemctl reload` sends: what changes, what waits for a restart, and what a mistake does.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    certificate::certificate,
    get,
    logged::{Logged, ask, configure},
    program::Place,
};

fn contact(address: SocketAddr) -> String {
    String::from_utf8(get(address, "/contact").1).unwrap()
}

fn register(address: SocketAddr, email: &str) {
    let body = format!("{{\"email\":\"{email}\",\"password\":\"correct horse battery\"}}");
    let request = format!(
        "POST /api/v1/auth/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(address, &request);
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

fn letters(folder: &Path) -> usize {
    let is_letter = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".eml");
    fs::read_dir(folder).map_or(0, |all| all.flatten().filter(|file| is_letter(&file.file_name())).count())
}

fn wait_for_letter(folder: &Path) {
    let begun = Instant::now();
    while letters(folder) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no letter came into {}", folder.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_can_change_changes_for_what_comes_next() {
    let place = Place::new();
    configure(&place, &[("site", "operator = \"First Ltd\""), ("log", "filter = \"info\"")]);
    let logged = Logged::start(&place);
    let public = logged.served.public;
    assert!(contact(public).contains("First Ltd"));
    register(public, "one@example.org");
    wait_for_letter(&place.path("mail"));
    let mut kept = TcpStream::connect(public).unwrap();
    let page = |stream: &mut TcpStream| {
        stream.write_all(b"GET /contact HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = text.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    };
    assert!(page(&mut kept).contains("First Ltd"));

    let file = fs::read_to_string(place.path("config.toml")).unwrap();
    let file = file.replace("First Ltd", "Second Ltd").replace("\"info\"", "\"info,access=off\"");
    let file = file.replace("/mail\"", "/other-mail\"").replace("\"127.0.0.0/8\"", "");
    fs::write(place.path("config.toml"), file).unwrap();
    configure(&place, &[("limits", "accounts_per_minute = 3\nconnections_per_address = 2")]);
    let lines = logged.reload();
    assert!(lines.iter().any(|line| line.contains("\"access\"")), "requests were logged before: {lines:?}");
    assert!(lines.iter().all(|line| !line.contains("restart")), "{lines:?}");

    // Texts change on connections that are open, limits of connections only for others.
    assert!(page(&mut kept).contains("Second Ltd"));
    let second = TcpStream::connect(public).unwrap();
    let answer = ask(public, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(answer, "", "the third connection of an address is one too many");
    drop((kept, second));
    let begun = Instant::now();
    let asked = "GET /contact HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    while ask(public, asked).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the seats of closed connections are free again");
    }
    let answer = ask(public, &asked.replace("/contact", "/account/sign-in"));
    assert!(answer.contains("ratelimit-policy: \"accounts\";q=3;w=60"), "{answer}");
    let begin = "POST /api/v1/auth/passkey/begin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let answer = ask(public, begin);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"accounts\";q=3;w=60"), "{answer}");

    // No request since was logged; the other letters go elsewhere.
    let text = fs::read_to_string(place.path("config.toml")).unwrap();
    let text = text.replace("accounts_per_minute = 3\n", "");
    fs::write(place.path("config.toml"), text).unwrap();
    let lines = logged.reload();
    assert!(lines.iter().all(|line| !line.contains("\"access\"")), "{lines:?}");
    let before = letters(&place.path("mail"));
    register(public, "three@example.org");
    wait_for_letter(&place.path("other-mail"));
    assert_eq!(letters(&place.path("mail")), before);
}

#[test]
fn what_cannot_change_is_named_and_a_mistake_changes_nothing() {
    let place = Place::new();
    configure(&place, &[("site", "operator = \"First Ltd\"")]);
    let good = fs::read_to_string(place.path("config.toml")).unwrap();
    let logged = Logged::start(&place);
    let public = logged.served.public;
    let write = |text: &str| fs::write(place.path("config.toml"), text).unwrap();

    write(
        &good
            .replace("public = [\"127.0.0.1:0\"]", "public = [\"127.0.0.1:1\"]")
            .replace("/db\"", "/other-db\"")
            .replace("First Ltd", "Second Ltd"),
    );
    let lines = logged.reload();
    let waits = |key: &str| {
        let named = |line: &&String| line.contains("waits for a restart") && line.contains(key);
        lines.iter().filter(named).count()
    };
    assert_eq!([waits("\"listen.public\""), waits("\"storage.database\""), waits("restart")], [1, 1, 2]);
    assert!(contact(public).contains("Second Ltd") && !place.path("other-db").exists());

    let third = good.replace("First Ltd", "Third Ltd");
    for (broken, words) in [
        (
            third.replace("[limits]\n", "[limits]\nconections = 1\n"),
            vec!["config.toml", "conections", "next:"],
        ),
        (
            third.replace("[limits]\n", "[limits]\nconnections = 0\n"),
            vec!["config.toml: limits.connections", "next:"],
        ),
        (
            third.replace("127.0.0.0/8", "127.0.0.0/99"),
            vec!["listen.trusted_proxies", "127.0.0.0/99", "next:"],
        ),
        (format!("{third}[log]\nfilter = \"access=loud\"\n"), vec!["log.filter", "next:"]),
        (third.replace("/secret\"", "/no-secret\""), vec!["waits for a restart"]),
    ] {
        write(&broken);
        let all = logged.reload().join("\n");
        assert!(words.iter().all(|word| all.contains(word)), "{words:?}: {all}");
        let goes_on = if all.contains("waits") { "Third Ltd" } else { "Second Ltd" };
        assert!(contact(public).contains(goes_on), "{all}");
    }
}

/// Whom the certificate names that is shown.
fn shown(address: SocketAddr) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string()]).stdin(Stdio::null());
    let output = command.output().expect("openssl is installed by tests/setup");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("subject=")).unwrap_or_default().replace(' ', "")
}

#[test]
fn certificates_can_be_elsewhere_and_broken_ones_leave_everything_as_it_was() {
    let place = Place::new();
    ["first", "second"].into_iter().for_each(|name| certificate(place.directory.path(), name));
    let keys = |name: &str| {
        format!(
            "certificate = \"{}\"\nkey = \"{}\"",
            place.path(&format!("{name}.pem")).display(),
            place.path(&format!("{name}.key")).display()
        )
    };
    let plain = fs::read_to_string(place.path("config.toml")).unwrap();
    configure(&place, &[("tls", &keys("first"))]);
    let first = fs::read_to_string(place.path("config.toml")).unwrap();
    let logged = Logged::start(&place);
    let public = logged.served.public;
    assert_eq!(shown(public), "CN=first");
    fs::write(place.path("config.toml"), first.replace("/first.", "/second.")).unwrap();
    logged.reload();
    assert_eq!(shown(public), "CN=second");
    fs::write(place.path("config.toml"), first.replace("/first.key", "/second.key")).unwrap();
    let lines = logged.reload().join("\n");
    assert!(lines.contains("first.pem") && lines.contains("stays in use"), "{lines}");
    assert_eq!(shown(public), "CN=second");
    // A socket goes on to speak TLS.
    fs::write(place.path("config.toml"), plain).unwrap();
    let lines = logged.reload().join("\n");
    assert!(lines.contains("\"tls\"") && lines.contains("waits for a restart"), "{lines}");
    assert_eq!(shown(public), "CN=second");
}
