//! `aegis license`: the operator's side of licenses.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use aegis_core::{
    key::KeyRole,
    license::{
        claims::{Claims, Kind},
        verdict::{self, Code},
    },
    time::UnixTime,
};
use aegis_editions::licensing::Licensing;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::keys_directory;
use crate::{
    error::{Error, Result},
    keys::{self, Signer},
    license::{self, Order, VerifyingKey},
};

#[derive(Subcommand)]
pub(super) enum LicenseVerb {
    /// Signs a license document
    Issue(Box<IssueArgs>),
    /// Shows what a document says, without a look at its signature
    Inspect {
        /// The document
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Checks signature, dates and revocation of a document
    Verify {
        /// The document
        file: PathBuf,
        /// Revocation list to look into
        #[arg(long, value_name = "FILE")]
        revocations: Option<PathBuf>,
        #[command(flatten)]
        trust: Trust,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Adds licenses to the signed revocation list
    Revoke {
        /// Serial numbers, or documents
        #[arg(required = true)]
        licenses: Vec<String>,
        /// The list, which gets the next number
        #[arg(long, value_name = "FILE")]
        list: PathBuf,
        /// Begin a list; there must be none
        #[arg(long)]
        new: bool,
        /// Directory of the keys [default: ~/.config/aegis/keys]
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub(super) struct Trust {
    /// Public key that must have signed it [default: the license key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Directory of the keys [default: ~/.config/aegis/keys]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

impl Trust {
    fn ring(self) -> Result<[VerifyingKey; 1]> {
        let key = match self.key {
            Some(path) => keys::read_public(&path)?,
            None => keys::public(&keys_directory(self.keys)?, KeyRole::License)?,
        };
        Ok([VerifyingKey::new(key)])
    }
}

#[derive(Args)]
pub(super) struct IssueArgs {
    /// The edition, such as `gamer`
    #[arg(long, value_name = "ID")]
    edition: String,
    /// How long it holds, and why
    #[arg(long, value_enum)]
    kind: KindArg,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// License key that it belongs to [default: a new one]
    #[arg(long, value_name = "KEY")]
    license_key: Option<String>,
    /// Machines that may use it at a time
    #[arg(long, default_value_t = 1)]
    seats: u32,
    /// Days that it holds [default: 365 for annual, the edition's for trial]
    #[arg(long, conflicts_with = "expires")]
    days: Option<u32>,
    /// Last day on which it holds, wherever on earth
    #[arg(long, value_name = "YYYY-MM-DD")]
    expires: Option<String>,
    /// Days after the end in which it still works
    /// [default: 30 for annual, else 0]
    #[arg(long, value_name = "DAYS")]
    grace: Option<u16>,
    /// Bind it to the machine that wrote this by `aegis-license request`
    #[arg(long, value_name = "FILE")]
    machine: Option<PathBuf>,
    /// Set an entitlement: NAME=true, NAME=false or NAME=NUMBER
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Directory of the keys [default: ~/.config/aegis/keys]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// For sale: refuse development keys
    #[arg(long)]
    release: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindArg {
    /// Bought for ever
    Lifetime,
    /// Bought for a time
    Annual,
    /// To try an edition
    Trial,
    /// Granted to everyone for a while
    FreePeriod,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Lifetime => Self::Lifetime,
            KindArg::Annual => Self::Annual,
            KindArg::Trial => Self::Trial,
            KindArg::FreePeriod => Self::FreePeriod,
        }
    }
}

pub(super) fn run(verb: LicenseVerb) -> Result<()> {
    match verb {
        LicenseVerb::Issue(args) => issue(*args),
        LicenseVerb::Inspect { file, json } => {
            let claims = license::inspect(&file)?;
            if json {
                say!("{}", json!({"verified": false, "claims": claims}));
            } else {
                describe(&claims);
                say!("signature   not checked; see `aegis license verify`");
            }
            Ok(())
        }
        LicenseVerb::Verify { file, revocations, trust, json } => verify(&file, revocations, trust, json),
        LicenseVerb::Revoke { licenses, list, new, keys, json } => revoke(&licenses, &list, new, keys, json),
    }
}

fn now() -> UnixTime {
    UnixTime::from_unsigned(keys::now())
}

fn issue(args: IssueArgs) -> Result<()> {
    let licensing = Licensing::load().map_err(Error::Spec)?;
    let order = order(&args, &licensing)?;
    if license::exists(&args.out) {
        return Err(Error::Exists(args.out));
    }
    let directory = keys_directory(args.keys)?;
    let signer = Signer::open(&directory, KeyRole::License, args.release, keys::now())?;
    let issued = license::issue(order, &licensing, &signer)?;
    license::write_whole(&args.out, issued.text.as_bytes())?;
    if args.json {
        let (key, claims) = (issued.key.to_string(), &issued.claims);
        say!("{}", json!({"license_key": key, "claims": claims, "document": args.out}));
    } else {
        say!("license key {}", issued.key);
        describe(&issued.claims);
        say!("document    {}", args.out.display());
    }
    Ok(())
}

/// What was typed, resolved.
fn order(args: &IssueArgs, licensing: &Licensing) -> Result<Order> {
    let edition = args.edition.parse().map_err(Error::Edition)?;
    let kind = Kind::from(args.kind);
    let key = args.license_key.as_deref().map(|text| licensing.read_key(text)).transpose();
    let key = key.map_err(Error::LicenseKey)?;
    if let Some((_, other)) = key.filter(|(_, other)| *other != edition) {
        return Err(Error::KeyOfEdition { other, edition });
    }
    let issued = now();
    let expires = match (&args.expires, args.days) {
        (Some(date), _) => Some(UnixTime::end_of_day(date).ok_or_else(|| Error::Date(date.clone()))?),
        (None, Some(days)) => Some(issued.plus_days(days).day_end()),
        (None, None) => default_days(kind, licensing).map(|days| issued.plus_days(days).day_end()),
    };
    Ok(Order {
        edition,
        kind,
        key: key.map(|(key, _)| key),
        seats: args.seats,
        issued,
        not_before: issued,
        expires,
        grace_days: args.grace.unwrap_or(if kind == Kind::Annual { 30 } else { 0 }),
        binding: args.machine.as_deref().map(license::read_request).transpose()?,
        overrides: args.set.iter().map(|text| license::read_override(text)).collect::<Result<_>>()?,
    })
}

/// A free period has no usual length, and a lifetime license no end.
fn default_days(kind: Kind, licensing: &Licensing) -> Option<u32> {
    match kind {
        Kind::Annual => Some(365),
        Kind::Trial => {
            let free = licensing.entitlements(aegis_core::edition::Edition::Freemium, None);
            free.limit("trial_days").and_then(|days| u32::try_from(days).ok())
        }
        Kind::Lifetime | Kind::FreePeriod => None,
    }
}

fn verify(file: &Path, revocations: Option<PathBuf>, trust: Trust, json: bool) -> Result<()> {
    let ring = trust.ring()?;
    let license = license::verify(file, &ring)?;
    let claims = license.claims();
    let list = revocations.map(|path| license::read_list(&path, &ring)).transpose()?;
    let revoked = list.as_ref().is_some_and(|(_, serials)| serials.contains(&claims.serial));
    let code = if revoked { Code::Revoked } else { verdict::period(claims, now()) };
    if json {
        say!(
            "{}",
            json!({
                "verified": true, "verdict": code, "claims": claims, "key": license.key(),
                "development": license.is_development(), "revocation_list": list.as_ref().map(|(number, _)| number),
            })
        );
    } else {
        describe(claims);
        let mark = if license.is_development() { ", a development key" } else { "" };
        say!("signature   good, by key {}{mark}", license.key());
        match &list {
            Some((number, _)) => say!("revoked     {}, by list {number}", if revoked { "yes" } else { "no" }),
            None => say!("revoked     not checked; name a list with --revocations"),
        }
        say!("verdict     {}", code.id());
    }
    match code {
        Code::Valid | Code::Grace | Code::Trial => Ok(()),
        code => Err(Error::NotInForce { path: file.into(), code }),
    }
}

fn describe(claims: &Claims) {
    say!("serial      {}", claims.serial);
    say!("edition     {}", claims.edition);
    say!("kind        {}", claims.kind);
    say!("machines    {}", claims.seats);
    say!("issued      {}", claims.issued);
    say!("holds from  {}", claims.not_before);
    match claims.expires {
        None => say!("holds until for ever"),
        Some(end) => say!("holds until {end}, then {} days of grace", claims.grace_days),
    }
    match &claims.binding {
        None => say!("bound to    no machine"),
        Some(binding) => {
            say!("bound to    {} parts of a machine, {} needed", binding.components.len(), binding.needed());
        }
    }
    for set in &claims.overrides {
        say!("sets        {} {}", set.name, json!(set.setting));
    }
}

fn revoke(licenses: &[String], list: &Path, new: bool, keys: Option<PathBuf>, json: bool) -> Result<()> {
    let directory = keys_directory(keys)?;
    let signer = Signer::open(&directory, KeyRole::License, false, keys::now())?;
    let ring = [VerifyingKey::new(signer.public().clone())];
    let (number, mut serials) = match (new, license::exists(list)) {
        (true, true) => return Err(Error::Exists(list.into())),
        (true, false) => (0, BTreeSet::new()),
        (false, _) => license::read_list(list, &ring)?,
    };
    let before = serials.len();
    for text in licenses {
        serials.insert(match text.parse() {
            Ok(serial) => serial,
            Err(_not_a_number) => license::verify(Path::new(text), &ring)?.claims().serial,
        });
    }
    let next = number.checked_add(1).ok_or(Error::Sealing)?;
    license::write_list(list, next, &serials, now(), &signer)?;
    let added = serials.len() - before;
    if json {
        say!("{}", json!({"number": next, "revoked": serials.len(), "added": added}));
    } else {
        say!("{}: list {next}, {} licenses, {added} of them new", list.display(), serials.len());
    }
    Ok(())
}
