//! The command line of `aegis-license`.

use std::{io, path::PathBuf};

use aegis_core::{
    license::{
        claims::Claims,
        verdict::{Reason, Verdict},
    },
    report::exit,
};
use clap::{Parser, Subcommand};
use serde_json::json;

use super::{Desk, Report};
use crate::{Error, say, system::System};

/// Shows, installs and removes the license of this machine
///
/// Without a valid license a paid edition runs with the features of the free one. Nothing is ever locked or deleted.
#[derive(Parser)]
#[command(name = "aegis-license", version, max_term_width = 80)]
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
    /// Says what the license means here and now; exits 1 when it opens nothing
    Status,
    /// Shows what the installed license says
    Show,
    /// Verifies a license or a revocation list and puts it in place
    Install {
        /// The file
        file: PathBuf,
        /// The file is a revocation list
        #[arg(long)]
        revocations: bool,
    },
    /// Removes the license; its features close
    Remove {
        /// Serial number of the license, which `show` prints
        serial: u64,
    },
    /// Prints what binds a license to this machine: salted digests of its parts
    Request,
    /// Remembers the time and writes /run/aegis/entitlements.json
    Refresh,
}

/// Parses the command line, does what it says, and returns the exit code.
///
/// # Errors
/// What went wrong.
pub fn run() -> Result<u8, Error> {
    let cli = Cli::parse();
    let desk = Desk::open(System::at(&cli.root), System::now())?;
    match cli.verb {
        Verb::Status => return Ok(status(&desk.report()?, cli.json)),
        Verb::Show => show(&desk, cli.json)?,
        Verb::Install { file, revocations: true } => {
            let number = desk.install_list(&file)?;
            if cli.json {
                say!("{}", json!({"revocation_list": number}));
            } else {
                say!("revocation list {number} is in use");
            }
        }
        Verb::Install { file, revocations: false } => {
            desk.install(&file)?;
            return Ok(status(&desk.report()?, cli.json));
        }
        Verb::Remove { serial } => {
            desk.remove(serial)?;
            if cli.json {
                say!("{}", json!({"removed": serial}));
            } else {
                say!("license {serial} is removed; the features of the free edition are open");
            }
        }
        Verb::Request => say!("{}", serde_json::to_string(&desk.request()?).unwrap_or_default()),
        Verb::Refresh => drop(desk.refresh()?),
    }
    Ok(exit::OK)
}

fn status(report: &Report, as_json: bool) -> u8 {
    if as_json {
        say!("{}", serde_json::to_string(report).unwrap_or_default());
    } else {
        // A reader that closed the pipe has what it wanted.
        report.print(&mut io::stdout()).ok();
    }
    if report.granted { exit::OK } else { exit::FAILED }
}

fn show(desk: &Desk, as_json: bool) -> Result<(), Error> {
    let judged = desk.judge()?;
    let Some(license) = judged.license else {
        return Err(match judged.verdict {
            Verdict::Unknown(Reason::Document(source)) => {
                Error::Document { path: desk.path().into(), source }
            }
            _ => Error::NoLicense(desk.path().into()),
        });
    };
    if as_json {
        say!(
            "{}",
            json!({"claims": license.claims(), "key": license.key(), "development": license.is_development()})
        );
        return Ok(());
    }
    let Claims {
        serial,
        edition,
        kind,
        seats,
        issued,
        not_before,
        expires,
        grace_days,
        binding,
        overrides,
        ..
    } = license.claims();
    say!("serial    {serial}");
    say!("edition   {edition}, {kind}, for {seats} {}", if *seats == 1 { "machine" } else { "machines" });
    say!("issued    {issued}, by key {}", license.key());
    match expires {
        None => say!("holds     from {not_before} for ever"),
        Some(end) => say!("holds     from {not_before} until {end}, then {grace_days} days of grace"),
    }
    match binding {
        None => say!("machine   any"),
        Some(binding) => {
            say!("machine   {} of {} parts must be there", binding.needed(), binding.components.len())
        }
    }
    overrides.iter().for_each(|set| say!("sets      {} {}", set.name, json!(set.setting)));
    if license.is_development() {
        say!("warning   signed with a development key");
    }
    Ok(())
}
