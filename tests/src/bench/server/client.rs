//! Clients that cost little: what is measured is the server.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    process::{DOWNLOAD, Process},
    wrong,
};
use crate::error::Error;

/// Requests over connections that are kept.
pub(super) struct Load {
    pub(super) address: SocketAddr,
    pub(super) path: String,
    pub(super) connections: usize,
    pub(super) requests: usize,
}

impl Load {
    /// Sends them all, each connection one at a time, and reads the answers, which must be whole.
    pub(super) fn run(&self) -> Result<(), Error> {
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.path);
        let each = self.requests / self.connections;
        let mut streams =
            (0..self.connections).map(|_| connect(self.address)).collect::<Result<Vec<_>, _>>()?;
        let length = answer(&mut streams[0], &request)?;
        let mut buffer = vec![0; length];
        // All requests of a turn are on their way before the first answer is read.
        for _ in 0..each {
            for stream in &mut streams {
                stream.write_all(request.as_bytes()).map_err(Error::io("write to", "the server"))?;
            }
            for stream in &mut streams {
                stream.read_exact(&mut buffer).map_err(Error::io("read from", "the server"))?;
            }
        }
        if buffer.starts_with(b"HTTP/1.1 200") {
            Ok(())
        } else {
            Err(wrong("an answer is not that of the first"))
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect(address).map_err(Error::io("connect to", address.to_string()))?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(Error::io("read from", "the server"))?;
    stream.set_nodelay(true).map_err(Error::io("write to", "the server"))?;
    Ok(stream)
}

/// Sends one request and returns the length of the whole answer, which is the same each time.
fn answer(stream: &mut TcpStream, request: &str) -> Result<usize, Error> {
    Ok(exchange(stream, request)?.0.len())
}

/// Sends one request; returns the whole answer and where its content begins.
fn exchange(stream: &mut TcpStream, request: &str) -> Result<(Vec<u8>, usize), Error> {
    stream.write_all(request.as_bytes()).map_err(Error::io("write to", "the server"))?;
    let mut all = Vec::new();
    let mut step = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut step).map_err(Error::io("read from", "the server"))?;
        all.extend_from_slice(&step[..read]);
        let head = all.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&all[..head]).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
            let length = length.ok_or_else(|| wrong("an answer has no length"))?;
            if all.len() >= head + length {
                return Ok((all, head));
            }
        }
        if read == 0 {
            return Err(wrong("a connection ended in the middle of an answer"));
        }
    }
}

/// The content at a path.
pub(super) fn fetch(address: SocketAddr, path: &str) -> Result<Vec<u8>, Error> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (all, head) = exchange(&mut connect(address)?, &request)?;
    if all.starts_with(b"HTTP/1.1 200") {
        Ok(all[head..].to_vec())
    } else {
        Err(wrong(format!("{path} is not served")))
    }
}

/// Signs in as nobody, from an address behind a proxy; the status.
pub(super) fn sign_in(address: SocketAddr, from: Ipv4Addr) -> Result<u16, Error> {
    let body = format!("{{\"email\":\"{from}@example.org\",\"password\":\"not the password\"}}");
    let request = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: {from}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (all, _) = exchange(&mut connect(address)?, &request)?;
    let status = all.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| wrong("an answer has no status"))
}

/// How long one request takes, with its connection.
pub(super) fn time(address: SocketAddr, path: &str) -> Result<Duration, Error> {
    let begun = Instant::now();
    fetch(address, path)?;
    Ok(begun.elapsed())
}

/// Downloads the file and throws it away; it must have its length.
pub(super) fn download(process: &Process, secure: bool, size: usize) -> Result<(), Error> {
    let received = if secure { download_secure(process)? } else { download_plain(process)? };
    if received == size as u64 {
        Ok(())
    } else {
        Err(wrong(format!("a download has {received} bytes of {size}")))
    }
}

fn download_plain(process: &Process) -> Result<u64, Error> {
    let mut stream = connect(process.plain)?;
    let request = format!("GET {DOWNLOAD} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(Error::io("write to", "the server"))?;
    let mut buffer = vec![0; 1024 * 1024];
    let (mut received, mut head) = (0, None);
    loop {
        let read = stream.read(&mut buffer).map_err(Error::io("read from", "the server"))?;
        if read == 0 {
            return Ok(received - head.unwrap_or(0));
        }
        if head.is_none() {
            head = buffer[..read].windows(4).position(|four| four == b"\r\n\r\n").map(|at| at as u64 + 4);
        }
        received += read as u64;
    }
}

fn download_secure(process: &Process) -> Result<u64, Error> {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--insecure",
        "--http1.1",
        "--tlsv1.3",
        "--output",
        "/dev/null",
        "--write-out",
        "%{size_download}",
    ]);
    command.arg(format!("https://{}{DOWNLOAD}", process.secure)).stdin(Stdio::null());
    let text = super::run("curl", &mut command)?;
    text.trim().parse().map_err(wrong)
}

/// Opens connections that do nothing.
pub(super) fn hold(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>, Error> {
    let held = (0..count).map(|_| connect(address)).collect::<Result<Vec<_>, _>>()?;
    // Until the server has accepted the last one.
    thread::sleep(Duration::from_secs(1));
    Ok(held)
}
