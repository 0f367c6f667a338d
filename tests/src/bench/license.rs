//! Licenses: documents verified in a second of the processor, against OpenSSL, and what the verifier adds to PID 1.

use std::{
    fs,
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

use aegis_core::{crypto::Ring, key::PublicKey, license::document::License};

use super::{
    Bench,
    measure::{median, run},
    report,
};
use crate::error::Error;

/// Each is measured so often, in turns.
const ROUNDS: usize = 5;

/// Time of one measurement.
const SPAN: Duration = Duration::from_secs(2);

/// Bytes that the verifier may add to PID 1.
const LIMIT: f64 = 150.0 * 1024.0;

/// Licenses of the test vectors, with the keys that signed them.
struct Samples {
    keys: Vec<PublicKey>,
    text: String,
}

impl Samples {
    fn read(bench: &Bench) -> Result<Self, Error> {
        let path = bench.workspace.join("core/tests/vectors/licenses.json");
        let wrong = |problem: String| Error::Format { what: path.display().to_string(), problem };
        let text = fs::read(&path).map_err(Error::io("read", &path))?;
        let mut vectors: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let keys =
            serde_json::from_value(vectors["keys"].take()).map_err(|error| wrong(error.to_string()))?;
        let text =
            vectors["good"][0]["armour"].as_str().ok_or_else(|| wrong("no license".into()))?.to_owned();
        Ok(Self { keys, text })
    }

    /// Whole documents, armour and claims included, verified in a second of the processor.
    fn rate(&self) -> Result<f64, Error> {
        let (start, begun) = (Instant::now(), processor_seconds()?);
        let mut count = 0.0;
        while start.elapsed() < SPAN {
            for _ in 0..100 {
                let license = License::verify::<Ring>(black_box(self.text.as_bytes()), black_box(&self.keys));
                let license = license.map_err(|error| Error::Format {
                    what: "a license".into(),
                    problem: error.to_string(),
                })?;
                black_box(license);
            }
            count += 100.0;
        }
        Ok(count / (processor_seconds()? - begun))
    }
}

/// Seconds that this process has had of a processor, in hundredths (proc_pid_stat(5), utime and stime).
fn processor_seconds() -> Result<f64, Error> {
    let text = fs::read_to_string("/proc/self/stat").map_err(Error::io("read", "/proc/self/stat"))?;
    let fields = text.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    Ok(fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

/// Bare verifications in a second of the processor, as `openssl speed` counts them.
fn openssl_rate() -> Result<f64, Error> {
    let text = run("openssl", Command::new("openssl").args(["speed", "-seconds", "2", "rsa2048"]))?;
    let line = text.lines().find(|line| line.trim_start().starts_with("rsa 2048"));
    line.and_then(|line| line.split_ascii_whitespace().last()?.parse().ok()).ok_or_else(|| Error::Format {
        what: "openssl speed".into(),
        problem: format!("no rate in {text:?}"),
    })
}

/// Bytes of aegis-init, with what judges licenses or without.
fn size(bench: &Bench, with: bool) -> Result<u64, Error> {
    let target = bench.work.join("license-target");
    let mut command = Command::new("cargo");
    command.current_dir(&bench.workspace).env("CC_x86_64_unknown_linux_musl", "musl-gcc");
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--profile",
        "ship",
        "--target",
        "x86_64-unknown-linux-musl",
    ]);
    command.args(["-p", "aegis-init", "--no-default-features", "--target-dir"]).arg(&target);
    if with {
        command.args(["--features", "license"]);
    }
    run("cargo", &mut command)?;
    let program = target.join("x86_64-unknown-linux-musl/ship/aegis-init");
    Ok(fs::metadata(&program).map_err(Error::io("look at", &program))?.len())
}

/// The section of the report.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let samples = Samples::read(bench)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(samples.rate()?);
        theirs.push(openssl_rate()?);
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    let (without, with) = (size(bench, false)?, size(bench, true)?);
    let cost = with.saturating_sub(without);
    let rows = [
        vec!["license documents, parsed and verified (ring)".into(), format!("{ours:.0}")],
        vec!["`openssl speed rsa2048`, verification alone".into(), format!("{theirs:.0}")],
    ];
    let mut text = String::from("## Licenses\n\n");
    text.push_str(&format!("Medians of {ROUNDS} rounds in turns, RSA-2048.\n\n"));
    text.push_str(&report::table(&["what", "in a second of the processor"], &rows));
    text.push_str(&format!("\nRatio {:.2}; the target is 0.90.\n", ours / theirs));
    text.push_str(&report::target("rate against 0.9 of OpenSSL's", ours / theirs / 0.9, 1.0));
    text.push_str(&format!(
        "\naegis-init has {with} bytes, {without} without what judges licenses: {cost} bytes; the limit is {LIMIT:.0}.\n"
    ));
    text.push_str(&report::target("bytes of the verifier", LIMIT / cost as f64, 1.0));
    text.push_str("\nReading a document allocates nothing: it is built and tested without an allocator.\n");
    Ok(text)
}
