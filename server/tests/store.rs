//! The store: one suite on SQLite and on a real PostgreSQL, then what each has alone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/both.rs"]
mod both;
#[path = "support/postgres.rs"]
mod server;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{FileExt, PermissionsExt},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use aegis_server::{
    Clock, Error,
    store::{self, Statement, Store, Value},
};
use both::{Place, on_both, run};

/// The file of an embedded database.
fn file(place: &Place) -> PathBuf {
    place.folder.path().join("db")
}

async fn try_open(place: &Place) -> aegis_server::Result<Arc<dyn Store>> {
    store::open(&place.url, &Clock::default()).await
}

/// Opened, with an empty table.
async fn with_table(place: &Place) -> Arc<dyn Store> {
    let store = place.open().await;
    let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT, s TEXT, b BYTEA)";
    store.write(vec![Statement::new(table, [])]).await.unwrap();
    store
}

on_both! {
    a_batch_holds_or_does_not
    conditions_name_their_statement
    a_hundred_writers_at_a_limit_of_three
    a_hundred_writers_that_count_before_they_insert
    values_come_back_as_they_went
    numbers_of_any_expression_are_taken
    readers_see_whole_batches_beside_writers
    a_read_that_writes_is_refused
    nobody_who_goes_away_leaves_a_lock
    a_newer_or_changed_history_is_refused
    answered_writes_survive_kill
    a_copy_opens_and_is_whole
}

const PUT: &str = "INSERT INTO t (id, n) VALUES ($1, $2)";

fn put(id: i64, n: i64) -> Statement {
    Statement::new(PUT, [id.into(), n.into()])
}

async fn numbers(store: &dyn Store, sql: &'static str) -> Vec<i64> {
    let rows = store.read(Statement::new(sql, [])).await.unwrap();
    rows.iter().map(|row| row.int(0).unwrap()).collect()
}

async fn a_batch_holds_or_does_not(place: Place) {
    let store = with_table(&place).await;
    store.write(vec![put(1, 1), put(2, 2)]).await.unwrap();
    let failed = store.write(vec![put(3, 3), put(1, 1), put(4, 4)]).await;
    assert!(matches!(failed, Err(Error::Condition(1))), "{failed:?}");
    let wrong = store.write(vec![put(5, 5), Statement::new("INSERT INTO nowhere VALUES (1)", [])]).await;
    assert!(matches!(wrong, Err(Error::Database { .. })), "{wrong:?}");
    assert_eq!(numbers(&*store, "SELECT id FROM t ORDER BY id").await, [1, 2]);
    assert!(store.write(Vec::new()).await.unwrap().is_empty());
}

async fn conditions_name_their_statement(place: Place) {
    let store = with_table(&place).await;
    store.write(vec![put(1, 1)]).await.unwrap();
    let change = |id: i64| Statement::new("UPDATE t SET n = n + 1 WHERE id = $1", [id.into()]);
    let missed = store.write(vec![change(1).expecting(1), change(2).expecting(1)]).await;
    assert!(matches!(missed, Err(Error::Condition(1))), "{missed:?}");
    let read = Statement::new("SELECT n FROM t WHERE n > $1", [5.into()]);
    assert!(matches!(store.write(vec![read.expecting(1)]).await, Err(Error::Condition(0))));
    let returning =
        Statement::new("UPDATE t SET n = n + 1 WHERE id = $1 RETURNING n, s", [1.into()]).expecting(1);
    let outcomes = store.write(vec![returning, change(2).expecting(0)]).await.unwrap();
    assert_eq!((outcomes[0].returned[0].int(0).unwrap(), outcomes[0].rows, outcomes[1].rows), (2, 1, 0));
    assert!(outcomes[0].returned[0].is_null(1) && outcomes[0].returned[0].int(1).is_err());
    let none = Statement::new("INSERT INTO t (id, n) VALUES ($1, 9) ON CONFLICT (id) DO NOTHING", [1.into()]);
    assert_eq!(store.write(vec![none]).await.unwrap()[0].rows, 0);
}

