//! SQLite: one thread that writes, joining what waits into one commit, and connections that read beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use nix::sys::statfs::{self, FsType};
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter, types::ToSqlOutput, types::ValueRef};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Later, Outcome, Row, Statement, Store, Value, migrate};
use crate::{Clock, Error, Result};

/// Connections that read.
const READERS: usize = 4;
/// Batches that may wait; more are refused, so that memory is bounded when the disk is slow.
const QUEUE: usize = 1024;
/// Batches of one commit.
const GROUP: usize = 64;

/// File systems over a network, where the write-ahead log is not safe (sqlite.org/wal.html): NFS, SMB, CIFS, FUSE.
const NETWORK: [FsType; 4] =
    [statfs::NFS_SUPER_MAGIC, statfs::SMB_SUPER_MAGIC, FsType(0xFF53_4D42), statfs::FUSE_SUPER_MAGIC];

/// A database in one file.
pub struct Sqlite {
    path: PathBuf,
    writer: mpsc::Sender<Job>,
    readers: Arc<Mutex<Vec<Connection>>>,
    free: Semaphore,
}

struct Job {
    batch: Vec<Statement>,
    done: oneshot::Sender<Result<Vec<Outcome>>>,
}

impl Sqlite {
    /// Opens the file, making it when it is missing, and brings its schema up to date; before an existing one changes it
    /// is copied beside itself.
    ///
    /// # Errors
    /// When the file is damaged, written by a newer program, or on a file system over a network.
    pub fn open(path: &Path, clock: &Clock) -> Result<Self> {
        let (writer, jobs) = mpsc::channel(QUEUE);
        refuse_network(path)?;
        let mut connection = connect(path, OpenFlags::default())?;
        check(&connection, path)?;
        bring_up_to_date(&mut connection, path, clock)?;
        let readers: Result<Vec<_>> = (0..READERS)
            .map(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX))
            .collect();
        std::thread::Builder::new()
            .name("database".into())
            .spawn(move || write_until_closed(&connection, jobs))
            .map_err(Error::io("starting a thread for", path))?;
        let readers = Arc::new(Mutex::new(readers?));
        Ok(Self { path: path.to_owned(), writer, readers, free: Semaphore::new(READERS) })
    }
}

impl Store for Sqlite {
    fn read(&self, statement: Statement) -> Later<'_, Vec<Row>> {
        Box::pin(async move {
            let _turn = self.free.acquire().await.map_err(Error::database("reading"))?;
            let readers = Arc::clone(&self.readers);
            let work = move || {
                // As many connections as turns: there is one.
                let taken = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let connection = taken.ok_or(Error::Busy("readers of the database"))?;
                let rows = rows_of(&connection, &statement);
                readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                rows.map_err(Error::database("reading"))
            };
            tokio::task::spawn_blocking(work).await.map_err(Error::database("reading"))?
        })
    }

    fn write(&self, batch: Vec<Statement>) -> Later<'_, Vec<Outcome>> {
        Box::pin(async move {
            let (done, result) = oneshot::channel();
            self.writer
                .try_send(Job { batch, done })
                .map_err(|_full| Error::Busy("writes to the database"))?;
            result.await.map_err(Error::database("writing"))?
        })
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()> {
        let (from, to) = (self.path.clone(), to.to_owned());
        Box::pin(async move {
            let work = move || copy(&connect(&from, OpenFlags::default())?, &to);
            tokio::task::spawn_blocking(work).await.map_err(Error::database("copying"))?
        })
    }

    fn kind(&self) -> &'static str {
        "SQLite"
    }
}

fn refuse_network(path: &Path) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = statfs::statfs(directory).map_err(std::io::Error::from);
    let kind = found.map_err(Error::io("looking at the file system of", directory))?.filesystem_type();
    if !NETWORK.contains(&kind) {
        return Ok(());
    }
    Err(Error::Config {
        place: path.display().to_string(),
        problem: "is on a file system over a network, where SQLite loses data".into(),
        hint: "keep the file on a local disk, or use PostgreSQL".into(),
    })
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags).map_err(Error::database("opening"))?;
    // FULL: what was answered survives a power cut.
    let settings = "PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                    PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";
    connection.execute_batch(settings).map_err(Error::database("opening"))?;
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        connection.pragma_update(None, "journal_mode", "WAL").map_err(Error::database("opening"))?;
    }
    Ok(connection)
}

