//! The one thread that writes.
//!
//! Invariant: a batch is answered with success after the commit that holds it, and with failure only when nothing of it
//! is stored.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Connection, ErrorCode, params_from_iter};
use tokio::sync::{mpsc, oneshot};

use super::{dialect, fault, rows_of};
use crate::{
    Error, Result,
    store::{Outcome, Statement},
};

/// Batches of one commit.
const GROUP: usize = 64;

/// A batch, and whom to tell.
pub(super) struct Job {
    pub(super) batch: Vec<Statement>,
    pub(super) done: oneshot::Sender<Result<Vec<Outcome>>>,
}

/// Writes what comes, until nobody can send any more.
pub(super) fn write_until_closed(connection: &Connection, jobs: mpsc::Receiver<Job>) {
    serve(connection, jobs, write_group);
}

fn serve(connection: &Connection, mut jobs: mpsc::Receiver<Job>, write: impl Fn(&Connection, Vec<Job>)) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        // Whoever waits hears of a panic by the closed channel; the next group is not theirs to lose.
        let written = catch_unwind(AssertUnwindSafe(|| write(connection, group)));
        if written.is_err() {
            tracing::error!("writing to the database panicked; the group was rolled back");
            abandon(connection);
        }
    }
}

/// Runs the batches in one transaction. When the transaction as a whole fails, each has its own: one that does not fit
/// the disk takes no other with it.
fn write_group(connection: &Connection, group: Vec<Job>) {
    let batches: Vec<_> = group.iter().map(|job| job.batch.as_slice()).collect();
    let results = match commit(connection, &batches) {
        Ok(results) => results,
        Err(_) if batches.len() > 1 => batches
            .iter()
            .map(|batch| commit(connection, &[batch])?.pop().unwrap_or_else(|| Err(lost())))
            .collect(),
        Err(error) => vec![Err(error)],
    };
    for (job, result) in group.into_iter().zip(results) {
        let _ = job.done.send(result);
    }
}

/// The results of the batches, all stored now as far as they are good; or an error, and none of them is stored.
fn commit(connection: &Connection, batches: &[&[Statement]]) -> Result<Vec<Result<Vec<Outcome>>>> {
    let run = |sql| connection.execute_batch(sql).map_err(fault("writing"));
    let work = || {
        run("BEGIN IMMEDIATE")?;
        let mut results = Vec::with_capacity(batches.len());
        for batch in batches {
            let result = write_batch(connection, batch);
            // A full disk or a failed read ends the whole transaction; what would follow would commit by itself.
            if connection.is_autocommit() {
                return Err(result.err().unwrap_or_else(lost));
            }
            results.push(result);
        }
        run("COMMIT")?;
        Ok(results)
    };
    let done: Result<_> = work();
    if done.is_err() {
        abandon(connection);
    }
    done
}

/// The outcomes of one batch within a transaction, or its error and a transaction without it.
fn write_batch(connection: &Connection, batch: &[Statement]) -> Result<Vec<Outcome>> {
    let run = |sql| connection.execute_batch(sql).map_err(fault("writing"));
    run("SAVEPOINT batch")?;
    let results: Result<Vec<_>> =
        batch.iter().enumerate().map(|(number, one)| write_one(connection, number, one)).collect();
    if connection.is_autocommit() {
        return Err(results.err().unwrap_or_else(lost));
    }
    if results.is_err() {
        run("ROLLBACK TO batch")?;
    }
    run("RELEASE batch")?;
    results
}

fn write_one(connection: &Connection, number: usize, statement: &Statement) -> Result<Outcome> {
    let outcome = run_one(connection, statement).map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Error::Condition(number),
        _ => fault("writing")(error),
    })?;
    match statement.expected {
        Some(expected) if expected != outcome.rows => Err(Error::Condition(number)),
        _ => Ok(outcome),
    }
}

fn run_one(connection: &Connection, statement: &Statement) -> rusqlite::Result<Outcome> {
    let mut query = connection.prepare_cached(&dialect(statement.sql))?;
    if query.column_count() == 0 {
        let rows = query.execute(params_from_iter(&statement.values))?;
        return Ok(Outcome { rows, returned: Vec::new() });
    }
    drop(query);
    let returned = rows_of(connection, statement)?;
    Ok(Outcome { rows: returned.len(), returned })
}

