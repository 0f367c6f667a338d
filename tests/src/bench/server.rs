//! The server against nginx: pages, API answers and downloads of the same bytes over loopback, by processor time of the
//! servers; and both with many idle connections.

mod client;
mod process;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use aegis_boot::keys::{self, Signer};
use aegis_core::{
    channel::Channel,
    edition::Edition,
    hex::{Digest, Hex},
    key::KeyRole,
    manifest::{Image, ImageKind, Manifest},
};

use super::{
    Bench,
    measure::{median, run},
    report,
};
use crate::error::Error;
use client::Load;
use process::Process;

/// Rounds of each measurement, the servers in turns.
const ROUNDS: usize = 5;
/// Requests of one round.
const REQUESTS: usize = 40_000;
/// Downloads of one round.
const DOWNLOADS: usize = 12;
/// Bytes of the file that is downloaded.
const FILE: usize = 256 * 1024 * 1024;
/// Connections that do nothing.
const IDLE: usize = 10_000;

/// The section of the report.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let work = bench.work.join("server");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).map_err(Error::io("create", &work))?;
    certificate(&work)?;
    let content = content(&work)?;
    let keys = release(&work, &content)?;
    let mut ours = process::ours(bench, &work, &keys, false)?;
    let mut secure = process::ours(bench, &work, &keys, true)?;
    let page = client::fetch(ours.plain, "/")?;
    let answer = client::fetch(ours.plain, "/api/v1/editions/gamer")?;
    let mut theirs = process::nginx(&work, &work.join("release/image.iso"), &page, &answer)?;
    let mut text = String::from("## Server\n\n");
    text.push_str(&requests(&mut ours, &mut theirs, page.len(), answer.len())?);
    text.push_str(&downloads([&mut ours, &mut secure], &mut theirs)?);
    text.push_str(&idle(&mut ours, &mut theirs)?);
    Ok(text)
}

fn wrong(problem: impl ToString) -> Error {
    Error::Format { what: "the server benchmark".into(), problem: problem.to_string() }
}

/// A self-signed certificate, which both servers use.
fn certificate(work: &Path) -> Result<(), Error> {
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.arg("-keyout").arg(work.join("key.pem")).arg("-out").arg(work.join("certificate.pem"));
    run("openssl", &mut command).map(drop)
}

/// A file that does not compress, as an ISO does not.
fn content(work: &Path) -> Result<PathBuf, Error> {
    let path = work.join("image.iso");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(FILE);
    while bytes.len() < FILE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    fs::write(&path, bytes).map_err(Error::io("write", &path))?;
    Ok(path)
}

/// Makes a directory as `aegis iso build` leaves it, with the file as its image; returns the public key of its signature.
fn release(work: &Path, content: &Path) -> Result<PathBuf, Error> {
    let (keys, directory) = (work.join("keys"), work.join("release"));
    let now = keys::now();
    keys::generate(&keys, true, 2, now)?;
    let signer = Signer::open(&keys, KeyRole::Release, false, now)?;
    fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
    let place = directory.join("image.iso");
    fs::rename(content, &place).map_err(Error::io("name", &place))?;
    let digest: Digest = Hex([0; 32]);
    let image =
        Image { kind: ImageKind::Squashfs, data_size: 4096, size: 8192, salt: digest, root_hash: digest };
    let manifest = Manifest {
        format: Manifest::FORMAT,
        id: Hex([0; 16]),
        edition: Edition::Freemium,
        version: "1.0.0".parse().map_err(wrong)?,
        channel: Channel::Stable,
        epoch: 0,
        kernel: "none".into(),
        image,
        files: BTreeMap::new(),
        inputs: BTreeMap::new(),
    };
    aegis_boot::release::finish(&directory, &manifest, &signer)?;
    Ok(keys.join("release.pub.json"))
}

/// What one server did in a second of its processor time, in the middle of the rounds.
struct Pair {
    ours: f64,
    theirs: f64,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }
}

/// Measures both in turns; `work` returns how much was done.
fn pair(
    ours: &mut Process,
    theirs: &mut Process,
    mut work: impl FnMut(&Process) -> Result<f64, Error>,
) -> Result<Pair, Error> {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (process, rates) in [&mut *ours, &mut *theirs].into_iter().zip(&mut rates) {
            let before = process.seconds()?;
            let done = work(process)?;
            rates.push(done / (process.seconds()? - before));
        }
    }
    let [ours, theirs] = rates.map(|rates| median(&rates));
    Ok(Pair { ours, theirs })
}

