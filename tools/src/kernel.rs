//! `aegis-kernel`: the running kernel against the contract in the image.
//!
//! The contract is part of the image, whose every block is checked against the signed manifest; the configuration comes from
//! the running kernel itself (`/proc/config.gz`). Both are read below a root that is an argument.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use aegis_core::report::exit;
use aegis_kernel_configs::{Contract, DotConfig, contract};
use clap::{Parser, Subcommand};
use flate2::read::GzDecoder;
use serde_json::json;

use crate::{Error, say};

/// The largest configuration that is read; Debian's has 300 KiB.
const LARGEST: u64 = 4 << 20;

/// Compares the running kernel with what the release promises of it
#[derive(Parser)]
#[command(name = "aegis-kernel", version, max_term_width = 80)]
struct Cli {
    /// Root directory of the system
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Lists the promises that the running kernel does not keep; exits 1 when
    /// there are any
    Check,
    /// Shows what is promised
    Show,
}

/// Parses the command line, does what it says, and returns the exit code.
///
/// # Errors
/// When the contract or the configuration cannot be read.
pub fn run() -> Result<u8, Error> {
    let cli = Cli::parse();
    let contract = read_contract(&cli.root)?;
    match cli.verb {
        Verb::Show => {
            show(&contract, cli.json);
            Ok(exit::OK)
        }
        Verb::Check => Ok(check(&contract, &read_config(&cli.root)?, cli.json)),
    }
}

/// The contract of the system below `root`.
///
/// # Errors
/// When there is none, or none that this program reads.
pub fn read_contract(root: &Path) -> Result<Contract, Error> {
    let path = root.join(contract::PATH);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NoContract(path)),
        other => other.map_err(Error::io("reading", &path))?,
    };
    let bad = |reason: String| Error::Contract { path: path.clone(), reason };
    let contract: Contract = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    match contract.format {
        Contract::FORMAT => Ok(contract),
        other => Err(bad(format!("format {other} is unknown, expected {}", Contract::FORMAT))),
    }
}

/// The configuration that the kernel tells below `root`.
///
/// # Errors
/// When it tells none, or what it tells is no gzip of text.
pub fn read_config(root: &Path) -> Result<DotConfig, Error> {
    let path = root.join("proc/config.gz");
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NoConfiguration(path)),
        other => other.map_err(Error::io("opening", &path))?,
    };
    let mut text = String::new();
    GzDecoder::new(file).take(LARGEST).read_to_string(&mut text).map_err(Error::io("reading", path))?;
    Ok(DotConfig::parse(&text))
}

fn check(contract: &Contract, config: &DotConfig, as_json: bool) -> u8 {
    let broken = contract.broken_by(config);
    if as_json {
        say!("{}", json!({"promises": contract.requests.len(), "broken": broken}));
    } else if broken.is_empty() {
        say!(
            "all {} promises of Linux {} for {} are kept",
            contract.requests.len(),
            contract.source,
            contract.edition
        );
    }
    for one in broken.iter().filter(|_| !as_json) {
        say!(
            "CONFIG_{} is {}, promised is {} ({})",
            one.symbol,
            one.found,
            one.promised.value,
            one.promised.layer
        );
    }
    if broken.is_empty() { exit::OK } else { exit::FAILED }
}

fn show(contract: &Contract, as_json: bool) {
    if as_json {
        say!("{}", serde_json::to_string(contract).unwrap_or_default());
        return;
    }
    let (fulfilled, of) = contract.hardening;
    say!("Linux {} for {}", contract.source, contract.edition);
    say!("hardening: {fulfilled} of {of} wishes of kernel-hardening-checker");
    for (symbol, promise) in &contract.requests {
        say!("CONFIG_{symbol}={}  {}", promise.value, promise.layer);
    }
}