async fn all_at_once(store: &Arc<dyn Store>, one: impl Fn(i64) -> Vec<Statement>) -> usize {
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let (store, batch) = (Arc::clone(store), one(number));
            tokio::spawn(async move { store.write(batch).await })
        })
        .collect();
    let mut held = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => held += 1,
            Err(Error::Condition(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    held
}

async fn a_hundred_writers_at_a_limit_of_three(place: Place) {
    let store = with_table(&place).await;
    store.write(vec![put(0, 0)]).await.unwrap();
    let take = "UPDATE t SET n = n + 1 WHERE id = 0 AND n < 3";
    let held =
        all_at_once(&store, |number| vec![Statement::new(take, []).expecting(1), put(number + 1, 1)]).await;
    assert_eq!(held, 3);
    assert_eq!(numbers(&*store, "SELECT n FROM t WHERE id = 0").await, [3]);
    assert_eq!(numbers(&*store, "SELECT count(*) FROM t").await, [4]);
}

async fn a_hundred_writers_that_count_before_they_insert(place: Place) {
    let store = with_table(&place).await;
    let take = "INSERT INTO t (id, n) SELECT $1, 1 WHERE (SELECT count(*) FROM t) < 3";
    assert_eq!(
        all_at_once(&store, |number| vec![Statement::new(take, [number.into()]).expecting(1)]).await,
        3
    );
    assert_eq!(numbers(&*store, "SELECT count(*) FROM t").await, [3]);
}

async fn values_come_back_as_they_went(place: Place) {
    let store = with_table(&place).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let texts = ["", "ä ß Ω 漢字 👩‍💻 \u{202e}abc\r\n\t'\"\\;--$1?1", "e\u{301}", "é"];
    for (id, (n, text, bytes)) in [
        (i64::MIN, texts[0], Vec::new()),
        (i64::MAX, texts[1], every_byte),
        (0, texts[2], vec![0; 70_000]),
        (-1, texts[3], vec![0xFF, 0, 0xFF]),
    ]
    .into_iter()
    .enumerate()
    {
        let values = [Value::Int(i64::try_from(id).unwrap()), n.into(), text.into(), bytes.into()];
        let insert = Statement::new("INSERT INTO t VALUES ($1, $2, $3, $4)", values.clone());
        store.write(vec![insert]).await.unwrap();
        let found =
            store.read(Statement::new("SELECT id, n, s, b FROM t WHERE id = $1", [values[0].clone()])).await;
        assert_eq!(found.unwrap()[0].0, values);
    }
    let nothing =
        Statement::new("INSERT INTO t VALUES (9, $1, $2, $3)", [Value::Null, Value::Null, Value::Null]);
    store.write(vec![nothing]).await.unwrap();
    let found = store.read(Statement::new("SELECT n, s, b FROM t WHERE id = 9", [])).await.unwrap();
    assert_eq!(found[0].0, [Value::Null, Value::Null, Value::Null]);
    let nul = Statement::new("INSERT INTO t (id, s) VALUES (10, $1)", ["a\0b".into()]);
    assert!(matches!(store.write(vec![nul]).await, Err(Error::Database { .. })));
    let nul = Statement::new("SELECT id FROM t WHERE s = $1", ["\0".into()]);
    assert!(matches!(store.read(nul).await, Err(Error::Database { .. })));
}

async fn numbers_of_any_expression_are_taken(place: Place) {
    let store = with_table(&place).await;
    store.write(vec![put(1, 1), put(2, 2), put(3, 3)]).await.unwrap();
    let some = Statement::new("SELECT id FROM t WHERE n + 1 > $1 ORDER BY id LIMIT $2", [2.into(), 1.into()]);
    assert_eq!(store.read(some).await.unwrap()[0].int(0).unwrap(), 2);
    assert_eq!(numbers(&*store, "SELECT 1").await, [1]);
    assert_eq!(numbers(&*store, "SELECT EXISTS (SELECT 1 FROM t WHERE id = 1)").await, [1]);
}

async fn readers_see_whole_batches_beside_writers(place: Place) {
    let store = with_table(&place).await;
    store.write(vec![put(1, 500), put(2, 500)]).await.unwrap();
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..100 {
                let minus = Statement::new("UPDATE t SET n = n - 1 WHERE id = 1", []);
                let plus = Statement::new("UPDATE t SET n = n + 1 WHERE id = 2", []);
                store.write(vec![minus, plus]).await.unwrap();
            }
        })
    };
    let mut seen = 0;
    while !writer.is_finished() {
        let rows = store.read(Statement::new("SELECT n FROM t ORDER BY id", [])).await.unwrap();
        assert_eq!(rows[0].int(0).unwrap() + rows[1].int(0).unwrap(), 1000);
        seen += 1;
    }
    writer.await.unwrap();
    assert!(seen > 1);
    assert_eq!(numbers(&*store, "SELECT n FROM t ORDER BY id").await, [400, 600]);
}

