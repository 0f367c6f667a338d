//! A database whose acts are timed.

use std::{path::Path, sync::Arc, time::Instant};

use super::Metrics;
use crate::store::{Later, Outcome, Row, Statement, Store};

/// Passes everything on and counts how long it took.
pub struct Timed {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl Timed {
    /// Counts the acts of `store`.
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    fn timed<'a, T: 'a>(&'a self, operation: &'static str, act: Later<'a, T>) -> Later<'a, T> {
        let began = Instant::now();
        Box::pin(async move {
            let result = act.await;
            self.metrics.database(operation, began.elapsed());
            result
        })
    }
}

impl Store for Timed {
    fn read(&self, statement: Statement) -> Later<'_, Vec<Row>> {
        self.timed("read", self.store.read(statement))
    }

    fn write(&self, batch: Vec<Statement>) -> Later<'_, Vec<Outcome>> {
        self.timed("write", self.store.write(batch))
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()> {
        self.timed("backup", self.store.backup(to))
    }

    fn kind(&self) -> &'static str {
        self.store.kind()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, store::Sqlite};

    #[tokio::test]
    async fn acts_are_counted_by_kind_whether_they_succeed_or_not() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Sqlite::open(&directory.path().join("aegis.db"), &Clock::default()).unwrap();
        let metrics = Arc::new(Metrics::new());
        let store = Timed::new(Arc::new(store), Arc::clone(&metrics));
        assert_eq!(store.read(Statement::new("SELECT 1", [])).await.unwrap()[0].int(0).unwrap(), 1);
        assert!(store.read(Statement::new("nonsense", [])).await.is_err());
        store.write(vec![Statement::new("DELETE FROM limits", [])]).await.unwrap();
        let text = metrics.text();
        assert!(text.contains("aegis_database_duration_seconds_count{operation=\"read\"} 2"), "{text}");
        assert!(text.contains("aegis_database_duration_seconds_count{operation=\"write\"} 1"), "{text}");
    }
}
