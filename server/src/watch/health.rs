//! Whether the process lives, and whether it should be sent requests.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aegis_core::report;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use nix::sys::statvfs::statvfs;
use serde::Serialize;
use tokio::sync::Mutex;

use super::Metrics;
use crate::{
    Clock,
    audit::Log,
    downloads::Blobs,
    store::{Statement, Store},
};

/// How long the database may take to write, and a bucket to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Seconds that clocks of several machines may differ.
const DRIFT: i64 = 5;
/// Of so many parts of the disk, one must be free.
const PARTS: u64 = 20;

/// What is asked before the service says that it is ready.
pub struct Readiness {
    store: Arc<dyn Store>,
    log: Arc<Log<dyn Store>>,
    clock: Clock,
    directory: PathBuf,
    blobs: Option<Blobs>,
    metrics: Arc<Metrics>,
    draining: AtomicBool,
    /// What was found, and at which second; asked again in another one.
    last: Mutex<Option<(i64, Report)>>,
}

/// What was found; true is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Report {
    ready: bool,
    /// A row was written.
    database: bool,
    /// More than 5 % is free.
    disk: bool,
    /// The folder or bucket of files for download can be read.
    blobs: bool,
    /// The clock is not before the latest entry of the audit log.
    clock: bool,
    /// The service was not told to end.
    serving: bool,
}

impl Readiness {
    /// Asks `store` and `log`, and the file system of `directory`, where the data are.
    pub fn new(
        store: Arc<dyn Store>,
        log: Arc<Log<dyn Store>>,
        clock: Clock,
        directory: PathBuf,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (draining, last) = (AtomicBool::new(false), Mutex::new(None));
        Self { store, log, clock, directory, blobs: None, metrics, draining, last }
    }

    /// Asks these files for download too.
    #[must_use]
    pub fn with_blobs(self, blobs: Blobs) -> Self {
        Self { blobs: Some(blobs), ..self }
    }

    /// Says from now on that the service is not ready, so that nothing new is sent while it ends.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        let found = match *last {
            Some((second, report)) if second == now => report,
            _ => self.ask(now).await,
        };
        *last = Some((now, found));
        // Not a matter of a second.
        let serving = !self.draining.load(Ordering::Relaxed);
        let report = Report { serving, ready: found.ready && serving, ..found };
        self.metrics.ready(report.ready);
        report
    }

    async fn ask(&self, now: i64) -> Report {
        let database = matches!(tokio::time::timeout(PATIENCE, self.probe(now)).await, Ok(Ok(())));
        let clock = match tokio::time::timeout(PATIENCE, self.log.head()).await {
            Ok(Ok(head)) => {
                self.metrics.audit_entries(head.size);
                head.written_at.is_none_or(|time| time <= now.saturating_add(DRIFT))
            }
            // That the log cannot be read says nothing of the clock; the database has failed too.
            _ => true,
        };
        let (disk, blobs) = (self.has_room(), self.has_blobs().await);
        let ready = database && disk && clock && blobs;
        Report { ready, database, disk, blobs, clock, serving: true }
    }

    async fn has_blobs(&self) -> bool {
        let Some(blobs) = &self.blobs else { return true };
        match tokio::time::timeout(PATIENCE, blobs.probe()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(error = report::render(&error), "files for download cannot be read");
                false
            }
            Err(_elapsed) => false,
        }
    }

    async fn probe(&self, now: i64) -> crate::Result<()> {
        let sql = "INSERT INTO probe (place, written_at) VALUES (0, $1) \
                   ON CONFLICT (place) DO UPDATE SET written_at = $2";
        self.store.write(vec![Statement::new(sql, [now.into(), now.into()]).expecting(1)]).await.map(|_| ())
    }

    fn has_room(&self) -> bool {
        statvfs(&self.directory).is_ok_and(|found| enough(found.blocks_available(), found.blocks()))
    }
}

/// Whether more than one part in [`PARTS`] is free. A file system that counts nothing, such as some in memory, has room.
fn enough(free: u64, all: u64) -> bool {
    all == 0 || u128::from(free) * u128::from(PARTS) > u128::from(all)
}

