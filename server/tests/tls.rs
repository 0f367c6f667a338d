//! TLS as clients meet it: both protocols, whole files, certificates that change while connections live, broken handshakes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/certificate.rs"]
mod certificate;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use aegis_server::engine::{self, Answer, Certificates, Connection, Counts, Limits, Server};
use axum::body::Body;
use certificate::certificate;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs},
};

/// Of the files of a certificate.
const NAME: &str = "site";

/// Says how it was asked.
struct Echo;

impl engine::Service for Echo {
    fn call(&self, request: Request<Incoming>) -> Answer {
        let secure = request.extensions().get::<Connection>().is_some_and(|connection| connection.secure);
        let text = format!("{:?} {} {secure}", request.version(), request.uri().path());
        Answer::Now(Response::new(Body::from(text.repeat(20_000))))
    }
}

async fn connect(
    address: SocketAddr,
    directory: &Path,
    protocol: &[u8],
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("site.pem")).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = tokio::net::TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), stream).await
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("https://localhost{path}")).header("host", "localhost").body(Empty::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_protocols_are_spoken_and_certificates_can_change() {
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path(), NAME);
    let files = (directory.path().join("site.pem"), directory.path().join("site.key"));
    let certificates = Arc::new(Certificates::read(&files.0, &files.1).unwrap());
    let counts = Arc::new(Counts::default());
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let mut server = Server::new(Arc::new(Echo), limits, Arc::clone(&counts));
    let bound = engine::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap().remove(0);
    let address = bound.address;
    server.listen(bound, Some(Arc::clone(&certificates))).unwrap();

    let stream = connect(address, directory.path(), b"h2").await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut second, connection) = handshake.unwrap();
    tokio::spawn(connection);
    let answers: Vec<_> = ["/a", "/b"].map(|path| second.send_request(request(path))).into();
    for (answer, path) in answers.into_iter().zip(["/a", "/b"]) {
        let body = answer.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("HTTP/2.0 {path} true").repeat(20_000));
    }
    let stream = connect(address, directory.path(), b"http/1.1").await.unwrap();
    let (mut first, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = first.send_request(request("/c")).await.unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "HTTP/1.1 https://localhost/c true".replace("https://localhost", "").repeat(20_000)
    );

    // A new certificate counts for new connections; the old ones live on. A broken file changes nothing.
    let other = tempfile::tempdir().unwrap();
    certificate(other.path(), NAME);
    for name in ["site.pem", "site.key"] {
        std::fs::copy(other.path().join(name), directory.path().join(name)).unwrap();
    }
    let read = || Certificates::read(&files.0, &files.1);
    certificates.replace(&read().unwrap());
    let stream = connect(address, other.path(), b"h2").await.unwrap();
    drop(stream);
    assert!(second.send_request(request("/still")).await.is_ok());
    std::fs::write(&files.1, "no key").unwrap();
    let error = read().unwrap_err().to_string();
    assert!(error.contains("site.key") && !error.contains("BEGIN"), "{error}");
    assert!(connect(address, other.path(), b"h2").await.is_ok());

    // Neither silence nor nonsense holds a connection.
    tokio::task::spawn_blocking(move || {
        for begun in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(begun).unwrap();
            let begin = Instant::now();
            let _ = stream.read_to_end(&mut Vec::new());
            assert!(begin.elapsed() < Duration::from_secs(10));
        }
    })
    .await
    .unwrap();
    assert_eq!(counts.handshakes_failed.load(Ordering::Relaxed), 3);
    drop((first, second));
    assert_eq!(server.shut_down().await, 0);
}
