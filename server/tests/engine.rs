//! Connections as clients meet them, over real sockets: limits, files, TLS, the end of the server.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on has failed"
)]

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use aegis_core::{channel::Channel, edition::Edition};
use aegis_server::{
    Clock,
    downloads::{Blobs, Catalogue, Counted, Downloads, Links, Mirrors, Permit, Running, Sending},
    engine::{self, Answer, Connection, Counts, Limits, Server},
    store::{Sqlite, Statement, Store},
};
use axum::body::Body;
use hyper::{Request, Response, body::Incoming};

/// Answers `/download/…` with files, `/slow` after a second, and anything else with its path.
struct Site(Arc<Downloads>);

impl engine::Service for Site {
    fn call(&self, request: Request<Incoming>) -> Answer {
        let client = request.extensions().get::<Connection>().map_or(IpAddr::from([0, 0, 0, 0]), |c| c.peer);
        if request.uri().path().starts_with("/download/") {
            let how = Sending { redirect: true, mirrors: Mirrors::default(), at_a_time: 2 };
            return self.0.answer(&request.into_parts().0, client, &how);
        }
        let path = request.uri().path().to_owned();
        if path == "/slow" {
            return Answer::Later(Box::pin(async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Response::new(Body::from("slow"))
            }));
        }
        Answer::Now(Response::new(Body::from(path)))
    }
}

struct Nobody;

impl Permit for Nobody {
    fn allows(&self, _: Edition, _: &axum::http::HeaderMap) -> bool {
        false
    }
}

struct Started {
    address: SocketAddr,
    server: Server,
    counts: Arc<Counts>,
    content: Arc<Vec<u8>>,
    _directory: tempfile::TempDir,
}

fn short() -> Limits {
    Limits {
        header: Duration::from_millis(400),
        idle: Duration::from_millis(700),
        drain: Duration::from_secs(3),
        ..Limits::default()
    }
}

