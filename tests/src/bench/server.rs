//! The server against nginx and static-web-server: pages, API answers and downloads of the same bytes over loopback, by
//! processor time of the servers; a flood of sign-ins beside downloads; and all with many idle connections.

#[path = "../../../server/tests/support/certificate.rs"]
mod certificate;
mod client;
mod flood;
mod process;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
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
use certificate::certificate;
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
    certificate(&work, "localhost");
    let content = content(&work)?;
    let keys = release(&work, &content)?;
    let ours = process::ours(bench, &work, &keys, false)?;
    let secure = process::ours(bench, &work, &keys, true)?;
    let page = client::fetch(ours.plain, "/")?;
    let answer = client::fetch(ours.plain, "/api/v1/editions/gamer")?;
    let nginx = process::nginx(&work, &work.join("release/image.iso"), &page, &answer)?;
    let program = process::static_web_server(bench)?;
    let [other, other_secure] = [false, true].map(|secure| process::other(&program, &work, secure));
    let (other, other_secure) = (other?, other_secure?);
    let mut text = String::from("## Server\n\n");
    text.push_str(&requests(&ours, &nginx, page.len(), answer.len())?);
    text.push_str(&downloads([&ours, &secure], &nginx, [&other, &other_secure])?);
    text.push_str(&flood::measure(&ours)?);
    text.push_str(&idle([&ours, &nginx, &other])?);
    Ok(text)
}

fn wrong(problem: impl ToString) -> Error {
    Error::Format { what: "the server benchmark".into(), problem: problem.to_string() }
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

/// What each server did in a second of its processor time, in the middle of the rounds. Measures all in turns; `work` returns
/// how much was done.
fn rates<const N: usize>(
    servers: [&Process; N],
    mut work: impl FnMut(&Process) -> Result<f64, Error>,
) -> Result<[f64; N], Error> {
    let mut rates = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (process, rates) in servers.into_iter().zip(&mut rates) {
            let before = process.seconds()?;
            let done = work(process)?;
            rates.push(done / (process.seconds()? - before));
        }
    }
    Ok(rates.map(|rates| median(&rates)))
}

fn requests(ours: &Process, theirs: &Process, page: usize, answer: usize) -> Result<String, Error> {
    let mut rows = Vec::new();
    let mut verdicts = String::new();
    for (name, path, bytes) in
        [("home page", "/", page), ("answer of the API", "/api/v1/editions/gamer", answer)]
    {
        let [ours, theirs] = rates([ours, theirs], |process| {
            Load { address: process.plain, path: process.path(path), connections: 32, requests: REQUESTS }
                .run()?;
            Ok(REQUESTS as f64)
        })?;
        let rate = |rate: f64| format!("{:.1} k", rate / 1e3);
        let ratio = ours / theirs;
        rows.push(vec![format!("{name}, {bytes} bytes"), rate(ours), rate(theirs), format!("{ratio:.2}")]);
        verdicts.push_str(&report::at_least(&format!("{name}, requests against nginx"), ratio, 0.9));
    }
    let mut text = format!(
        "Requests in a second of the server's processor time, {REQUESTS} over 32 connections that are kept; medians of \
         {ROUNDS} rounds in turns. nginx serves the same bytes from files.\n\n"
    );
    text.push_str(&report::table(&["what", "aegis-server", "nginx", "ratio"], &rows));
    Ok(text + "\n" + &verdicts)
}

fn downloads(ours: [&Process; 2], nginx: &Process, other: [&Process; 2]) -> Result<String, Error> {
    let mut rows = Vec::new();
    let mut verdicts = String::new();
    for ((ours, other), (name, secure, wanted)) in
        ours.into_iter().zip(other).zip([("plain", false, 0.8), ("TLS 1.3", true, 0.9)])
    {
        let [ours, theirs, other] = rates([ours, nginx, other], |process| {
            for _ in 0..DOWNLOADS {
                client::download(process, secure, FILE)?;
            }
            Ok((DOWNLOADS * FILE) as f64)
        })?;
        let rate = |rate: f64| format!("{:.0} MB", rate / 1e6);
        let ratio = ours / theirs;
        rows.push(vec![name.to_owned(), rate(ours), rate(theirs), rate(other), format!("{ratio:.2}")]);
        verdicts.push_str(&report::at_least(&format!("download, {name}, against nginx"), ratio, wanted));
    }
    let mut text = format!(
        "\nBytes in a second of the server's processor time, {DOWNLOADS} downloads of {}; medians of {ROUNDS} rounds in \
         turns. nginx with sendfile; {} copies.\n\n",
        report::megabytes(FILE as u64),
        process::OTHER
    );
    text.push_str(&report::table(
        &["how", "aegis-server", "nginx", "static-web-server", "ours to nginx"],
        &rows,
    ));
    let peak = |servers: &[&Process]| {
        let peaks = servers.iter().map(|process| process.peak()).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Error>(report::megabytes(peaks.into_iter().max().unwrap_or_default()))
    };
    text.push_str(&format!(
        "\nMost memory so far: aegis-server {}, nginx {}, static-web-server {}.\n",
        peak(&ours)?,
        peak(&[nginx])?,
        peak(&other)?
    ));
    Ok(text + &verdicts)
}

/// Memory and the slowest of a hundred answers while many connections do nothing.
fn idle(servers: [&Process; 3]) -> Result<String, Error> {
    let mut rows = Vec::new();
    for process in servers {
        let before = process.resident()?;
        let held = client::hold(process.plain, IDLE)?;
        let during = process.resident()?;
        let times = (0..1000)
            .map(|_| client::time(process.plain, &process.path("/")))
            .collect::<Result<Vec<Duration>, _>>()?;
        drop(held);
        let each = during.saturating_sub(before) as f64 / IDLE as f64;
        rows.push(vec![
            process.name.to_owned(),
            report::megabytes(during),
            format!("{each:.0} bytes"),
            milliseconds(of_hundred(times, 99)),
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

/// The time within which so many of a hundred were done.
fn of_hundred(mut times: Vec<Duration>, part: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * part / 100).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Where something is served.
fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}
