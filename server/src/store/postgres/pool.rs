//! Connections: at most so many at a time, kept while they are good.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::{Client, Config, NoTls, types::ToSql};

use super::{fault, values};
use crate::{
    Error, Result,
    store::{Outcome, Statement},
};

/// Connections at a time.
const CONNECTIONS: usize = 12;
/// How long somebody waits for one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reading by default, so that a read that writes fails as it does in SQLite; what was answered is on the disk. The statements
/// of a batch follow each other at once: a process that is silent in the middle of one is lost, and its locks with it.
const SETTINGS: &str = "SET default_transaction_read_only = on; SET statement_timeout = '30s'; \
     SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '5s'; \
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

pub(super) struct Pool {
    config: Config,
    idle: Mutex<Vec<Session>>,
    turns: Semaphore,
}

impl Pool {
    pub(super) fn new(config: Config) -> Self {
        Self { config, idle: Mutex::default(), turns: Semaphore::new(CONNECTIONS) }
    }

    /// A connection that was good when it was last used, or a new one.
    pub(super) async fn take(&self) -> Result<Lease<'_>> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire());
        let turn = turn.await.map_err(|_elapsed| Error::Busy("requests to the database"))?;
        let turn = turn.map_err(Error::database("reaching"))?;
        let session = loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(session) if session.client.is_closed() => {}
                Some(session) => break session,
                None => break Session::connect(&self.config).await?,
            }
        };
        Ok(Lease { pool: self, session: Some(session), _turn: turn })
    }
}

/// A connection on loan. Dropped without being given back, as when nobody waits for the answer any more, it is closed
/// and the server rolls back what it was at.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    session: Option<Session>,
    _turn: SemaphorePermit<'a>,
}

impl Lease<'_> {
    pub(super) fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or(Error::Busy("requests to the database"))
    }

    /// Only outside of a transaction.
    pub(super) fn give_back(mut self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.session.take());
    }
}

/// One connection and the statements that it has prepared.
pub(super) struct Session {
    client: Client,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
}

impl Session {
    pub(super) async fn connect(config: &Config) -> Result<Self> {
        let (client, connection) =
            config.connect(NoTls).await.map_err(|error| fault("connecting to", &error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %fault("talking to", &error), "a connection ended");
            }
        });
        client.batch_execute(SETTINGS).await.map_err(|error| fault("connecting to", &error))?;
        Ok(Self { client, prepared: HashMap::new() })
    }

    /// Runs one statement.
    pub(super) async fn run(&mut self, statement: &Statement) -> Result<Outcome, tokio_postgres::Error> {
        let prepared = match self.prepared.get(statement.sql) {
            Some(prepared) => prepared.clone(),
            None => {
                let prepared = self.client.prepare(statement.sql).await?;
                self.prepared.insert(statement.sql, prepared.clone());
                prepared
            }
        };
        let parameters = values::parameters(&statement.values, prepared.params());
        let parameters: Vec<_> = parameters.iter().map(|one| one.as_ref() as &(dyn ToSql + Sync)).collect();
        if prepared.columns().is_empty() {
            let rows = self.client.execute(&prepared, &parameters).await?;
            return Ok(Outcome { rows: usize::try_from(rows).unwrap_or(usize::MAX), returned: Vec::new() });
        }
        let rows = self.client.query(&prepared, &parameters).await?;
        let returned: Vec<_> = rows.iter().map(values::row).collect::<Result<_, _>>()?;
        Ok(Outcome { rows: returned.len(), returned })
    }

    /// Runs SQL that answers nothing.
    pub(super) async fn command(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }
}
