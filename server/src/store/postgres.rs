//! PostgreSQL: serializable transactions that are repeated when they collide, over a small pool of connections.
//!
//! Invariant: a batch is repeated only when the server has said that nothing of it is stored.

mod backup;
mod pool;
mod restore;
mod schema;
mod values;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio_postgres::{
    config::{Config, Host, SslMode},
    error::SqlState,
};

use super::{Later, Outcome, Row, Statement, Store, acceptable};
use crate::{Clock, Error, Result};
use pool::{Pool, Session};

/// Times that a batch which collides is tried.
const TRIES: u32 = 40;

/// A database of a server.
pub struct Postgres {
    config: Config,
    pool: Arc<Pool>,
}

impl Postgres {
    /// Connects, and gives an empty database its schema.
    ///
    /// # Errors
    /// When the server cannot be reached, and for a schema that is older, newer or not ours.
    pub async fn open(url: &str, clock: &Clock) -> Result<Self> {
        let config = configuration(url)?;
        schema::bring_up_to_date(&config, clock, None).await?;
        Ok(Self::over(config))
    }

    /// As [`Self::open`], and brings an older schema up to date after copying the database into a folder.
    ///
    /// # Errors
    /// As [`Self::open`], and when the copy cannot be written: then nothing was changed.
    pub async fn migrate(url: &str, clock: &Clock, copies: &Path) -> Result<Self> {
        let config = configuration(url)?;
        schema::bring_up_to_date(&config, clock, Some(copies)).await?;
        Ok(Self::over(config))
    }

    /// Puts a copy in the place of the database, after copying what is there into a folder; returns where that is.
    ///
    /// # Errors
    /// When somebody serves it, or the copy is damaged or newer than this program; then nothing was changed.
    pub(crate) async fn restore(url: &str, from: &Path, folder: &Path, clock: &Clock) -> Result<PathBuf> {
        restore::restore(&configuration(url)?, from, folder, clock).await
    }

    fn over(config: Config) -> Self {
        Self { pool: Arc::new(Pool::new(config.clone())), config }
    }

    async fn write_batch(&self, batch: &[Statement]) -> Result<Vec<Outcome>> {
        for attempt in 0..TRIES {
            let mut lease = self.pool.take().await?;
            match transaction(lease.session()?, batch).await {
                Ok(outcomes) => {
                    lease.give_back();
                    return Ok(outcomes);
                }
                Err(Failure::Again { usable }) => {
                    if usable {
                        lease.give_back();
                    }
                }
                Err(Failure::Refused(number)) => {
                    lease.give_back();
                    return Err(Error::Condition(number));
                }
                // The connection is in an unknown state, and is closed.
                Err(Failure::Broken(error)) => return Err(error),
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(Error::Busy("writes to the same rows of the database"))
    }
}

impl Store for Postgres {
    fn read(&self, statement: Statement) -> Later<'_, Vec<Row>> {
        Box::pin(async move {
            acceptable("reading", std::slice::from_ref(&statement))?;
            let mut last = None;
            // A connection that the server closed while it was idle is found out by its use; reading twice is harmless.
            for _ in 0..2 {
                let mut lease = self.pool.take().await?;
                match lease.session()?.run(&statement).await {
                    Ok(outcome) => {
                        lease.give_back();
                        return Ok(outcome.returned);
                    }
                    Err(error) if error.is_closed() => last = Some(error),
                    Err(error) => return Err(fault("reading", &error)),
                }
            }
            Err(last.map_or(Error::Busy("readers of the database"), |error| fault("reading", &error)))
        })
    }

    fn write(&self, batch: Vec<Statement>) -> Later<'_, Vec<Outcome>> {
        Box::pin(async move {
            acceptable("writing", &batch)?;
            self.write_batch(&batch).await
        })
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()> {
        Box::pin(backup::dump(&self.config, to))
    }

    fn kind(&self) -> &'static str {
        "PostgreSQL"
    }
}

enum Failure {
    /// Nothing is stored, and it is worth trying again.
    Again { usable: bool },
    /// A condition of this statement did not hold; the transaction was rolled back.
    Refused(usize),
    /// Anything else.
    Broken(Error),
}

