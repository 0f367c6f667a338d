//! The database: statements as data, batches that hold or do not, one interface over SQLite and PostgreSQL.
//!
//! SQL is written once, in what both understand: parameters `$1`…, `BIGINT`, `TEXT`, `BLOB` (which becomes `BYTEA`),
//! `INSERT … ON CONFLICT`, `RETURNING`. A limit is kept by one conditional statement, never by reading and then writing.

mod migrate;
mod postgres;
mod sqlite;

use std::{future::Future, path::Path, pin::Pin, sync::Arc};

use crate::{Clock, Error, Result};

pub use migrate::{MIGRATIONS, Migration};
pub use postgres::Postgres;
pub use sqlite::Sqlite;

/// Opens what an address names: `sqlite:PATH`, or `postgres://…` as libpq writes it.
///
/// An empty database gets its schema. One with an older schema is brought up to date: SQLite's file is copied beside
/// itself first; for PostgreSQL this is refused until [`migrate()`] was asked to, since the copy needs a place.
///
/// # Errors
/// [`Error::Config`] for any other address; [`Error::Schema`] for a history that is newer or not ours; [`Error::Corrupt`]
/// for a damaged file; [`Error::Database`] when it cannot be reached.
pub async fn open(url: &str, clock: &Clock) -> Result<Arc<dyn Store>> {
    match address(url)? {
        Address::Sqlite(path) => Ok(Arc::new(Sqlite::open(Path::new(path), clock)?)),
        Address::Postgres(url) => Ok(Arc::new(Postgres::open(url, clock).await?)),
    }
}

/// Opens and brings the schema up to date; before one that exists changes, it is copied into a folder (PostgreSQL) or
/// beside itself (SQLite).
///
/// # Errors
/// As [`open`], and when the copy cannot be written: then nothing was changed.
pub async fn migrate(url: &str, clock: &Clock, copies: &Path) -> Result<Arc<dyn Store>> {
    match address(url)? {
        Address::Sqlite(path) => Ok(Arc::new(Sqlite::open(Path::new(path), clock)?)),
        Address::Postgres(url) => Ok(Arc::new(Postgres::migrate(url, clock, copies).await?)),
    }
}

enum Address<'a> {
    Sqlite(&'a str),
    Postgres(&'a str),
}

/// Never says the address: it may hold a password.
fn address(url: &str) -> Result<Address<'_>> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() && !path.starts_with("//") => Ok(Address::Sqlite(path)),
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Address::Postgres(url)),
        _ => Err(Error::Config {
            place: "storage.database".into(),
            problem: "is neither sqlite:PATH nor postgres://…".into(),
            hint: "write sqlite:/var/lib/aegis-server/aegis.db or postgres://USER@HOST/NAME".into(),
        }),
    }
}

/// PostgreSQL takes no NUL in a text; what one back end refuses, both do.
fn acceptable(doing: &'static str, batch: &[Statement]) -> Result<()> {
    let nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    if batch.iter().any(|statement| statement.values.iter().any(nul)) {
        return Err(Error::Database { doing, source: "a text holds a NUL".into() });
    }
    Ok(())
}

/// A future of the store.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A value of a parameter or a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number; a truth is 0 or 1, a time is in seconds since 1970.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Blob(value.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One statement with its parameters, and how many rows it must touch for the batch to hold.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The SQL.
    pub sql: &'static str,
    /// `$1`…
    pub values: Vec<Value>,
    /// Rows changed or returned that the batch depends on.
    pub expected: Option<usize>,
}

impl Statement {
    /// A statement without a condition.
    pub fn new<const N: usize>(sql: &'static str, values: [Value; N]) -> Self {
        Self { sql, values: values.into(), expected: None }
    }

    /// The batch holds only when exactly so many rows are changed or returned.
    #[must_use]
    pub const fn expecting(mut self, rows: usize) -> Self {
        self.expected = Some(rows);
        self
    }
}

/// A row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// The number in a column, counted from 0.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn int(&self, column: usize) -> Result<i64> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            other => Err(wrong(column, "number", other)),
        }
    }

    /// The text in a column.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn text(&self, column: usize) -> Result<&str> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value),
            other => Err(wrong(column, "text", other)),
        }
    }

    /// The bytes in a column.
    ///
    /// # Errors
    /// When it holds something else.
    pub fn blob(&self, column: usize) -> Result<&[u8]> {
        match self.0.get(column) {
            Some(Value::Blob(value)) => Ok(value),
            other => Err(wrong(column, "bytes", other)),
        }
    }

    /// Whether a column holds nothing.
    pub fn is_null(&self, column: usize) -> bool {
        matches!(self.0.get(column), None | Some(Value::Null))
    }
}

fn wrong(column: usize, expected: &'static str, found: Option<&Value>) -> Error {
    let found = match found {
        None => "no column",
        Some(Value::Null) => "nothing",
        Some(Value::Int(_)) => "a number",
        Some(Value::Text(_)) => "a text",
        Some(Value::Blob(_)) => "bytes",
    };
    Error::Corrupt {
        what: format!("column {column} of the database"),
        problem: format!("holds {found}, expected {expected}"),
    }
}

/// What a statement of a batch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that it changed or returned.
    pub rows: usize,
    /// What it returned.
    pub returned: Vec<Row>,
}

/// A database.
pub trait Store: Send + Sync {
    /// Reads, without waiting for writers.
    fn read(&self, statement: Statement) -> Later<'_, Vec<Row>>;

    /// Does all statements in order in one transaction, or none. When it returns, they are on the disk.
    ///
    /// Fails with [`Error::Condition`] when a statement touched another number of rows than it expects.
    fn write(&self, batch: Vec<Statement>) -> Later<'_, Vec<Outcome>>;

    /// Writes a copy of a moment to a new file.
    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()>;

    /// What it is, for people.
    fn kind(&self) -> &'static str;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_other_address_is_refused_and_not_repeated() {
        let bad = [
            "",
            "aegis.db",
            "sqlite:",
            "sqlite://x",
            "mysql://u:secret@h/d",
            "postgres:x",
            "Postgres://h",
            "file:x",
        ];
        for url in bad {
            let Err(error) = address(url) else { panic!("{url} was taken") };
            let text = aegis_core::report::render(&error);
            assert!(matches!(error, Error::Config { .. }) && !text.contains("secret"), "{text}");
        }
        assert!(matches!(address("sqlite:a:b.db"), Ok(Address::Sqlite("a:b.db"))));
        assert!(matches!(address("postgresql://h/d"), Ok(Address::Postgres(_))));
    }
}
