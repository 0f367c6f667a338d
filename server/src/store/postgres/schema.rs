//! The history of the schema on PostgreSQL, under a lock that one process holds at a time.

use std::path::Path;

use tokio_postgres::Config;

use super::{backup, fault, pool::Session};
use crate::{
    Clock, Error, Result,
    store::{
        Statement,
        migrate::{self, Migration},
    },
};

/// `AEGSMIGR`, the number of the lock.
const LOCK: i64 = 0x4145_4753_4D49_4752;

/// Does the steps that are missing. The lock ends with the connection.
pub(super) async fn bring_up_to_date(config: &Config, clock: &Clock, copies: Option<&Path>) -> Result<()> {
    let mut session = Session::connect(config).await?;
    examine(&mut session).await?;
    let locked =
        ask(&mut session, Statement::new("SELECT 1 FROM (SELECT pg_advisory_lock($1)) AS l", [LOCK.into()]));
    locked.await?;
    let done = history(&mut session).await?;
    let pending = migrate::pending(&done)?;
    if let (Some(first), false) = (pending.first(), done.is_empty()) {
        let Some(folder) = copies else { return Err(older(pending.len())) };
        backup::dump(config, &folder.join(format!("before-{}-{}.dump", first.name, clock.now()))).await?;
    }
    for (number, step) in pending.iter().enumerate() {
        apply(&mut session, step, done.len() + number, clock).await?;
    }
    Ok(())
}

fn older(steps: usize) -> Error {
    Error::Schema {
        problem: format!("the schema of the database lacks {steps} steps"),
        hint: "run aegis-server migrate, which copies the database first; nothing was changed".into(),
    }
}

/// Refuses what would lose data.
async fn examine(session: &mut Session) -> Result<()> {
    let rows = ask(
        session,
        Statement::new("SELECT current_setting('server_encoding'), current_setting('fsync')", []),
    );
    let rows = rows.await?;
    let Some(row) = rows.first() else { return Ok(()) };
    for (column, name, wanted) in [(0, "server_encoding", "UTF8"), (1, "fsync", "on")] {
        let found = row.text(column)?;
        if found != wanted {
            return Err(Error::Config {
                place: "database".into(),
                problem: format!("PostgreSQL has {name} = {found}, which loses data"),
                hint: format!("use a database with {name} = {wanted}"),
            });
        }
    }
    Ok(())
}

async fn history(session: &mut Session) -> Result<Vec<(String, String)>> {
    let there = "SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass('migrations')";
    if ask(session, Statement::new(there, [])).await?.is_empty() {
        return Ok(Vec::new());
    }
    let rows =
        ask(session, Statement::new("SELECT name, digest FROM migrations ORDER BY position", [])).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).collect()
}

async fn apply(session: &mut Session, step: &Migration, position: usize, clock: &Clock) -> Result<()> {
    let changing = |error: &tokio_postgres::Error| fault("changing the schema of", error);
    session.command("BEGIN READ WRITE").await.map_err(|error| changing(&error))?;
    for statement in step.statements() {
        session.command(&statement.replace("BLOB", "BYTEA")).await.map_err(|error| changing(&error))?;
    }
    let record = Statement::new(
        "INSERT INTO migrations VALUES ($1, $2, $3, $4)",
        [
            i64::try_from(position).unwrap_or(i64::MAX).into(),
            step.name.into(),
            step.digest().into(),
            clock.now().into(),
        ],
    );
    session.run(&record).await.map_err(|error| changing(&error))?;
    session.command("COMMIT").await.map_err(|error| changing(&error))
}

pub(super) async fn ask(session: &mut Session, statement: Statement) -> Result<Vec<crate::store::Row>> {
    session.run(&statement).await.map(|outcome| outcome.returned).map_err(|error| fault("reading", &error))
}