fn requests(ours: &mut Process, theirs: &mut Process, page: usize, answer: usize) -> Result<String, Error> {
    let mut rows = Vec::new();
    let mut verdicts = String::new();
    for (name, path, bytes) in
        [("home page", "/", page), ("answer of the API", "/api/v1/editions/gamer", answer)]
    {
        let pair = pair(ours, theirs, |process| {
            Load { address: process.plain, path: process.path(path), connections: 32, requests: REQUESTS }
                .run()?;
            Ok(REQUESTS as f64)
        })?;
        let rate = |rate: f64| format!("{:.1} k", rate / 1e3);
        rows.push(vec![
            format!("{name}, {bytes} bytes"),
            rate(pair.ours),
            rate(pair.theirs),
            format!("{:.2}", pair.ratio()),
        ]);
        verdicts.push_str(&report::at_least(&format!("{name}, requests against nginx"), pair.ratio(), 0.9));
    }
    let mut text = format!(
        "Requests in a second of the server's processor time, {REQUESTS} over 32 connections that are kept; medians of \
         {ROUNDS} rounds in turns. nginx serves the same bytes from files.\n\n"
    );
    text.push_str(&report::table(&["what", "aegis-server", "nginx", "ratio"], &rows));
    Ok(text + "\n" + &verdicts)
}

fn downloads(ours: [&mut Process; 2], theirs: &mut Process) -> Result<String, Error> {
    let mut rows = Vec::new();
    let mut verdicts = String::new();
    let mut most = 0;
    for (ours, (name, secure, wanted)) in
        ours.into_iter().zip([("plain", false, 0.8), ("TLS 1.3", true, 0.9)])
    {
        let pair = pair(ours, theirs, |process| {
            for _ in 0..DOWNLOADS {
                client::download(process, secure, FILE)?;
            }
            Ok((DOWNLOADS * FILE) as f64)
        })?;
        let rate = |rate: f64| format!("{:.0} MB", rate / 1e6);
        rows.push(vec![name.to_owned(), rate(pair.ours), rate(pair.theirs), format!("{:.2}", pair.ratio())]);
        verdicts.push_str(&report::at_least(
            &format!("download, {name}, against nginx"),
            pair.ratio(),
            wanted,
        ));
        most = most.max(ours.peak()?);
    }
    let mut text = format!(
        "\nBytes in a second of the server's processor time, {DOWNLOADS} downloads of {}; medians of {ROUNDS} rounds in \
         turns. nginx with sendfile.\n\n",
        report::megabytes(FILE as u64)
    );
    text.push_str(&report::table(&["how", "aegis-server", "nginx", "ratio"], &rows));
    text.push_str(&format!(
        "\nMost memory so far: aegis-server {}, nginx {}.\n",
        report::megabytes(most),
        report::megabytes(theirs.peak()?)
    ));
    Ok(text + &verdicts)
}

/// Memory and the slowest of a hundred answers while many connections do nothing.
fn idle(ours: &mut Process, theirs: &mut Process) -> Result<String, Error> {
    let mut rows = Vec::new();
    for process in [ours, theirs] {
        let before = process.resident()?;
        let held = client::hold(process.plain, IDLE)?;
        let during = process.resident()?;
        let mut times = (0..1000)
            .map(|_| client::time(process.plain, &process.path("/")))
            .collect::<Result<Vec<Duration>, _>>()?;
        times.sort_unstable();
        drop(held);
        let each = during.saturating_sub(before) as f64 / IDLE as f64;
        rows.push(vec![
            process.name.to_owned(),
            report::megabytes(during),
            format!("{each:.0} bytes"),
            format!("{:.2} ms", times[times.len() * 99 / 100].as_secs_f64() * 1e3),
        ]);
    }
    let mut text = format!(
        "\n{IDLE} connections that do nothing, and 1,000 requests for the home page beside them.\n\n"
    );
    text.push_str(&report::table(
        &["server", "memory", "each connection", "99 of 100 answers within"],
        &rows,
    ));
    Ok(text)
}

/// Where something is served.
fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}
