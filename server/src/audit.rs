//! The audit log: an append-only Merkle tree (RFC 6962) whose checkpoints are signed (C2SP), in the database.
//!
//! Invariant: an entry, its place and the signed checkpoint of the log with it are written in one batch that depends on
//! the size and the edge of the tree before, so that two processes on one database never give a place twice.
//!
//! Whoever can change the database but has no key can change nothing unnoticed; whoever has the key too can write another
//! history, which a checkpoint that was kept elsewhere shows.

mod checkpoint;
mod entry;
mod examine;
mod file;
mod note;
pub mod proof;
pub mod tree;

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::{
    Error, Result,
    store::{Outcome, Row, Statement, Store},
};

pub use checkpoint::Checkpoint;
pub use entry::{Detail, Entry};
pub use examine::Verdict;
pub use file::{export, verify, verify_file};
pub use note::{Signer, Verifier};
use tree::{Edge, Hash};

/// How often an append is tried when other processes append too.
const TRIES: usize = 64;

/// The log of one database.
#[derive(Debug)]
pub struct Log<S: ?Sized> {
    signer: Signer,
    /// Appends of one process wait for each other here. What the log is now is read each time: who believed the last append
    /// to be its own would be faster than all others, and they would never get a place.
    turn: Mutex<()>,
    store: Arc<S>,
}

/// Where the log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// The time of the latest entry, seconds since 1970; `None` when there is none.
    pub written_at: Option<i64>,
}

impl<S: Store + ?Sized> Log<S> {
    /// The log in `store`, whose checkpoints `signer` signs.
    pub fn new(store: Arc<S>, signer: Signer) -> Self {
        Self { signer, turn: Mutex::new(()), store }
    }

    /// The key that checks the checkpoints; for publication.
    pub const fn verifier(&self) -> &Verifier {
        self.signer.verifier()
    }

    /// Appends entries in their order.
    ///
    /// # Errors
    /// When the database does not take them, or other processes append without pause.
    pub async fn append(&self, entries: &[Entry]) -> Result<Checkpoint> {
        self.append_with(Vec::new(), entries).await.map(|(_, checkpoint)| checkpoint)
    }

    /// Does a batch and appends the entries that tell of it: all of it or nothing. The outcomes are those of the batch.
    ///
    /// # Errors
    /// As [`Log::append`], and [`Error::Condition`] when a statement of the batch does not hold.
    pub async fn append_with(
        &self,
        batch: Vec<Statement>,
        entries: &[Entry],
    ) -> Result<(Vec<Outcome>, Checkpoint)> {
        let _turn = self.turn.lock().await;
        for _ in 0..TRIES {
            let before = stored_edge(self.store.as_ref()).await?;
            let plan = plan(&before, entries, &self.signer);
            let statements = [batch.as_slice(), &plan.statements].concat();
            match self.store.write(statements).await {
                Ok(mut outcomes) => {
                    outcomes.truncate(batch.len());
                    return Ok((outcomes, plan.checkpoint));
                }
                Err(Error::Condition(number)) if number >= batch.len() => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Busy("writers of the audit log"))
    }

    /// Where the log stands.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn head(&self) -> Result<Head> {
        let sql = "SELECT size, written_at FROM audit_head WHERE log = 0";
        let rows = self.store.read(Statement::new(sql, [])).await?;
        let Some(row) = rows.first() else { return Ok(Head { size: 0, written_at: None }) };
        Ok(Head { size: unsigned(row.int(0)?)?, written_at: Some(row.int(1)?) })
    }

