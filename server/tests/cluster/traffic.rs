//! What people do while a process is lost: sign in, register, ask with a key, download.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    PASSWORD,
    client::{Answer, Client},
    until,
};

pub(crate) const ANN: &str = "ann@example.org";
pub(crate) const FILE: &str = "/download/freemium/1.0.0/aegis-freemium-1.0.0.iso";
const LANES: usize = 4;

/// What was answered.
#[derive(Default)]
pub(crate) struct Answered {
    pub(crate) registrations: Vec<String>,
    pub(crate) refresh_tokens: Vec<String>,
    /// By their keys: the answers that came, and how many of them were no repetitions.
    pub(crate) keys: BTreeMap<String, (Vec<String>, usize)>,
}

/// Requests that go on until they are told to end.
pub(crate) struct Traffic {
    at: SocketAddr,
    name: &'static str,
    stop: AtomicBool,
    /// The balancer knows of the loss: nothing that begins now may fail.
    settled: AtomicBool,
    answers: [AtomicU32; LANES],
    late: [AtomicU32; LANES],
}

impl Traffic {
    /// Lets people do things before, while and after something happens; `fault` returns when the balancer knows of it.
    pub(crate) fn during(at: SocketAddr, name: &'static str, fault: impl FnOnce()) -> Answered {
        let (stop, settled) = (AtomicBool::new(false), AtomicBool::new(false));
        let traffic = Self { at, name, stop, settled, answers: Default::default(), late: Default::default() };
        thread::scope(|scope| {
            let traffic = &traffic;
            let lanes: Vec<_> = (0..LANES).map(|lane| scope.spawn(move || traffic.lane(lane))).collect();
            // Whatever fails below, the lanes end.
            let _end = End(&traffic.stop);
            let all =
                |counts: &[AtomicU32; LANES], least| counts.iter().all(|count| count.load(SeqCst) >= least);
            until("every lane has answers", || all(&traffic.answers, 3));
            fault();
            traffic.settled.store(true, SeqCst);
            until("every lane goes on", || {
                all(&traffic.late, 3) || lanes.iter().any(|lane| lane.is_finished())
            });
            traffic.stop.store(true, SeqCst);
            let mut all = Answered::default();
            for lane in lanes {
                let one = lane.join().unwrap();
                all.registrations.extend(one.registrations);
                all.refresh_tokens.extend(one.refresh_tokens);
                all.keys.extend(one.keys);
            }
            all
        })
    }

    fn lane(&self, lane: usize) -> Answered {
        let mut answered = Answered::default();
        for number in 0_u32.. {
            if self.stop.load(SeqCst) {
                break;
            }
            let mut client = Client::new(self.at, &format!("10.{lane}.{}.1", number % 250));
            match lane {
                0 => {
                    let email = format!("person{number}@{}.example.org", self.name);
                    let body = json!({"email": email, "password": PASSWORD});
                    let answer = self.good(lane, 202, || client.try_json("/api/v1/auth/register", &body));
                    answered.registrations.extend(answer.map(|_| email));
                }
                1 => self.ask(lane, &mut client, format!("{}-{number}", self.name), &mut answered),
                _ => {
                    let body = json!({"email": ANN, "password": PASSWORD});
                    let answer = self.good(lane, 200, || client.try_json("/api/v1/auth/login", &body));
                    let token = |answer: Answer| answer.json()["refresh_token"].as_str().unwrap().to_owned();
                    answered.refresh_tokens.extend(answer.map(token));
                }
            }
        }
        answered
    }

    /// Sends a request until it is answered, always with the same key, and once more.
    fn ask(&self, lane: usize, client: &mut Client, key: String, answered: &mut Answered) {
        let (mut wanted, mut failed) = (2, false);
        let (answers, first) = answered.keys.entry(key.clone()).or_default();
        while wanted > 0 && !self.stop.load(SeqCst) {
            let expected = if failed { 409 } else { 200 };
            let Some(answer) = self.good(lane, expected, || with_key(client, &key)) else {
                failed = true;
                continue;
            };
            if answer.status == 409 {
                // Its first run died with the process, and is taken over after two minutes.
                assert!(answer.header("retry-after").is_some(), "{}", answer.body);
                return;
            }
            *first += usize::from(answer.header("idempotency-replayed").is_none());
            answers.push(answer.body);
            wanted -= 1;
        }
    }

    /// An answer with status 200 or the expected one; failing is allowed until the balancer knows of the loss.
    fn good(&self, lane: usize, expected: u16, send: impl FnOnce() -> io::Result<Answer>) -> Option<Answer> {
        let after = self.settled.load(SeqCst);
        let result = send();
        if let Ok(answer) = &result
            && [200, expected].contains(&answer.status)
        {
            self.answers[lane].fetch_add(1, SeqCst);
            self.late[lane].fetch_add(u32::from(after), SeqCst);
            return result.ok();
        }
        let lost = result.as_ref().map_or(true, |answer| [502, 503, 504].contains(&answer.status));
        assert!(lost && !after, "{} in lane {lane}, after the balancer knew: {after}: {result:?}", self.name);
        None
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// A request that may be run once for each key.
pub(crate) fn with_key(client: &mut Client, key: &str) -> io::Result<Answer> {
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
    let body = json!({"users": key.len(), "term": "annual"}).to_string();
    // One address asks, since keys belong to whoever brings them.
    client.from = "192.0.2.5".into();
    client.send("POST", "/api/v1/pricing/calculator", &headers, &body)
}

/// A download in the middle.
pub(crate) struct Download {
    stream: TcpStream,
    got: Vec<u8>,
    etag: String,
    /// Which process sends it.
    pub(crate) by: String,
}

impl Download {
    /// Begins one that a certain process sends, and reads its first megabyte.
    pub(crate) fn from(at: SocketAddr, process: &str) -> Self {
        for _ in 0..10 {
            let mut download = Self::begin(at, Vec::new(), "");
            if download.by == process {
                download.read(1 << 20).unwrap();
                return download;
            }
        }
        panic!("{process} sends nothing");
    }

    fn begin(at: SocketAddr, got: Vec<u8>, etag: &str) -> Self {
        // With a small window, so that most of the file is still with the server when it is lost.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.connect(&at.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let (range, status) = if got.is_empty() {
            (String::new(), "200")
        } else {
            (format!("Range: bytes={}-\r\nIf-Range: {etag}\r\n", got.len()), "206")
        };
        write!(stream, "GET {FILE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{range}\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        let field = |name| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        Self { stream, got, etag: field("etag: "), by: field("x-served-by: ") }
    }

    /// Reads so many bytes further, or to the end.
    fn read(&mut self, most: u64) -> io::Result<()> {
        (&self.stream).take(most).read_to_end(&mut self.got).map(drop)
    }

    /// Reads to the end; when it is cut before that, resumes at whoever the balancer chooses. Returns the content, and how
    /// much of it had come before the cut.
    pub(crate) fn finish(mut self, at: SocketAddr, length: usize) -> (Vec<u8>, usize) {
        // A cut is an error or an early end.
        let _ = self.read(u64::MAX);
        let before = self.got.len();
        if before < length {
            let mut rest = Self::begin(at, self.got, &self.etag);
            assert_eq!(rest.etag, self.etag);
            rest.read(u64::MAX).unwrap();
            return (rest.got, before);
        }
        (self.got, before)
    }
}
