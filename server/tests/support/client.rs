//! A client over real sockets, with cookies.

use std::{
    collections::BTreeMap,
    fs,
    io::{Error, Read, Result, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

/// A browser or a program, as seen behind a proxy.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) at: SocketAddr,
    pub(crate) from: String,
    /// What it calls the server.
    pub(crate) host: String,
    cookies: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn new(at: SocketAddr, from: &str) -> Self {
        Self { at, from: from.into(), host: "localhost".into(), cookies: BTreeMap::new() }
    }

    /// The same client, which comes to another socket.
    pub(crate) fn moved(&self, at: SocketAddr) -> Self {
        Self { at, ..self.clone() }
    }

    /// An answer that came whole, or an error.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        let mut stream = TcpStream::connect(self.at)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Forwarded-For: {}\r\n\
             Cookie: {}\r\nContent-Length: {}\r\n",
            self.host,
            self.from,
            self.cookies(),
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        let answer = parse(&all, method == "HEAD").ok_or_else(|| Error::other("the answer was cut"))?;
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        Ok(answer)
    }

    /// As a browser sends them.
    pub(crate) fn cookies(&self) -> String {
        let pair = |(name, value): (&String, &String)| format!("{name}={value}");
        self.cookies.iter().map(pair).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "").unwrap()
    }

    pub(crate) fn try_json(&mut self, path: &str, body: &serde_json::Value) -> Result<Answer> {
        self.send("POST", path, &[("Content-Type", "application/json")], &body.to_string())
    }

    pub(crate) fn json(&mut self, path: &str, body: &serde_json::Value) -> Answer {
        self.try_json(path, body).unwrap()
    }

    pub(crate) fn bearer(&mut self, tokens: &serde_json::Value) -> u16 {
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        self.send("GET", "/api/v1/account", &[("Authorization", &bearer)], "").unwrap().status
    }

    /// Opens a page for the token of its forms, and posts to a path.
    pub(crate) fn post_from(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(page).body;
        let token = page.split("name=\"form_token\" value=\"").nth(1).expect("a form");
        let token = token.split('"').next().unwrap();
        let pair = |(name, value): &(&str, &str)| format!("{name}={}", escaped(value));
        let body: Vec<_> = fields.iter().chain([&("form_token", token)]).map(pair).collect();
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &kind, &body.join("&")).unwrap()
    }

    /// Registers, waits for the letter, and confirms.
    pub(crate) fn make_account(&mut self, mail: &Path, email: &str, password: &str) {
        let body = serde_json::json!({"email": email, "password": password});
        assert_eq!(self.json("/api/v1/auth/register", &body).status, 202);
        let link = link_to(mail, email);
        let token = link.split_once("?token=").unwrap().1;
        let fields = [("token", token), ("password", password)];
        assert_eq!(self.post_from(&link, "/account/confirm", &fields).status, 200);
    }
}

/// The link to confirm in the letter to an address, as soon as it comes.
pub(crate) fn link_to(mail: &Path, email: &str) -> String {
    let began = Instant::now();
    loop {
        for file in fs::read_dir(mail).into_iter().flatten().flatten() {
            let letter = fs::read_to_string(file.path()).unwrap_or_default();
            let letter = letter.replace("=\r\n", "").replace("=3D", "=");
            if letter.contains(&format!("To: {email}\r\n"))
                && let Some(at) = letter.find("/account/confirm?token=")
            {
                return letter[at..].split_whitespace().next().unwrap().to_owned();
            }
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no letter came to {email}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn parse(all: &[u8], head_only: bool) -> Option<Answer> {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&all[..end]).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let body = &all[end + 4..];
    let said = headers.iter().find(|(name, _)| name == "content-length");
    let whole = head_only || said.is_none_or(|(_, length)| length.parse() == Ok(body.len()));
    whole.then(|| Answer { status, headers, body: String::from_utf8_lossy(body).into_owned() })
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect()
}
