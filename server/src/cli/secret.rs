//! `aegis-server secret rotate`.

use std::io::Write as _;

use aegis_core::{report::exit, time::UnixTime};
use clap::Subcommand;
use serde_json::json;

use super::{note, say};
use crate::{Clock, Result, config::Config, secret::Secret, store};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Makes a new secret beside the former one, whose links, forms and tokens stay good until they expire
    Rotate {
        /// Until the new one signs; every server must be started again before
        #[arg(long, value_name = "MINUTES", default_value_t = 60, conflicts_with = "leaked",
              value_parser = clap::value_parser!(i64).range(0..=10080))]
        wait: i64,
        /// Somebody else may know the former one: what it signed is not taken any more
        #[arg(long)]
        leaked: bool,
    },
}

pub(super) async fn run(verb: &Verb, config: &Config, json: bool) -> Result<u8> {
    let Verb::Rotate { wait, leaked } = *verb;
    let clock = Clock::default();
    let now = clock.now();
    let from = if leaked { now } else { now + wait * 60 };
    Secret::read(&config.storage.secret)?.rotated(now, from, leaked)?.replace(&config.storage.secret)?;
    let act = if leaked { "secret.rotate-leaked" } else { "secret.rotate" };
    note(config, store::open(&config.storage.database, &clock).await?, act).await;
    let time = UnixTime(from).to_string();
    if json {
        say!("{}", json!({ "done": act, "signs_from": time }));
    } else if leaked {
        say!("the new secret signs now: start every server again at once, and keep the file in a backup");
    } else {
        say!(
            "the new secret signs from {time}: start every server again before, and keep the file in a backup"
        );
    }
    Ok(exit::OK)
}