    /// The latest signed checkpoint; `None` before the first entry.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn checkpoint(&self) -> Result<Option<String>> {
        let sql = "SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1";
        let rows = self.store.read(Statement::new(sql, [])).await?;
        rows.first().map(|row| row.text(0).map(str::to_owned)).transpose()
    }

    /// The proof that an entry is in the log of the first `size` entries; `None` when it is not.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn inclusion(&self, position: u64, size: u64) -> Result<Option<Vec<Hash>>> {
        let leaves = self.leaves(size).await?;
        Ok(leaves.and_then(|leaves| proof::inclusion(&leaves, usize::try_from(position).ok()?)))
    }

    /// The proof that the log of the first `size` entries continues that of the first `earlier`; `None` when there are not
    /// so many.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn consistency(&self, earlier: u64, size: u64) -> Result<Option<Vec<Hash>>> {
        let leaves = self.leaves(size).await?;
        Ok(leaves.and_then(|leaves| proof::consistency(&leaves, usize::try_from(earlier).ok()?)))
    }

    async fn leaves(&self, size: u64) -> Result<Option<Vec<Hash>>> {
        let sql = "SELECT leaf FROM audit_entries WHERE position < $1 ORDER BY position";
        let rows = self.store.read(Statement::new(sql, [signed(size)?.into()])).await?;
        let leaves = rows.iter().map(|row| hash(row, 0)).collect::<Result<Vec<_>>>()?;
        Ok((leaves.len() as u64 == size).then_some(leaves))
    }
}

/// What an append writes.
struct Plan {
    statements: Vec<Statement>,
    checkpoint: Checkpoint,
}

fn plan(before: &Edge, entries: &[Entry], signer: &Signer) -> Plan {
    let mut after = before.clone();
    let mut statements = Vec::with_capacity(entries.len() + 2);
    for entry in entries {
        let (json, position) = (entry.to_json(), after.size());
        let leaf = tree::leaf(json.as_bytes());
        let sql = "INSERT INTO audit_entries (position, leaf, entry) VALUES ($1, $2, $3)";
        statements.push(Statement::new(sql, [column(position), leaf.into(), json.into()]).expecting(1));
        after.push(leaf);
    }
    let checkpoint =
        Checkpoint { origin: signer.verifier().name().to_owned(), size: after.size(), root: after.root() };
    if let Some(last) = entries.last() {
        // First, so that a loser stops here and not at a place that is taken.
        statements.insert(0, move_head(before, &after, last.time()));
        let sql = "INSERT INTO audit_checkpoints (size, note) VALUES ($1, $2)";
        let values = [column(after.size()), checkpoint.sign(signer).into()];
        statements.push(Statement::new(sql, values).expecting(1));
    }
    Plan { statements, checkpoint }
}

fn move_head(before: &Edge, after: &Edge, time: i64) -> Statement {
    let new = [column(after.size()), after.to_bytes().into(), time.into()];
    let statement = if before.size() == 0 {
        let sql = "INSERT INTO audit_head (log, size, edge, written_at) VALUES (0, $1, $2, $3) \
                   ON CONFLICT (log) DO NOTHING";
        Statement::new(sql, new)
    } else {
        let sql = "UPDATE audit_head SET size = $1, edge = $2, written_at = $3 \
                   WHERE log = 0 AND size = $4 AND edge = $5";
        let [size, edge, time] = new;
        Statement::new(sql, [size, edge, time, column(before.size()), before.to_bytes().into()])
    };
    statement.expecting(1)
}

async fn stored_edge<S: Store + ?Sized>(store: &S) -> Result<Edge> {
    let sql = "SELECT size, edge FROM audit_head WHERE log = 0";
    let rows = store.read(Statement::new(sql, [])).await?;
    let Some(row) = rows.first() else { return Ok(Edge::default()) };
    Edge::from_bytes(unsigned(row.int(0)?)?, row.blob(1)?)
        .ok_or_else(|| corrupt("its size is not that of its edge"))
}

/// A size as a value; one that does not fit meets the condition of the statement, which then fails.
fn column(size: u64) -> crate::store::Value {
    i64::try_from(size).unwrap_or(i64::MAX).into()
}

fn signed(size: u64) -> Result<i64> {
    i64::try_from(size).map_err(|_overflow| corrupt("has no such size"))
}

fn unsigned(size: i64) -> Result<u64> {
    u64::try_from(size).map_err(|_negative| corrupt("has a negative size"))
}

fn hash(row: &Row, number: usize) -> Result<Hash> {
    row.blob(number)?.try_into().map_err(|_length| corrupt("holds a hash of another length"))
}

fn corrupt(problem: &str) -> Error {
    Error::Corrupt { what: "the audit log".into(), problem: problem.into() }
}
