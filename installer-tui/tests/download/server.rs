//! A server that does what a test tells it, also what no server should.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use aegis_core::crypto::Sha256;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) from: Option<u64>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Asked {
    pub(crate) fn is_image(&self) -> bool {
        self.target.ends_with(".iso")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What comes after the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Close,
    /// Nothing, with the connection open.
    Silence,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) after: After,
}

impl Reply {
    pub(crate) fn status(status: &str) -> Self {
        Self { status: status.into(), headers: Vec::new(), body: Vec::new(), after: After::Close }
            .with("Content-Length", "0")
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::status("302 Found").with("Location", to)
    }

    /// Sets a header; an empty value removes it.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        if !value.is_empty() {
            self.headers.push((name.into(), value.into()));
        }
        self
    }

    /// Sends only so many bytes of the body that it promises.
    pub(crate) fn cut(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self
    }

    pub(crate) fn then(self, after: After) -> Self {
        Self { after, ..self }
    }
}

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What a good server answers: whole files and parts, tags that are digests, as `aegis-server` does.
pub(crate) fn good(files: &Files, asked: &Asked) -> Reply {
    let Some(file) = files.get(&asked.target) else { return Reply::status("404 Not Found") };
    let (tag, size) = (format!("\"{}\"", Sha256::of(file)), file.len());
    let same = asked.header("if-range").is_none_or(|range| range == tag);
    let from = asked.from.filter(|_| same);
    let start = usize::try_from(from.unwrap_or(0)).unwrap();
    let body = file[start..].to_vec();
    let length = body.len().to_string();
    let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
    let reply = Reply { status: status.into(), headers: Vec::new(), body, after: After::Close };
    let reply = reply.with("Content-Length", &length).with("ETag", &tag);
    match from {
        Some(_) => reply.with("Content-Range", &format!("bytes {start}-{}/{size}", size - 1)),
        None => reply,
    }
}

type Script = dyn Fn(&Files, &Asked) -> Reply + Send + Sync;

/// A server on a port of its own; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers as it is told.
    pub(crate) fn new(
        files: &Files,
        script: impl Fn(&Files, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(files.clone(), Arc::new(script), None)
    }

    /// Answers as it should.
    pub(crate) fn good(files: &Files) -> Self {
        Self::new(files, good)
    }

    /// With TLS.
    pub(crate) fn secure(
        files: &Files,
        tls: Arc<ServerConfig>,
        script: impl Fn(&Files, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(files.clone(), Arc::new(script), Some(tls))
    }

    fn start(files: Files, script: Arc<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(AtomicBool::new(false)));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (log, ended, files) = (asked.clone(), stop.clone(), Arc::new(files));
        let accepting = thread::spawn(move || {
            let mut open: Vec<(TcpStream, JoinHandle<()>)> = Vec::new();
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                let (own, tls) = (stream.try_clone().unwrap(), tls.clone());
                let (files, script, log) = (files.clone(), script.clone(), log.clone());
                let shut = stream.try_clone().unwrap();
                let answer = move || {
                    // A client that goes away in the middle is what some of these tests are about.
                    let _ = match tls {
                        None => serve(stream, &files, &*script, &log),
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            serve(StreamOwned::new(connection, stream), &files, &*script, &log)
                        }
                    };
                    // The other handle would keep it open.
                    let _ = shut.shutdown(Shutdown::Both);
                };
                open.push((own, thread::spawn(answer)));
            }
            for (stream, thread) in open {
                let _ = stream.shutdown(Shutdown::Both);
                thread.join().unwrap();
            }
        });
        Self { address, scheme, asked, stop, accepting: Some(accepting) }
    }

    pub(crate) fn origin(&self) -> String {
        // The name that the certificate has.
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    /// What it was asked for so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Requests for the image.
    pub(crate) fn images(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(Asked::is_image).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn serve(
    stream: impl Read + Write,
    files: &Files,
    script: &Script,
    log: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let range = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let from = range.and_then(|from| from.parse().ok());
    let asked = Asked { target, from, headers };
    log.lock().unwrap().push(asked.clone());
    let reply = script(files, &asked);
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", reply.status);
    reply.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    let stream = stream.get_mut();
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(&reply.body)?;
    stream.flush()?;
    if reply.after == After::Silence {
        // Until the client gives up.
        let _ = stream.read(&mut [0; 1]);
    }
    Ok(())
}