async fn a_read_that_writes_is_refused(place: Place) {
    let store = with_table(&place).await;
    let refused = store.read(Statement::new("INSERT INTO t (id) VALUES (1) RETURNING id", [])).await;
    assert!(matches!(refused, Err(Error::Database { .. })), "{refused:?}");
    assert!(numbers(&*store, "SELECT id FROM t").await.is_empty());
}

async fn nobody_who_goes_away_leaves_a_lock(place: Place) {
    let store = with_table(&place).await;
    store.write(vec![put(0, 0)]).await.unwrap();
    for number in 1..60 {
        let change = Statement::new("UPDATE t SET n = n + 1 WHERE id = 0", []);
        let patience = std::time::Duration::from_micros(number * 50);
        let _ =
            tokio::time::timeout(patience, store.write(vec![change, put(i64::try_from(number).unwrap(), 1)]))
                .await;
        let _ = tokio::time::timeout(patience, store.read(Statement::new("SELECT id FROM t", []))).await;
    }
    store.write(vec![Statement::new("UPDATE t SET s = 'end' WHERE id = 0", []).expecting(1)]).await.unwrap();
    let counted = numbers(&*store, "SELECT n FROM t WHERE id = 0").await;
    assert_eq!(counted, numbers(&*store, "SELECT count(*) FROM t WHERE id > 0").await);
}

async fn a_newer_or_changed_history_is_refused(place: Place) {
    let store = place.open().await;
    let known = i64::try_from(store::MIGRATIONS.len()).unwrap();
    let future = Statement::new("INSERT INTO migrations VALUES ($1, '9999-future', '00', 0)", [known.into()]);
    store.write(vec![future]).await.unwrap();
    let refused = try_open(&place).await.err();
    assert!(matches!(refused, Some(Error::Schema { .. })), "{refused:?}");
    store.write(vec![Statement::new("DELETE FROM migrations WHERE name = '9999-future'", [])]).await.unwrap();
    assert!(try_open(&place).await.is_ok());
    store
        .write(vec![Statement::new("UPDATE migrations SET digest = '00' WHERE position = 0", [])])
        .await
        .unwrap();
    let refused = try_open(&place).await.err();
    assert!(matches!(refused, Some(Error::Schema { .. })), "{refused:?}");
}