async fn start(limits: Limits) -> Started {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("db"), &Clock::default()).unwrap();
    let blobs = Blobs::in_folder(&directory.path().join("blobs")).unwrap();
    let content: Vec<u8> = (0..24_000_017_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let blob = blobs.add(io::Cursor::new(&content), None).await.unwrap();
    let insert = "INSERT INTO files (edition, version, name, channel, digest, size, published_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7)";
    for edition in [Edition::Freemium, Edition::Gamer] {
        let channel = Channel::Stable.to_string();
        let size = i64::try_from(blob.size).unwrap();
        let values = [
            edition.id().into(),
            "1.0.0".into(),
            "a.iso".into(),
            channel.into(),
            blob.digest.0.into(),
            size.into(),
            784_111_777.into(),
        ];
        store.write(vec![Statement::new(insert, values)]).await.unwrap();
    }
    let catalogue = Arc::new(Catalogue::default());
    assert!(catalogue.refresh(&store).await.unwrap());
    let downloads = Downloads {
        catalogue,
        blobs,
        links: Links::new(&[7; 32]),
        open: vec![Edition::Freemium],
        permit: Box::new(Nobody),
        clock: Clock::default(),
        running: Arc::new(Running::default()),
        counted: Counted::default(),
    };
    let counts = Arc::new(Counts::default());
    let mut server = Server::new(Arc::new(Site(Arc::new(downloads))), limits, Arc::clone(&counts));
    let bound = engine::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap().remove(0);
    let address = bound.address;
    server.listen(bound, None).unwrap();
    Started { address, server, counts, content: Arc::new(content), _directory: directory }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// A client whose system keeps little for it, so that what it does not read stays with the server.
fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Sends bytes and reads all that comes until the other side closes.
fn ask(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str, headers: &str) -> (String, Vec<u8>) {
    let answer =
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n"));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end..].to_vec())
}

/// Runs what waits for sockets beside the server.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

const FREE: &str = "/download/freemium/1.0.0/a.iso";
const PAID: &str = "/download/gamer/1.0.0/a.iso";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_their_parts_arrive_as_they_are() {
    let started = start(Limits::default()).await;
    let (address, content) = (started.address, Arc::clone(&started.content));
    let links = Links::new(&[7; 32]);
    aside(move || {
        let size = content.len();
        let (head, body) = get(address, FREE, "");
        assert!(head.starts_with("http/1.1 200") && body == *content, "{head}");
        assert!(head.contains("accept-ranges: bytes") && head.contains("repr-digest: sha-256=:"), "{head}");
        let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();

        let (head, body) = get(address, FREE, "Range: bytes=1000000-\r\n");
        assert!(head.starts_with("http/1.1 206") && body == content[1_000_000..], "{head}");
        assert!(head.contains(&format!("content-range: bytes 1000000-{}/{size}", size - 1)), "{head}");
        let (head, body) = get(address, FREE, &format!("Range: bytes=5-9\r\nIf-Range: {etag}\r\n"));
        assert!(head.starts_with("http/1.1 206") && body == content[5..10], "{head}");
        let (head, body) = get(address, FREE, "Range: bytes=5-9\r\nIf-Range: \"stale\"\r\n");
        assert!(head.starts_with("http/1.1 200") && body == *content, "{head}");
        let (head, _) = get(address, FREE, &format!("Range: bytes={size}-\r\n"));
        assert!(
            head.starts_with("http/1.1 416") && head.contains(&format!("content-range: bytes */{size}")),
            "{head}"
        );
        let (head, body) = get(address, FREE, "Range: bytes=2000000-2000009,0-0\r\n");
        assert!(head.contains("content-type: multipart/byteranges"), "{head}");
        let body_text = String::from_utf8_lossy(&body);
        assert!(body_text.contains("Content-Range: bytes 2000000-2000009/"), "{body_text}");
        assert!(body.windows(10).any(|ten| ten == &content[2_000_000..2_000_010]));
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        let (head, body) = get(address, FREE, &format!("If-None-Match: {etag}\r\n"));
        assert!(head.starts_with("http/1.1 304") && body.is_empty() && head.contains("etag"), "{head}");
        let answer = ask(address, &format!("HEAD {FREE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let head = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(head.contains(&format!("content-length: {size}")) && head.ends_with("\r\n\r\n"), "{head}");

        let (head, _) = get(address, PAID, "");
        assert!(head.starts_with("http/1.1 403"), "{head}");
        let (head, body) =
            get(address, &links.sign(PAID, Clock::default().now() + 60), "Range: bytes=-17\r\n");
        assert!(
            head.starts_with("http/1.1 206") && body == content[size - 17..] && head.contains("private"),
            "{head}"
        );
        let (head, _) = get(address, &links.sign(PAID, Clock::default().now() - 1), "");
        assert!(head.starts_with("http/1.1 403"), "{head}");
        for path in [
            "/../a.iso",
            "/download/freemium/1.0.0/..%2fa.iso",
            "/download/freemium/1.0.0/a.iso/",
            "/download/",
            "/download/freemium/1.0.0/a.iso%00",
            "/download/freemium//1.0.0/a.iso",
            "/download/freemium/1.0.0/A.ISO",
        ] {
            let (head, body) = get(address, &path.replace("/../", "/download/../"), "");
            assert!(
                head.starts_with("http/1.1 404") || body == path.replace("/../", "/download/../").as_bytes(),
                "{path}: {head}"
            );
            assert!(body.len() < 1000);
        }
        let (head, _) = get(address, FREE, "");
        assert!(head.starts_with("http/1.1 200"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_requests_of_one_connection_are_answered_in_order() {
    let started = start(Limits::default()).await;
    let (address, content) = (started.address, Arc::clone(&started.content));
    aside(move || {
        let one = format!("GET {FREE} HTTP/1.1\r\nHost: a\r\nRange: bytes=100-1100099\r\n\r\n");
        let two = "GET /two HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
        let last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = ask(address, &format!("{one}{two}{one}{last}"));
        let part = &content[100..1_100_100];
        let mut rest = &answer[..];
        for expected in [part, b"/two", part, b"/last"] {
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            assert!(&rest[end..end + expected.len()] == expected);
            rest = &rest[end + expected.len()..];
        }
        assert!(rest.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_take_too_long_are_left() {
    let started = start(short()).await;
    let (address, counts) = (started.address, Arc::clone(&started.counts));
    aside(move || {
        // Nothing, half a header, a header that grows by a byte: each is closed soon after the limit.
        for begun in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let begin = Instant::now();
            let mut stream = connect(address);
            stream.write_all(begun.as_bytes()).unwrap();
            let mut dripping = stream.try_clone().unwrap();
            std::thread::spawn(move || {
                while dripping.write_all(b"X").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "{begun:?} was held for {:?}",
                begin.elapsed()
            );
        }
        // A download that nobody reads.
        let before = counts.expired.load(Ordering::Relaxed);
        let mut stream = connect_narrow(address);
        stream.write_all(format!("GET {FREE} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        let begin = Instant::now();
        while counts.expired.load(Ordering::Relaxed) == before {
            assert!(begin.elapsed() < Duration::from_secs(10), "a client that reads nothing is held");
            std::thread::sleep(Duration::from_millis(20));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_or_broken_is_refused() {
    let started = start(Limits::default()).await;
    let address = started.address;
    aside(move || {
        let long = "x".repeat(100_000);
        let many = "A: b\r\n".repeat(5000);
        for (request, status) in [
            (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "4"),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "431"),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431"),
            ("GET / HTTP/9.9\r\nHost: a\r\n\r\n".into(), "400"),
            ("\u{1}\u{2}\u{3}\r\n\r\n".into(), "400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), ""),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx".into(), "400"),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".into(), "400"),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n".into(), "400"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), ""),
        ] {
            let mut stream = connect(address);
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            // A server that refuses may close before it has read everything.
            match stream.read_to_end(&mut answer) {
                Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
                _ => {}
            }
            let text = String::from_utf8_lossy(&answer);
            if !answer.is_empty() {
                let expected = format!("HTTP/1.1 {status}");
                assert!(text.starts_with(&expected), "{:?}: {text}", &request[..request.len().min(60)]);
            }
        }
        // And it lives.
        assert!(get(address, "/alive", "").1 == b"/alive");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_does_not_get_all_connections_or_downloads() {
    let running = start(Limits { per_address: 5, ..Limits::default() }).await;
    let (address, counts) = (running.address, Arc::clone(&running.counts));
    aside(move || {
        let held: Vec<_> = (0..5).map(|_| connect(address)).collect();
        while counts.open.load(Ordering::Relaxed) < 5 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut sixth = connect(address);
        let mut rest = Vec::new();
        let _ = sixth.read_to_end(&mut rest);
        assert!(rest.is_empty());
        assert_eq!(counts.refused.load(Ordering::Relaxed), 1);
        drop(held);
        while counts.open.load(Ordering::Relaxed) > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(get(address, "/again", "").1 == b"/again");
        // Two downloads that nobody reads yet; the third is told to wait, and goes when one has ended.
        let request = format!("GET {FREE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut waiting: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = connect_narrow(address);
                stream.write_all(request.as_bytes()).unwrap();
                let mut first = [0; 1];
                stream.read_exact(&mut first).unwrap();
                stream
            })
            .collect();
        let (head, _) = get(address, FREE, "");
        assert!(head.starts_with("http/1.1 429") && head.contains("retry-after: 30"), "{head}");
        waiting.pop();
        let begin = Instant::now();
        while !get(address, FREE, "").0.starts_with("http/1.1 200") {
            assert!(begin.elapsed() < Duration::from_secs(10));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_waits_for_answers_and_not_for_ever() {
    let running = start(short()).await;
    let address = running.address;
    let asking = tokio::task::spawn_blocking(move || get(address, "/slow", "").1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begin = Instant::now();
    assert_eq!(running.server.shut_down().await, 0);
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert_eq!(asking.await.unwrap(), b"slow");
    assert!(TcpStream::connect(address).is_err());

    let running = start(Limits { drain: Duration::from_millis(300), ..Limits::default() }).await;
    let mut stuck = connect_narrow(running.address);
    stuck.write_all(format!("GET {FREE} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(running.server.shut_down().await, 1);
}