/// `GET /healthz`, which asks nothing, and `GET /readyz`, for a listener that the public does not reach.
pub fn health(readiness: Arc<Readiness>) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(readiness)
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> Response {
    let report = readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use crate::{
        audit::{Entry, Signer},
        store::Sqlite,
    };

    struct Bench {
        directory: tempfile::TempDir,
        store: Arc<dyn Store>,
        clock: Clock,
        readiness: Arc<Readiness>,
    }

    fn bench(data: Option<&str>) -> Bench {
        let directory = tempfile::TempDir::new().unwrap();
        let clock = Clock::default();
        let store: Arc<dyn Store> =
            Arc::new(Sqlite::open(&directory.path().join("aegis.db"), &clock).unwrap());
        let signer = Signer::new("test.example/audit", &Signer::generate().unwrap()).unwrap();
        let log = Arc::new(Log::new(Arc::clone(&store), signer));
        let data = data.map_or(directory.path().to_owned(), PathBuf::from);
        let metrics = Arc::new(Metrics::new());
        let readiness = Readiness::new(Arc::clone(&store), log, clock.clone(), data, metrics);
        Bench { directory, store, clock, readiness: Arc::new(readiness) }
    }

    impl Bench {
        async fn ask(&self, path: &str) -> (u16, Value) {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = health(Arc::clone(&self.readiness)).oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        }
    }

    fn report(status: u16, wrong: &[&str]) -> (u16, Value) {
        let good = |name| !wrong.contains(&name);
        let value = json!({
            "ready": wrong.is_empty(), "database": good("database"), "disk": good("disk"),
            "blobs": good("blobs"),
            "clock": good("clock"), "serving": good("serving"),
        });
        (status, value)
    }

    #[tokio::test]
    async fn each_fault_is_named_and_life_depends_on_none() {
        let bench = bench(None);
        assert_eq!(bench.ask("/readyz").await, report(200, &[]));
        let entry = Entry::new(bench.clock.now(), "system", "test.act", "test");
        bench.readiness.log.append(&[entry]).await.unwrap();
        bench.clock.advance(-3600);
        assert_eq!(bench.ask("/readyz").await, report(503, &["clock"]));
        assert!(bench.readiness.metrics.text().contains("aegis_ready 0\n"));
        bench.clock.advance(3700);
        assert_eq!(bench.ask("/readyz").await, report(200, &[]));
        assert!(bench.readiness.metrics.text().contains("aegis_audit_entries 1\n"));

        bench.store.write(vec![Statement::new("DROP TABLE probe", [])]).await.unwrap();
        bench.clock.advance(1);
        assert_eq!(bench.ask("/readyz").await, report(503, &["database"]));
        bench.readiness.drain();
        assert_eq!(bench.ask("/readyz").await, report(503, &["database", "serving"]));
        assert_eq!(bench.ask("/healthz").await.0, 200);
        assert_eq!(bench.ask("/").await.0, 404);
        assert!(bench.directory.path().exists());
    }

    #[tokio::test]
    async fn a_disk_that_is_not_there_or_full_is_a_fault() {
        let bench = bench(Some("/nothing/of/this/name"));
        assert_eq!(bench.ask("/readyz").await, report(503, &["disk"]));
        assert!(!enough(0, 100) && !enough(5, 100) && enough(6, 100));
        assert!(enough(0, 0) && enough(u64::MAX, u64::MAX));
    }

    #[tokio::test]
    async fn a_folder_of_files_that_is_gone_is_a_fault() {
        let bench = bench(None);
        let folder = bench.directory.path().join("blobs");
        let blobs = Blobs::in_folder(&folder).unwrap();
        let readiness = Arc::into_inner(bench.readiness).unwrap().with_blobs(blobs);
        let bench = Bench { readiness: Arc::new(readiness), ..bench };
        assert_eq!(bench.ask("/readyz").await, report(200, &[]));
        std::fs::remove_dir_all(&folder).unwrap();
        bench.clock.advance(1);
        assert_eq!(bench.ask("/readyz").await, report(503, &["blobs"]));
    }

    #[tokio::test]
    async fn a_flood_of_questions_is_one_write_a_second() {
        let bench = bench(None);
        let metrics = Arc::new(Metrics::new());
        let timed: Arc<dyn Store> =
            Arc::new(super::super::Timed::new(Arc::clone(&bench.store), Arc::clone(&metrics)));
        let readiness = Readiness { store: timed, ..Arc::into_inner(bench.readiness).unwrap() };
        for _ in 0..200 {
            assert!(readiness.report().await.ready);
        }
        let text = metrics.text();
        let count = text.lines().find_map(|line| {
            line.strip_prefix("aegis_database_duration_seconds_count{operation=\"write\"} ")
        });
        assert!(count.unwrap().parse::<u32>().unwrap() < 20, "{text}");
    }
}
