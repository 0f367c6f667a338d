//! Plain HTTP beside TLS, challenges of ACME, and sockets that the service manager opened.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::fs::symlink},
    process::{Command, Stdio},
};

use crate::{
    certificate::certificate,
    get,
    logged::{Logged, ask, configure},
    program::{Place, Served},
};

/// A place with TLS, whose plain socket has this port.
fn place(plain: SocketAddr) -> Place {
    let place = Place::new();
    certificate(place.directory.path(), "site");
    let (chain, key) = (place.path("site.pem"), place.path("site.key"));
    let webroot = place.path("webroot");
    fs::create_dir_all(webroot.join(".well-known/acme-challenge/folder")).unwrap();
    configure(
        &place,
        &[
            ("site", "origin = \"https://site.example\""),
            ("tls", &format!("certificate = \"{}\"\nkey = \"{}\"", chain.display(), key.display())),
            ("listen", &format!("redirect = [\"{plain}\"]\nacme_webroot = \"{}\"", webroot.display())),
        ],
    );
    place
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// An answer over TLS.
fn ask_secure(address: SocketAddr, path: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect", &address.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("openssl is installed by tests/setup");
    let request = format!("GET {path} HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n");
    child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
}

#[test]
fn plain_http_leads_to_the_site_and_to_nobody_else() {
    let plain = free();
    let place = place(plain);
    let served = place.serve();
    for (line, more, to) in [
        ("GET /", "", "/"),
        ("GET /download/a?b=%20c", "", "/download/a?b=%20c"),
        ("HEAD /pricing", "", "/pricing"),
        ("POST /api/v1/auth/login", "Content-Length: 2\r\n", "/api/v1/auth/login"),
        ("GET http://evil.example/a", "", "/a"),
        ("GET //evil.example/a", "", "//evil.example/a"),
        ("OPTIONS *", "", "/"),
    ] {
        let host = "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n";
        let body = if more.is_empty() { "" } else { "{}" };
        let answer = ask(plain, &format!("{line} HTTP/1.1\r\n{host}{more}\r\n{body}"));
        assert!(answer.starts_with("HTTP/1.1 308 "), "{line}: {answer}");
        assert_eq!(header(&answer, "location"), Some(format!("https://site.example{to}").as_str()), "{line}");
        assert_eq!(header(&answer, "strict-transport-security"), None);
        assert!(answer.ends_with("\r\n\r\n"), "{line}: {answer}");
    }
    // Pages from memory, answers of the router and errors alike.
    for path in ["/", "/status", "/api/v1/editions", "/nothing", "/download/x/y/z"] {
        let answer = ask_secure(served.public, path);
        assert_eq!(
            header(&answer, "strict-transport-security"),
            Some("max-age=31536000"),
            "{path}: {answer}"
        );
    }
}

#[test]
fn challenges_are_answered_from_their_folder_alone() {
    let plain = free();
    let place = place(plain);
    let challenges = place.path("webroot/.well-known/acme-challenge");
    fs::write(challenges.join("a-Token_1"), "a-Token_1.digest").unwrap();
    fs::write(challenges.join("long"), "x".repeat(5000)).unwrap();
    fs::write(place.path("webroot/secret"), "outside").unwrap();
    fs::write(challenges.join("folder/inside"), "outside").unwrap();
    symlink(place.path("webroot/secret"), challenges.join("link")).unwrap();
    let logged = Logged::start(&place);
    let ask = |method: &str, name: &str| {
        let path = format!("/.well-known/acme-challenge/{name}");
        ask(plain, &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    };
    let answer = ask("GET", "a-Token_1");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\na-Token_1.digest"), "{answer}");
    let answer = ask("HEAD", "a-Token_1");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    for name in ["long", "link", "folder", "missing"] {
        assert!(ask("GET", name).starts_with("HTTP/1.1 404 "), "{name}");
    }
    // What is no token is a path like every other.
    for name in
        ["", "..%2f..%2fsecret", "../../secret", "folder/inside", "a-Token_1/", "a-Token_1%00", "./long"]
    {
        let answer = ask("GET", name);
        assert!(answer.starts_with("HTTP/1.1 308 ") && !answer.contains("outside"), "{name}: {answer}");
    }
    assert!(ask("POST", "a-Token_1").starts_with("HTTP/1.1 308 "));

    // The folder can be another while it serves.
    let text = fs::read_to_string(place.path("config.toml")).unwrap().replace("/webroot\"", "/other\"");
    fs::write(place.path("config.toml"), text).unwrap();
    fs::rename(place.path("webroot"), place.path("other")).unwrap();
    assert!(ask("GET", "a-Token_1").starts_with("HTTP/1.1 404 "));
    logged.reload();
    assert!(ask("GET", "a-Token_1").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_socket_of_the_service_manager_is_served_beside_our_own() {
    let place = Place::new();
    let text = fs::read_to_string(place.path("config.toml")).unwrap();
    let text = text.replace("public = [\"127.0.0.1:0\"]", "public = [\"systemd:public\"]");
    fs::write(place.path("config.toml"), text).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // The number of the process is known in it alone, and the first socket is the descriptor 3 (sd_listen_fds(3)).
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=public exec \"$@\"";
    let program = place.command(&["serve"]);
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
    command.stdin(Stdio::from(OwnedFd::from(socket)));
    let served = Served::start(command);
    assert_eq!(served.public, address);
    assert_eq!(get(address, "/").0, 200);
    assert_eq!(get(served.watch, "/healthz").0, 200);
}
