//! The command line of `aegis-license`.

use std::path::PathBuf;

use aegis_core::{
    edition::Edition,
    license::{claims::Claims, verdict::Verdict},
    report::exit,
};
use aegis_hw::license::Judged;
use clap::{Parser, Subcommand};
use serde_json::json;

use super::Desk;
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
        Verb::Status => return status(&desk, &desk.judge()?, cli.json),
        Verb::Show => show(&desk, cli.json)?,
        Verb::Install { file, revocations: true } => {
            let number = desk.install_list(&file)?;
            if cli.json {
                say!("{}", json!({"revocation_list": number}));
            } else {
                say!("revocation list {number} is in use");
            }
        }
        Verb::Install { file, revocations: false } => return status(&desk, &desk.install(&file)?, cli.json),
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

fn status(desk: &Desk, judged: &Judged, as_json: bool) -> Result<u8, Error> {
    let Judged { verdict, license, list, list_refused, state } = judged;
    let granted = desk.granted(verdict);
    let free = desk.edition() == Edition::Freemium;
    if as_json {
        say!(
            "{}",
            json!({
                "edition": desk.edition(), "verdict": verdict.code(), "text": verdict.to_string(),
                "hint": verdict.hint(), "serial": license.as_ref().map(|license| license.claims().serial),
                "revocation_list": list, "revocation_list_refused": list_refused.as_ref().map(ToString::to_string),
                "seen": state.seen, "flags": granted.entitlements.flags, "limits": granted.entitlements.limits,
                "upgrades": desk.upgrades(),
            })
        );
    } else {
        say!("edition   {}", desk.edition());
        if free {
            say!("license   none is needed");
        } else {
            say!("license   {verdict}");
            verdict.hint().into_iter().for_each(|hint| say!("next      {hint}"));
        }
        match list {
            Some(number) => say!("revoked   looked up in list {number}"),
            None => say!("revoked   no list on this machine"),
        }
        list_refused.iter().for_each(|error| say!("warning   the revocation list is not used: {error}"));
        say!("features  {}", granted.entitlements.flags.into_iter().collect::<Vec<_>>().join(" "));
        for (name, value) in granted.entitlements.limits {
            say!("limit     {name} {}", if value < 0 { "unlimited".into() } else { value.to_string() });
        }
    }
    Ok(if free || verdict.grant().is_some() { exit::OK } else { exit::FAILED })
}

fn show(desk: &Desk, as_json: bool) -> Result<(), Error> {
    let judged = desk.judge()?;
    let Some(license) = judged.license else {
        return Err(match judged.verdict {
            Verdict::Unknown(aegis_core::license::verdict::Reason::Document(source)) => {
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
