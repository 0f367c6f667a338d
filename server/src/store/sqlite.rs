//! SQLite: one thread that writes, joining what waits into one commit, and connections that read beside it.

mod open;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, ToSql, params_from_iter, types::ToSqlOutput, types::ValueRef,
};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Later, Outcome, Row, Statement, Store, Value, acceptable};
use crate::{Clock, Error, Result};
use writer::Job;

/// Connections that read.
const READERS: usize = 4;
/// Batches that may wait; more are refused, so that memory is bounded when the disk is slow.
const QUEUE: usize = 1024;

/// A database in one file.
pub struct Sqlite {
    path: PathBuf,
    writer: mpsc::Sender<Job>,
    readers: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Sqlite {
    /// Opens the file, making it when it is missing, and brings its schema up to date; before an existing one changes it
    /// is copied beside itself.
    ///
    /// # Errors
    /// When the file is damaged, another program's, written by a newer program, or on a file system over a network.
    pub fn open(path: &Path, clock: &Clock) -> Result<Self> {
        let connection = open::up_to_date(path, clock)?;
        let readers: Result<Vec<_>> = (0..READERS)
            .map(|_| open::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX))
            .collect();
        let (writer, jobs) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("database".into())
            .spawn(move || writer::write_until_closed(&connection, jobs))
            .map_err(Error::io("starting a thread for", path))?;
        let readers = Arc::new(Mutex::new(readers?));
        Ok(Self { path: path.to_owned(), writer, readers, free: Arc::new(Semaphore::new(READERS)) })
    }
}

impl Store for Sqlite {
    fn read(&self, statement: Statement) -> Later<'_, Vec<Row>> {
        Box::pin(async move {
            acceptable("reading", std::slice::from_ref(&statement))?;
            let turn = Arc::clone(&self.free).acquire_owned().await.map_err(Error::database("reading"))?;
            let readers = Arc::clone(&self.readers);
            let work = move || {
                // The turn ends with the work, also when nobody waits for the answer any more.
                let _turn = turn;
                let reader = Reader::taken_from(readers)?;
                rows_of(reader.connection()?, &statement).map_err(fault("reading"))
            };
            tokio::task::spawn_blocking(work).await.map_err(Error::database("reading"))?
        })
    }

    fn write(&self, batch: Vec<Statement>) -> Later<'_, Vec<Outcome>> {
        Box::pin(async move {
            acceptable("writing", &batch)?;
            let (done, result) = oneshot::channel();
            self.writer.try_send(Job { batch, done }).map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => Error::Busy("writes to the database"),
                mpsc::error::TrySendError::Closed(_) => {
                    Error::Database { doing: "writing", source: "its thread has ended".into() }
                }
            })?;
            result.await.map_err(Error::database("writing"))?
        })
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()> {
        let (from, to) = (self.path.clone(), to.to_owned());
        Box::pin(async move {
            let work = move || open::copy(&open::connect(&from, OpenFlags::SQLITE_OPEN_READ_WRITE)?, &to);
            tokio::task::spawn_blocking(work).await.map_err(Error::database("copying"))?
        })
    }

    fn kind(&self) -> &'static str {
        "SQLite"
    }
}

/// A connection on loan; it goes back also when the work panics.
struct Reader {
    home: Arc<Mutex<Vec<Connection>>>,
    connection: Option<Connection>,
}

impl Reader {
    /// As many connections as turns: there is one.
    fn taken_from(home: Arc<Mutex<Vec<Connection>>>) -> Result<Self> {
        let connection = home.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Self { home, connection: Some(connection.ok_or(Error::Busy("readers of the database"))?) })
    }

    fn connection(&self) -> Result<&Connection> {
        self.connection.as_ref().ok_or(Error::Busy("readers of the database"))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}

/// An error of SQLite; what it says of a damaged file is not the same as a database that cannot be had.
fn fault(doing: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Corrupt { what: "the database".into(), problem: format!("is damaged: {error}") }
        }
        _ => Error::Database { doing, source: error.into() },
    }
}

fn rows_of(connection: &Connection, statement: &Statement) -> rusqlite::Result<Vec<Row>> {
    let mut query = connection.prepare_cached(&dialect(statement.sql))?;
    let columns = query.column_count();
    let mut rows = query.query(params_from_iter(&statement.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values: rusqlite::Result<_> =
            (0..columns).map(|column| Ok(owned(row.get_ref(column)?))).collect();
        found.push(Row(values?));
    }
    Ok(found)
}

/// SQLite numbers parameters as `?1`; `$1` would be a name.
fn dialect(sql: &str) -> String {
    sql.replace('$', "?")
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        // No statement computes with fractions.
        ValueRef::Real(value) => Value::Text(value.to_string()),
        ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Value::Blob(value.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}
