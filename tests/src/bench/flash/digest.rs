//! SHA-256 of the libraries, against OpenSSL on the same processor.

use std::{
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

use aegis_core::crypto::{AwsLc, Crypto, Ring};

use super::super::{
    measure::{median, run},
    report,
};
use crate::error::Error;

/// Bytes that are hashed at once, as in the pipeline.
const BLOCK: usize = 1 << 20;
/// Rounds, in turns.
const ROUNDS: usize = 7;
/// Time of a round.
const TIME: Duration = Duration::from_secs(1);

/// The lines of the report.
pub(super) fn measure() -> Result<String, Error> {
    let (mut openssl, mut ring, mut aws_lc) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        openssl.push(by_openssl()?);
        ring.push(by::<Ring>());
        aws_lc.push(by::<AwsLc>());
    }
    let share = |rates: &[f64]| {
        median(&rates.iter().zip(&openssl).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    };
    let row = |name: &str, rates: &[f64]| {
        vec![name.to_owned(), format!("{:.0} MB/s", median(rates) / 1e6), format!("{:.2}", share(rates))]
    };
    let rows = [row("`openssl speed -evp sha256`", &openssl), row("ring", &ring), row("AWS-LC", &aws_lc)];
    let mut text = format!("SHA-256 of blocks of 1 MiB, one thread, {ROUNDS} rounds in turns:\n\n");
    text.push_str(&report::table(&["what", "rate", "of OpenSSL's"], &rows));
    text.push_str(&format!(
        "\nThe flasher uses ring.\n{}",
        report::at_least("ring, rate of OpenSSL", share(&ring), 0.95)
    ));
    Ok(text)
}

/// Bytes in a second.
fn by<C: Crypto>() -> f64 {
    let block = vec![0x5a; BLOCK];
    let (begun, mut bytes) = (Instant::now(), 0_u64);
    while begun.elapsed() < TIME {
        black_box(C::sha256(&[black_box(&block)]));
        bytes += block.len() as u64;
    }
    bytes as f64 / begun.elapsed().as_secs_f64()
}

/// Bytes in a second.
fn by_openssl() -> Result<f64, Error> {
    let mut command = Command::new("openssl");
    command.args(["speed", "-seconds", "1", "-mr", "-bytes", &BLOCK.to_string(), "-evp", "sha256"]);
    let text = run("openssl", &mut command)?;
    // +F:22:sha256:1987654321.00
    let rate = text.lines().find_map(|line| line.strip_prefix("+F:")?.rsplit(':').next()?.parse().ok());
    rate.ok_or(Error::Format { what: "openssl speed".into(), problem: text })
}