/// Runs a batch in one transaction.
async fn transaction(session: &mut Session, batch: &[Statement]) -> Result<Vec<Outcome>, Failure> {
    // Before the first statement nothing can be stored: an old connection is replaced.
    session
        .command("BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE")
        .await
        .map_err(|error| if error.is_closed() { Failure::Again { usable: false } } else { broken(&error) })?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for (number, statement) in batch.iter().enumerate() {
        match session.run(statement).await {
            Ok(outcome) if statement.expected.is_none_or(|expected| expected == outcome.rows) => {
                outcomes.push(outcome);
            }
            Ok(_) => return Err(rolled_back(session, Failure::Refused(number)).await),
            Err(error) if collided(&error) => {
                return Err(rolled_back(session, Failure::Again { usable: true }).await);
            }
            Err(error) if violates(&error) => {
                return Err(rolled_back(session, Failure::Refused(number)).await);
            }
            Err(error) => return Err(broken(&error)),
        }
    }
    match session.command("COMMIT").await {
        Ok(()) => Ok(outcomes),
        Err(error) if collided(&error) => Err(Failure::Again { usable: true }),
        // Whether it is stored is not known: it is not repeated.
        Err(error) => Err(broken(&error)),
    }
}

async fn rolled_back(session: &mut Session, failure: Failure) -> Failure {
    match session.command("ROLLBACK").await {
        Ok(()) => failure,
        Err(error) => broken(&error),
    }
}

fn broken(error: &tokio_postgres::Error) -> Failure {
    Failure::Broken(fault("writing", error))
}

/// Two transactions in each other's way, of which one was rolled back.
fn collided(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(code) if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code))
}

/// Class 23: integrity constraints.
fn violates(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("23"))
}

/// An error of the server in our words. Of its own words only those that hold no values: about connections, rights,
/// names in our SQL, resources and shutting down.
fn fault(doing: &'static str, error: &tokio_postgres::Error) -> Error {
    let source = match error.as_db_error() {
        Some(said)
            if ["08", "28", "3D", "42", "53", "57", "58"]
                .iter()
                .any(|class| said.code().code().starts_with(class)) =>
        {
            format!("{} (SQLSTATE {})", said.message(), said.code().code())
        }
        Some(said) => format!("SQLSTATE {}", said.code().code()),
        None => chain(error),
    };
    Error::Database { doing, source: source.into() }
}

/// An error of the driver, which holds no values, with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", chain(cause)))
}

/// Before the next try: from nothing up to 1, 2, 4 … 64 ms, by chance, so that two do not meet again.
fn pause(attempt: u32) -> Duration {
    let mut byte = [0];
    // Without chance the pause is short; the next one has another.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    Duration::from_micros((4 * u64::from(byte[0])) << attempt.min(6))
}

/// Reads an address. What it does not say is as libpq has it, except: five seconds to connect, and no plain text over a
/// network unless it is asked for.
fn configuration(url: &str) -> Result<Config> {
    let wrong = |problem: &str, hint: &str| Error::Config {
        place: "database".into(),
        problem: problem.into(),
        hint: hint.into(),
    };
    // The reason is not repeated: it quotes parts of the address, which may hold a password.
    let mut config: Config = url.parse().map_err(|_quotes: tokio_postgres::Error| {
        wrong("is not an address of PostgreSQL", "write postgres://USER:PASSWORD@HOST:PORT/NAME")
    })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    // A database that was cut off is given up before its clients are.
    config.keepalives_idle(Duration::from_secs(60)).tcp_user_timeout(Duration::from_secs(10));
    config.application_name("aegis-server");
    let near = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
    };
    let local =
        config.get_hosts().iter().all(near) && config.get_hostaddrs().iter().all(|ip| ip.is_loopback());
    if !local && config.get_ssl_mode() != SslMode::Disable {
        return Err(wrong(
            "names a server over a network, and this program speaks no TLS to PostgreSQL",
            "reach it by a socket, a tunnel or a private network, and for the last write ?sslmode=disable",
        ));
    }
    config.ssl_mode(SslMode::Disable);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_over_a_network_must_be_asked_for() {
        for good in [
            "postgres://u:p@localhost/d",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres://u@127.0.0.1:5433/d",
            "postgres://u@db.internal/d?sslmode=disable",
        ] {
            assert!(configuration(good).is_ok(), "{good}");
        }
        for bad in [
            "postgres://u:secret@db.internal/d",
            "postgres://u:secret@10.0.0.1/d?sslmode=require",
            "postgres://u:secret@h:port/d",
        ] {
            let error = configuration(bad).unwrap_err();
            assert!(!aegis_core::report::render(&error).contains("secret"), "{error}");
        }
    }

    #[test]
    fn pauses_are_bounded() {
        assert!((0..TRIES).all(|attempt| pause(attempt) <= Duration::from_millis(66)));
    }
}
