//! Licenses: documents verified in a second of the processor, against OpenSSL, and what the verifier adds to PID 1.

use std::{fs, hint::black_box, panic, process::Command, thread, time::Duration};

use aegis_core::{
    crypto::{AwsLc, Crypto, PreparedKey, Ring, RustCrypto, TrustedKey},
    key::PublicKey,
    license::document::License,
};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

use super::{
    Bench,
    measure::{median, run},
    report,
};
use crate::error::Error;

/// Each is measured so often, in turns.
const ROUNDS: usize = 7;

/// Time of the processor for one measurement.
const SPAN: Duration = Duration::from_secs(1);

/// Part of OpenSSL's rate that is wanted.
const WANTED: f64 = 0.9;

/// Measures a rate.
type Way = fn(&Samples) -> Result<f64, Error>;

/// How licenses are verified. The first is what `aegis` does, and is measured right after OpenSSL.
const WAYS: [(&str, Way); 6] = [
    ("AWS-LC, keys made ready once", Samples::prepared::<AwsLc>),
    ("AWS-LC", Samples::stored::<AwsLc>),
    ("ring, keys made ready once", Samples::prepared::<Ring>),
    ("ring", Samples::stored::<Ring>),
    ("RustCrypto, keys made ready once", Samples::prepared::<RustCrypto>),
    ("RustCrypto", Samples::stored::<RustCrypto>),
];

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

    fn stored<C: Crypto>(&self) -> Result<f64, Error> {
        self.rate::<C>(&self.keys)
    }

    fn prepared<C: Crypto>(&self) -> Result<f64, Error> {
        let keys: Vec<PreparedKey<C>> = self.keys.iter().cloned().map(PreparedKey::new).collect();
        self.rate(&keys)
    }

    /// Whole documents, armour and claims included, verified in a second of the processor.
    fn rate<C: Crypto>(&self, keys: &[impl TrustedKey<C>]) -> Result<f64, Error> {
        let wrong = |problem: String| Error::Format { what: "a license".into(), problem };
        let begun = processor_time()?;
        let mut count = 0.0;
        loop {
            for _ in 0..100 {
                let license = License::verify(black_box(self.text.as_bytes()), black_box(keys));
                black_box(license.map_err(|error| wrong(error.to_string()))?);
            }
            count += 100.0;
            let spent = processor_time()? - begun;
            if spent >= SPAN {
                return Ok(count / spent.as_secs_f64());
            }
        }
    }
}

/// What this thread has had of a processor.
fn processor_time() -> Result<Duration, Error> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    Ok(time.map_err(|errno| Error::io("read", "the clock of the thread")(errno.into()))?.into())
}

/// Keeps this thread, and the programs that it starts, on the last processor that it may use.
fn pin() -> Result<(), Error> {
    let failed = |errno: nix::Error| Error::io("choose", "a processor")(errno.into());
    let here = Pid::from_raw(0);
    let allowed = sched_getaffinity(here).map_err(failed)?;
    let last = (0..CpuSet::count()).rfind(|at| allowed.is_set(*at).unwrap_or(false)).unwrap_or(0);
    let mut one = CpuSet::new();
    one.set(last).and_then(|()| sched_setaffinity(here, &one)).map_err(failed)
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

/// Rates of one round.
struct Round {
    openssl: f64,
    /// In the order of [`WAYS`].
    ours: Vec<f64>,
}

/// All rounds, on one processor.
fn rounds(samples: &Samples) -> Result<Vec<Round>, Error> {
    pin()?;
    let round = |_| {
        let openssl = openssl_rate()?;
        let ours = WAYS.iter().map(|(_, rate)| rate(samples)).collect::<Result<_, _>>()?;
        Ok(Round { openssl, ours })
    };
    (0..ROUNDS).map(round).collect()
}

/// The table of rates, and what [`WAYS`]' first has of OpenSSL's.
fn rates(samples: &Samples) -> Result<(String, f64), Error> {
    // A thread of its own, so that what comes after it may use every processor.
    let rounds = thread::scope(|scope| scope.spawn(|| rounds(samples)).join());
    let rounds = rounds.unwrap_or_else(|panic| panic::resume_unwind(panic))?;
    let of = |value: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
    let theirs = of(&|round| round.openssl);
    let mut rows = vec![vec![
        "`openssl speed rsa2048`, verification alone".into(),
        format!("{theirs:.0}"),
        "1.00".into(),
    ]];
    for (at, (name, _)) in WAYS.iter().enumerate() {
        let (rate, ratio) = (of(&|round| round.ours[at]), of(&|round| round.ours[at] / round.openssl));
        rows.push(vec![(*name).into(), format!("{rate:.0}"), format!("{ratio:.2}")]);
    }
    let table = report::table(&["what", "in a second of the processor", "of OpenSSL's"], &rows);
    Ok((table, of(&|round| round.ours[0] / round.openssl)))
}

/// The section of the report.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let (table, ratio) = rates(&Samples::read(bench)?)?;
    let (without, with) = (size(bench, false)?, size(bench, true)?);
    let cost = with.saturating_sub(without);
    let mut text = String::from("## Licenses\n\n");
    text.push_str(&format!(
        "License documents, parsed and verified, RSA-2048. Medians of {ROUNDS} rounds in turns on one processor, \
         of rates\nand of each round's ratios.\n\n{table}\n"
    ));
    text.push_str(
        "`aegis` verifies licenses by AWS-LC and makes its keys ready once. PID 1 and the tools of the installed system,\n\
         which judge the one license of their machine, use ring, which reads the key each time.\n\n",
    );
    text.push_str(&format!("Ratio {ratio:.2} for `aegis`; the target is {WANTED:.2}.\n"));
    text.push_str(&report::target("rate against 0.9 of OpenSSL's", ratio / WANTED, 1.0));
    text.push_str(&format!(
        "\naegis-init has {with} bytes, {without} without what judges licenses: {cost} bytes; the limit is {LIMIT:.0}.\n"
    ));
    text.push_str(&report::target("bytes of the verifier", LIMIT / cost as f64, 1.0));
    text.push_str("\nReading a document allocates nothing: it is built and tested without an allocator.\n");
    Ok(text)
}
