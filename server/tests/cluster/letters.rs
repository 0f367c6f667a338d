//! Letters through a mail server.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    sync::mpsc,
    thread,
};

use serde_json::json;

use crate::{PASSWORD, client::Client, program::Place};

const SECRET: &str = "a password of mail";

/// Takes letters of whoever has the password, and hands over what was said.
fn mail_server(listener: TcpListener, heard: mpsc::Sender<String>) {
    let expected = data_encoding::BASE64.encode(format!("\0mailer\0{SECRET}").as_bytes());
    for stream in listener.incoming().flatten() {
        let (mut out, mut said, mut in_data) = (stream.try_clone().unwrap(), String::new(), false);
        out.write_all(b"220 test\r\n").unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let answer = match (in_data, line.as_str()) {
                (true, ".") => "250 taken",
                (true, _) => "",
                (_, "DATA") => "354 go on",
                (_, line) if line.starts_with("EHLO") => "250-test\r\n250 AUTH PLAIN",
                (_, line) if line.starts_with("AUTH") && !line.ends_with(&expected) => "535 no",
                (_, line) if line.starts_with("AUTH") => "235 welcome",
                _ => "250 good",
            };
            in_data = answer.starts_with("354") || (in_data && answer.is_empty());
            said.push_str(&line);
            said.push('\n');
            if !answer.is_empty() {
                out.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
            }
            if answer == "250 taken" {
                heard.send(std::mem::take(&mut said)).unwrap();
            }
        }
    }
}

#[test]
fn a_mail_server_gets_the_letters_and_nobody_sees_its_password() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, letters) = mpsc::channel();
    thread::spawn(move || mail_server(listener, heard));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mail-password");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let database = format!("sqlite:{}/db", directory.path().display());
    let mail = format!(
        "smtp = {{ host = \"127.0.0.1\", port = {port}, protection = \"plain\", user = \"mailer\", \
         password_file = \"{}\", from = \"Aegis OS <no-reply@example.org>\" }}",
        file.display()
    );
    let place = Place::with(directory, &database, &mail);
    let printed = place.run(&["check-config"]);
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.status.success() && text.contains("password_file") && !text.contains(SECRET), "{text}");

    let served = place.serve();
    let body = json!({"email": "ann@example.org", "password": PASSWORD});
    let mut client = Client::new(served.public, "192.0.2.1");
    assert_eq!(client.json("/api/v1/auth/register", &body).status, 202);
    let letter = letters.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert!(
        letter.contains("RCPT TO:<ann@example.org>") && letter.contains("/account/confirm?token"),
        "{letter}"
    );
    assert!(
        letter.contains("AUTH PLAIN") && letter.contains("From: \"Aegis OS\" <no-reply@example.org>"),
        "{letter}"
    );

    drop(served);
    for (key, value) in [("password_file", "/nowhere"), ("host", "192.0.2.1"), ("from", "nobody")] {
        let refused = place.run(&["serve", "--set", &format!("mail.smtp.{key}={value}")]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(
            !refused.status.success() && said.contains(value) | said.contains(&format!("mail.smtp.{key}")),
            "{said}"
        );
        assert!(!said.contains(SECRET));
    }
}