fn abandon(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "rolling back");
    }
}

fn lost() -> Error {
    Error::Database { doing: "writing", source: "the transaction was rolled back".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: &str = "INSERT INTO t VALUES ($1, $2)";

    fn database() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("db")).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (id BIGINT PRIMARY KEY, b BLOB)")
            .unwrap();
        (folder, connection)
    }

    fn job(batch: Vec<Statement>) -> (Job, oneshot::Receiver<Result<Vec<Outcome>>>) {
        let (done, result) = oneshot::channel();
        (Job { batch, done }, result)
    }

    fn put(id: i64, size: usize) -> Vec<Statement> {
        vec![Statement::new(PUT, [id.into(), vec![7_u8; size].into()])]
    }

    fn ids(connection: &Connection) -> Vec<i64> {
        let mut query = connection.prepare("SELECT id FROM t ORDER BY id").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
    }

    #[test]
    fn a_failed_batch_leaves_the_others_of_its_group() {
        let (_folder, connection) = database();
        let both = [put(3, 1), put(1, 1)].concat();
        let (jobs, results): (Vec<_>, Vec<_>) = [put(1, 1), both, put(2, 1)].map(job).into_iter().unzip();
        write_group(&connection, jobs);
        let results: Vec<_> = results.into_iter().map(|result| result.blocking_recv().unwrap()).collect();
        assert!(results[0].is_ok() && results[2].is_ok());
        assert!(matches!(results[1], Err(Error::Condition(1))), "{:?}", results[1]);
        assert_eq!(ids(&connection), [1, 2]);
    }

    #[test]
    fn a_batch_that_does_not_fit_takes_no_other_with_it_and_is_not_stored() {
        let (_folder, connection) = database();
        connection.pragma_update(None, "max_page_count", 40).unwrap();
        let batches = [put(1, 10), put(2, 10_000_000), put(3, 10)];
        let (jobs, results): (Vec<_>, Vec<_>) = batches.map(job).into_iter().unzip();
        write_group(&connection, jobs);
        let good: Vec<_> =
            results.into_iter().map(|result| result.blocking_recv().unwrap().is_ok()).collect();
        assert_eq!(good, [true, false, true]);
        assert_eq!(ids(&connection), [1, 3]);
        assert!(connection.is_autocommit());
    }

    #[test]
    fn a_transaction_that_was_rolled_back_underneath_answers_nobody_with_success_that_is_not_stored() {
        let (_folder, connection) = database();
        // As SQLite does by itself when a disk fails: everything before is gone, what follows would commit alone.
        let lost = vec![Statement::new("INSERT OR ROLLBACK INTO t VALUES ($1, $1)", [1.into()])];
        let (jobs, results): (Vec<_>, Vec<_>) = [put(1, 1), lost, put(2, 1)].map(job).into_iter().unzip();
        write_group(&connection, jobs);
        let good: Vec<_> =
            results.into_iter().map(|result| result.blocking_recv().unwrap().is_ok()).collect();
        assert_eq!(good, [true, false, true]);
        assert_eq!(ids(&connection), [1, 2]);
    }

    #[test]
    fn a_panic_costs_its_group_and_not_the_thread() {
        let (_folder, connection) = database();
        let (sender, jobs) = mpsc::channel(2);
        let faulty = |connection: &Connection, group: Vec<Job>| {
            if group[0].batch.len() == 2 {
                connection.execute_batch("BEGIN; INSERT INTO t VALUES (1, x'00')").unwrap();
                panic!("as a fault of ours would");
            }
            write_group(connection, group);
        };
        let tell = std::thread::spawn(move || {
            let (bad, heard) = job([put(1, 1), put(2, 1)].concat());
            sender.blocking_send(bad).map_err(drop).unwrap();
            assert!(heard.blocking_recv().is_err(), "nobody answers for a panic");
            let (good, heard) = job(put(3, 1));
            sender.blocking_send(good).map_err(drop).unwrap();
            heard.blocking_recv().unwrap().unwrap();
        });
        serve(&connection, jobs, faulty);
        tell.join().unwrap();
        assert_eq!(ids(&connection), [3]);
    }
}
