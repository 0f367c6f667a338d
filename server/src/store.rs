//! The database: statements as data, batches that hold or do not, one interface over SQLite and PostgreSQL.
//!
//! SQL is written once, in what both understand: parameters `$1`…, `BIGINT`, `TEXT`, `BLOB` (which becomes `BYTEA`),
//! `INSERT … ON CONFLICT`, `RETURNING`. A limit is kept by one conditional statement, never by reading and then writing.

mod migrate;
mod sqlite;

use std::{future::Future, path::Path, pin::Pin};

use crate::{Error, Result};

pub use migrate::{MIGRATIONS, Migration};
pub use sqlite::Sqlite;

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