fn check(connection: &Connection, path: &Path) -> Result<()> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(Error::database("checking"))?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::Corrupt { what: path.display().to_string(), problem: format!("is damaged: {found}") })
}

fn bring_up_to_date(connection: &mut Connection, path: &Path, clock: &Clock) -> Result<()> {
    let done = history(connection).map_err(Error::database("reading"))?;
    let pending = migrate::pending(&done)?;
    if let (Some(first), false) = (pending.first(), done.is_empty()) {
        let copied = format!("{}.before-{}-{}", path.display(), first.name, clock.now());
        copy(connection, Path::new(&copied))?;
    }
    for (number, step) in pending.iter().enumerate() {
        let work = connection.transaction().and_then(|transaction| {
            for statement in step.statements() {
                transaction.execute_batch(statement)?;
            }
            let position = i64::try_from(done.len() + number).unwrap_or(i64::MAX);
            transaction.execute(
                "INSERT INTO migrations VALUES (?1, ?2, ?3, ?4)",
                (position, step.name, step.digest(), clock.now()),
            )?;
            transaction.commit()
        });
        work.map_err(Error::database("changing the schema of"))?;
    }
    Ok(())
}

fn history(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    if !connection.table_exists(None, "migrations")? {
        return Ok(Vec::new());
    }
    let mut query = connection.prepare("SELECT name, digest FROM migrations ORDER BY position")?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Copies the database of a moment; the copy gets its name when it is whole and checked.
fn copy(connection: &Connection, to: &Path) -> Result<()> {
    if to.exists() {
        let source = std::io::ErrorKind::AlreadyExists.into();
        return Err(Error::Io { doing: "writing", what: to.display().to_string(), source });
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let _ = fs::remove_file(&part);
    let copied = connection
        .execute("VACUUM INTO ?1", [part.to_string_lossy()])
        .map_err(Error::database("copying"))
        .and_then(|_| check(&connect(&part, OpenFlags::SQLITE_OPEN_READ_ONLY)?, &part))
        .and_then(|()| {
            fs::File::open(&part).and_then(|file| file.sync_all()).map_err(Error::io("writing", &part))
        })
        .and_then(|()| fs::rename(&part, to).map_err(Error::io("naming", to)));
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied
}

fn write_until_closed(connection: &Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        write_group(connection, group);
    }
}

/// Runs the batches in one transaction. Nobody hears of a success before the commit.
fn write_group(connection: &Connection, group: Vec<Job>) {
    let began = connection.execute_batch("BEGIN IMMEDIATE");
    let results: Vec<_> = match &began {
        Ok(()) => group.iter().map(|job| write_batch(connection, &job.batch)).collect(),
        Err(_) => Vec::new(),
    };
    let ended = began.and_then(|()| connection.execute_batch("COMMIT"));
    match ended {
        Ok(()) => {
            for (job, result) in group.into_iter().zip(results) {
                let _ = job.done.send(result);
            }
        }
        Err(error) => {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            for job in group {
                let _ = job
                    .done
                    .send(Err(Error::Database { doing: "writing", source: error.to_string().into() }));
            }
        }
    }
}

fn write_batch(connection: &Connection, batch: &[Statement]) -> Result<Vec<Outcome>> {
    let point = |sql| connection.execute_batch(sql).map_err(Error::database("writing"));
    point("SAVEPOINT batch")?;
    let results: Result<Vec<_>> =
        batch.iter().enumerate().map(|(n, one)| write_one(connection, n, one)).collect();
    if results.is_err() {
        point("ROLLBACK TO batch")?;
    }
    point("RELEASE batch")?;
    results
}

fn write_one(connection: &Connection, number: usize, statement: &Statement) -> Result<Outcome> {
    let returns = connection.prepare_cached(&dialect(statement.sql)).map(|query| query.column_count() > 0);
    let outcome = returns.and_then(|returns| {
        if returns {
            let returned = rows_of(connection, statement)?;
            return Ok(Outcome { rows: returned.len(), returned });
        }
        let mut query = connection.prepare_cached(&dialect(statement.sql))?;
        Ok(Outcome { rows: query.execute(params_from_iter(&statement.values))?, returned: Vec::new() })
    });
    let outcome = outcome.map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => Error::Condition(number),
        _ => Error::Database { doing: "writing", source: error.into() },
    })?;
    match statement.expected {
        Some(expected) if expected != outcome.rows => Err(Error::Condition(number)),
        _ => Ok(outcome),
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
