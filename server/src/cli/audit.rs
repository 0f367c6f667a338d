//! `aegis-server audit`.

use std::{
    fs,
    io::{BufReader, Write as _},
    path::PathBuf,
};

use aegis_core::report::exit;
use clap::Subcommand;

use super::say;
use crate::{
    Clock, Error, Result,
    audit::{self, Verdict, Verifier},
    config::Config,
    secret::Secret,
    serve, store,
};

/// Checks the audit log, and copies it for others to check
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Checks the log in the database, or a copy of it
    Verify {
        /// A copy that `export` made; then no database is asked
        #[arg(long, value_name = "FILE", requires = "key")]
        file: Option<PathBuf>,
        /// The public key, as `audit key` prints it
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// A checkpoint that was kept elsewhere: an older state of the same log
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// Writes all entries and the checkpoint, one a line
    Export {
        /// The new file
        to: PathBuf,
    },
    /// Prints the public key that checks the checkpoints
    Key,
    /// Prints the signed checkpoint: whoever keeps it can prove later changes
    Checkpoint,
}

pub(super) async fn run(verb: Verb, config: &Config, json: bool) -> Result<u8> {
    let read = |path: &PathBuf| fs::read_to_string(path).map_err(Error::io("reading", path));
    match verb {
        Verb::Verify { file: Some(file), key: Some(key), checkpoint } => {
            let earlier: Vec<_> = checkpoint.iter().map(read).collect::<Result<_>>()?;
            let copy = fs::File::open(&file).map_err(Error::io("reading", &file))?;
            let verdict = audit::verify_file(BufReader::new(copy), &Verifier::parse(&key)?, &earlier)?;
            Ok(tell(&verdict, json))
        }
        Verb::Verify { key, checkpoint, .. } => {
            let earlier: Vec<_> = checkpoint.iter().map(read).collect::<Result<_>>()?;
            let store = store::open(&config.storage.database, &Clock::default()).await?;
            let own = Secret::read(&config.storage.secret).and_then(|secret| serve::signer(config, &secret));
            let verdict = match key {
                Some(key) => audit::verify(&*store, &Verifier::parse(&key)?, &earlier).await?,
                None => audit::verify(&*store, own?.verifier(), &earlier).await?,
            };
            Ok(tell(&verdict, json))
        }
        Verb::Export { to } => {
            let store = store::open(&config.storage.database, &Clock::default()).await?;
            let mut copy = fs::File::create_new(&to).map_err(Error::io("writing", &to))?;
            let lines = audit::export(&*store, &mut copy).await?;
            copy.sync_all().map_err(Error::io("writing", &to))?;
            say!("{lines} lines: {}", to.display());
            Ok(exit::OK)
        }
        Verb::Key => {
            let secret = Secret::read(&config.storage.secret)?;
            say!("{}", serve::signer(config, &secret)?.verifier());
            Ok(exit::OK)
        }
        Verb::Checkpoint => checkpoint(config).await,
    }
}

async fn checkpoint(config: &Config) -> Result<u8> {
    let store = store::open(&config.storage.database, &Clock::default()).await?;
    let secret = Secret::read(&config.storage.secret)?;
    let log = audit::Log::new(store, serve::signer(config, &secret)?);
    match log.checkpoint().await? {
        Some(note) => {
            say!("{}", note.trim_end());
            Ok(exit::OK)
        }
        None => Err(Error::Config {
            place: "the audit log".into(),
            problem: "has no entry yet".into(),
            hint: "start the server once".into(),
        }),
    }
}

fn tell(verdict: &Verdict, json: bool) -> u8 {
    if json {
        say!("{}", serde_json::json!({ "good": verdict.is_good(), "verdict": verdict.line() }));
    } else {
        say!("{verdict}");
    }
    if verdict.is_good() { exit::OK } else { exit::REFUSED }
}