/// Not a test of its own: the process that [`answered_writes_survive_kill`] kills.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(url) = std::env::var("AEGIS_TEST_WRITES_TO") else { return };
    run(|| async move {
        let store = store::open(&url, &Clock::default()).await.unwrap();
        let first = numbers(&*store, "SELECT coalesce(max(id), 0) FROM t").await[0];
        let tasks: Vec<_> = (1..=8)
            .map(|lane| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    for number in 0_i64.. {
                        let id = first + number * 8 + lane;
                        store.write(vec![put(id, id), put(-id, id)]).await.unwrap();
                        println!("\nanswered {id}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn answered_writes_survive_kill(place: Place) {
    drop(with_table(&place).await);
    let mut answered = Vec::new();
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env("AEGIS_TEST_WRITES_TO", &place.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut ids = lines.filter_map(|line| line.strip_prefix("answered ")?.parse::<i64>().ok());
        answered.extend(ids.by_ref().take(round * 15));
        child.kill().unwrap();
        // What it still answered before it died counts too.
        answered.extend(ids);
        child.wait().unwrap();
    }
    assert!(answered.len() >= 150, "{}", answered.len());
    let store = place.open().await;
    let there = numbers(&*store, "SELECT id FROM t").await;
    let there: std::collections::HashSet<_> = there.into_iter().collect();
    assert!(answered.iter().all(|id| there.contains(id)), "an answered write is lost");
    assert!(there.iter().all(|id| there.contains(&-id)), "half a batch is there");
}

async fn a_copy_opens_and_is_whole(place: Place) {
    let store = with_table(&place).await;
    store.write((0..500).map(|id| put(id, id)).collect()).await.unwrap();
    let copy = place.folder.path().join("copy");
    store.backup(&copy).await.unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(store.backup(&copy).await, Err(Error::Io { .. })), "a copy is never overwritten");
    assert!(store.backup(&place.folder.path().join("no/such/folder")).await.is_err());
    store.write(vec![Statement::new("DELETE FROM t", [])]).await.unwrap();
    let url = match &place.server {
        None => format!("sqlite:{}", copy.display()),
        Some(server) => {
            let url = server.database();
            let name = url.rsplit('/').next().unwrap();
            let restore =
                server.client("pg_restore").args(["--exit-on-error", "--dbname", name]).arg(&copy).status();
            assert!(restore.unwrap().success());
            url
        }
    };
    let copy = store::open(&url, &Clock::default()).await.unwrap();
    assert_eq!(numbers(&*copy, "SELECT n FROM t ORDER BY id").await, (0..500).collect::<Vec<_>>());
    let left = fs::read_dir(place.folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_damaged_file_is_refused() {
    run(|| async {
        let place = Place::sqlite();
        with_table(&place).await.write((0..3000).map(|id| put(id, id)).collect()).await.unwrap();
        let whole = place.folder.path().join("whole");
        place.open().await.backup(&whole).await.unwrap();
        let size = fs::metadata(&whole).unwrap().len();
        for (name, at, bytes) in
            [("head", 0, 100), ("schema", 100, 200), ("pages", size / 2 / 4096 * 4096, 4096)]
        {
            let damaged = place.folder.path().join(name);
            fs::copy(&whole, &damaged).unwrap();
            let file = fs::OpenOptions::new().write(true).open(&damaged).unwrap();
            file.write_all_at(&vec![0xA5; bytes], at).unwrap();
            let refused =
                store::open(&format!("sqlite:{}", damaged.display()), &Clock::default()).await.err();
            assert!(matches!(refused, Some(Error::Corrupt { .. })), "{name}: {refused:?}");
        }
        let short = place.folder.path().join("short");
        fs::copy(&whole, &short).unwrap();
        fs::OpenOptions::new().write(true).open(&short).unwrap().set_len(size - 4096 * 3).unwrap();
        let refused = store::open(&format!("sqlite:{}", short.display()), &Clock::default()).await.err();
        assert!(matches!(refused, Some(Error::Corrupt { .. })), "{refused:?}");
    });
}

#[test]
fn the_file_is_for_its_owner_alone() {
    run(|| async {
        let place = Place::sqlite();
        let _store = with_table(&place).await;
        for entry in fs::read_dir(place.folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", entry.path().display());
        }
    });
}

/// Not a test of its own: runs with a limit on the size of files.
#[test]
fn child_that_fills_its_disk() {
    let Ok(url) = std::env::var("AEGIS_TEST_FILLS") else { return };
    run(|| async move {
        let store = store::open(&url, &Clock::default()).await.unwrap();
        let mut stored = 0;
        for id in 1..2000 {
            let insert =
                Statement::new("INSERT INTO t (id, b) VALUES ($1, $2)", [id.into(), vec![7_u8; 4000].into()]);
            match store.write(vec![insert]).await {
                Ok(_) => stored += 1,
                Err(Error::Database { .. }) if id > 10 => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!((1..1999).contains(&stored), "the disk was never full: {stored}");
        assert_eq!(numbers(&*store, "SELECT count(*) FROM t").await, [stored]);
        println!("\nstored {stored}");
    });
}

#[test]
fn a_full_disk_loses_nothing_that_was_answered() {
    let place = Place::sqlite();
    run(|| async { drop(with_table(&place).await) });
    // The limit is in blocks of 512 or 1024 bytes; beyond it a write fails, as on a full disk.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1200; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_fills_its_disk", "--nocapture"])
        .env("AEGIS_TEST_FILLS", &place.url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    let stored = said.lines().find_map(|line| line.strip_prefix("stored ")?.parse::<i64>().ok()).unwrap();
    run(|| async {
        let store = place.open().await;
        assert_eq!(numbers(&*store, "SELECT count(*) FROM t").await, [stored]);
        store.write(vec![put(-1, 1)]).await.unwrap();
    });
    assert!(file(&place).exists());
}

#[test]
fn postgres_ends_and_comes_back_between_two_writes() {
    run(|| async {
        let server = server::Server::start();
        let url = server.database();
        let store = store::open(&url, &Clock::default()).await.unwrap();
        store
            .write(vec![Statement::new("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)", [])])
            .await
            .unwrap();
        for (round, crash) in [false, true].into_iter().enumerate() {
            let id = i64::try_from(round).unwrap();
            store.write(vec![put(id, 1)]).await.unwrap();
            server.stop(crash);
            let gone = store.write(vec![put(100, 1)]).await;
            assert!(matches!(gone, Err(Error::Database { .. })), "{gone:?}");
            let gone = store.read(Statement::new("SELECT id FROM t", [])).await;
            assert!(matches!(gone, Err(Error::Database { .. })), "{gone:?}");
            assert!(store.backup(&std::env::temp_dir().join("aegis-never-written")).await.is_err());
            server.go();
            store.write(vec![put(id + 10, 1)]).await.unwrap();
        }
        // Ended and back while nobody looked: connections that were good are not.
        server.stop(true);
        server.go();
        assert_eq!(numbers(&*store, "SELECT id FROM t ORDER BY id").await, [0, 1, 10, 11]);
        server.stop(false);
        server.go();
        store.write(vec![put(20, 1)]).await.unwrap();
    });
}

#[test]
fn an_older_schema_of_postgres_is_changed_only_on_demand_and_after_a_copy() {
    run(|| async {
        let place = Place::postgres();
        let server = place.server.as_ref().unwrap();
        let name = place.url.rsplit('/').next().unwrap().to_owned();
        drop(place.open().await);
        // As the first release left it.
        let first = store::MIGRATIONS[0];
        assert!(server.psql(&name, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"));
        assert!(server.psql(&name, &first.sql.replace("BLOB", "BYTEA")));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, first.sql.as_bytes());
        let digest = data_encoding::HEXLOWER.encode(digest.as_ref());
        assert!(
            server
                .psql(&name, &format!("INSERT INTO migrations VALUES (0, '{}', '{digest}', 0)", first.name))
        );
        assert!(matches!(try_open(&place).await.err(), Some(Error::Schema { .. })));
        let nowhere = place.folder.path().join("missing");
        assert!(store::migrate(&place.url, &Clock::default(), &nowhere).await.is_err());
        assert!(matches!(try_open(&place).await.err(), Some(Error::Schema { .. })), "nothing was changed");
        store::migrate(&place.url, &Clock::default(), place.folder.path()).await.unwrap();
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1);
        assert!(try_open(&place).await.is_ok());
    });
}
