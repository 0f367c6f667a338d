//! Attacks on the audit log, judged by this program and by the independent verifier, which must agree.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/both.rs"]
mod both;
#[path = "support/postgres.rs"]
mod server;

use std::{fs, path::Path, process::Command, sync::Arc};

use aegis_server::{
    Clock, Error,
    audit::{self, Checkpoint, Entry, Log, Signer, Verdict, Verifier},
    store::{self, Statement, Store, Value},
};
use both::{Place, on_both};

on_both! {
    a_good_log_is_good_at_each_size_and_against_each_earlier_checkpoint
    a_long_log_is_read_in_pages
    a_deleted_entry_is_named
    a_changed_entry_is_named_whether_its_hash_was_changed_too_or_not
    of_entries_that_were_appended_together_the_changed_one_is_named_or_their_range
    swapped_entries_are_named
    an_entry_that_is_there_twice_or_that_nobody_signed_is_named
    rows_at_absurd_places_are_found_in_no_time
    a_log_that_was_cut_is_found_by_an_older_checkpoint
    a_database_that_was_restored_from_an_old_copy_is_found_by_an_older_checkpoint
    two_histories_of_one_key_are_a_fork
    a_wrong_key_and_a_changed_checkpoint_are_named
    a_broken_file_is_named_by_its_line
    a_head_that_is_not_that_of_the_entries_is_named
    two_processes_append_to_one_log_and_each_place_is_given_once
    an_act_and_its_entry_are_written_together_or_not_at_all
}

const ORIGIN: &str = "aegis-os.example/audit";

struct Bench {
    place: Place,
    store: Arc<dyn Store>,
    key: Vec<u8>,
}

impl Bench {
    async fn new(place: Place) -> Self {
        Self { store: place.open().await, place, key: Signer::generate().unwrap() }
    }

    fn log(&self) -> Log<dyn Store> {
        Log::new(Arc::clone(&self.store), Signer::new(ORIGIN, &self.key).unwrap())
    }

    fn verifier(&self) -> Verifier {
        self.log().verifier().clone()
    }

    /// A log of so many entries, appended one by one.
    async fn filled(place: Place, entries: i64) -> Self {
        let bench = Self::new(place).await;
        bench.append(0..entries).await;
        bench
    }

    async fn append(&self, numbers: std::ops::Range<i64>) {
        let log = self.log();
        for number in numbers {
            log.append(&[entry(number)]).await.unwrap();
        }
    }

    async fn export(&self) -> Vec<String> {
        let mut output = Vec::new();
        let lines = audit::export(self.store.as_ref(), &mut output).await.unwrap();
        let text = String::from_utf8(output).unwrap();
        assert_eq!(text.lines().count() as u64, lines);
        text.lines().map(str::to_owned).collect()
    }

    async fn change<const N: usize>(&self, sql: &'static str, values: [Value; N]) {
        self.store.write(vec![Statement::new(sql, values).expecting(1)]).await.unwrap();
    }

    async fn in_database(&self, earlier: &[String]) -> String {
        audit::verify(self.store.as_ref(), &self.verifier(), earlier).await.unwrap().line()
    }

    /// What both say of a file; the test fails when they differ.
    fn in_file(&self, lines: &[String], verifier: &Verifier, earlier: &[String]) -> String {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let ours = audit::verify_file(text.as_bytes(), verifier, earlier).unwrap();
        let path = self.place.folder.path().join("log.jsonl");
        fs::write(&path, text).unwrap();
        assert_eq!(python(&path, &verifier.to_string(), earlier), (ours.line(), Some(exit_of(&ours))));
        ours.line()
    }
}

/// Another, empty database of the same kind.
fn another(place: &Place) -> Place {
    if place.server.is_some() { Place::postgres() } else { Place::sqlite() }
}

fn exit_of(verdict: &Verdict) -> i32 {
    if verdict.is_good() { 0 } else { 3 }
}

fn entry(number: i64) -> Entry {
    Entry::new(1_700_000_000 + number, "account:00ff", "release.publish", &format!("release:{number}"))
}

fn python(log: &Path, key: &str, earlier: &[String]) -> (String, Option<i32>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("verify/audit_verify.py");
    let mut command = Command::new("python3");
    command.arg(script).arg("--key").arg(key);
    for (number, note) in earlier.iter().enumerate() {
        let path = log.with_extension(format!("{number}.note"));
        fs::write(&path, note).unwrap();
        command.arg("--checkpoint").arg(path);
    }
    let output = command.arg(log).output().expect("python3 with `cryptography` is needed for this test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    (String::from_utf8(output.stdout).unwrap().trim_end().to_owned(), output.status.code())
}

/// The place of the line of an entry.
fn line_of(lines: &[String], position: u64) -> usize {
    lines.iter().position(|line| line.contains(&format!("\"position\":{position}}}"))).unwrap()
}

fn renumber(lines: &mut [String], from: u64, to: u64) {
    let at = line_of(lines, from);
    lines[at] = lines[at].replace(&format!("\"position\":{from}}}"), &format!("\"position\":{to}}}"));
}

async fn a_good_log_is_good_at_each_size_and_against_each_earlier_checkpoint(place: Place) {
    let bench = Bench::new(place).await;
    let (log, mut kept) = (bench.log(), Vec::new());
    assert_eq!(bench.in_database(&[]).await, "good 0");
    assert_eq!(bench.in_file(&[], &bench.verifier(), &[]), "good 0");
    for number in 0..9 {
        log.append(&[entry(number)]).await.unwrap();
        kept.push(log.checkpoint().await.unwrap().unwrap());
        assert_eq!(bench.in_database(&kept).await, format!("good {}", number + 1));
    }
    // Some that are appended together share a checkpoint.
    let checkpoint = log.append(&[entry(9), entry(10), entry(11)]).await.unwrap();
    assert_eq!(Checkpoint::open(&log.checkpoint().await.unwrap().unwrap(), log.verifier()), Some(checkpoint));
    assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &kept), "good 12");
    let head = log.head().await.unwrap();
    assert_eq!((head.size, head.written_at), (12, Some(1_700_000_011)));
}

async fn a_long_log_is_read_in_pages(place: Place) {
    let bench = Bench::new(place).await;
    let entries: Vec<_> = (0..2500).map(entry).collect();
    let log = bench.log();
    for part in entries.chunks(700) {
        log.append(part).await.unwrap();
    }
    assert_eq!(bench.in_database(&[]).await, "good 2500");
    assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &[]), "good 2500");
    let (proof, root) =
        (log.inclusion(2047, 2500).await.unwrap().unwrap(), log.append(&[]).await.unwrap().root);
    let leaf = audit::tree::leaf(entries[2047].to_json().as_bytes());
    assert!(audit::proof::verify_inclusion(leaf, 2047, 2500, &proof, &root));
    assert!(log.consistency(700, 2500).await.unwrap().is_some());
    assert!(
        log.consistency(700, 2501).await.unwrap().is_none()
            && log.inclusion(1, 2501).await.unwrap().is_none()
    );
}

async fn a_deleted_entry_is_named(place: Place) {
    for at in [0, 5, 11] {
        let bench = Bench::filled(another(&place), 12).await;
        let lines = bench.export().await;
        let mut without = lines.clone();
        without.remove(line_of(&lines, at));
        let expected = format!("deleted {at}");
        assert_eq!(bench.in_file(&without, &bench.verifier(), &[]), expected);
        // With those after it moved up, to hide the hole.
        for position in at + 1..12 {
            renumber(&mut without, position, position - 1);
        }
        assert_eq!(bench.in_file(&without, &bench.verifier(), &[]), expected);
        let at = i64::try_from(at).unwrap();
        bench.change("DELETE FROM audit_entries WHERE position = $1", [at.into()]).await;
        assert_eq!(bench.in_database(&[]).await, expected);
    }
}

async fn a_changed_entry_is_named_whether_its_hash_was_changed_too_or_not(place: Place) {
    for at in [0, 5, 11_i64] {
        let bench = Bench::filled(another(&place), 12).await;
        let (old, new) = (entry(at).to_json(), entry(at).with("size", 1).to_json());
        let mut lines = bench.export().await;
        let place = line_of(&lines, at.unsigned_abs());
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        lines[place] = lines[place].replace(&quoted(&old), &quoted(&new));
        let expected = format!("changed {at} {at}");
        assert_eq!(bench.in_file(&lines, &bench.verifier(), &[]), expected);

        bench
            .change(
                "UPDATE audit_entries SET entry = $1 WHERE position = $2",
                [new.as_str().into(), at.into()],
            )
            .await;
        assert_eq!(bench.in_database(&[]).await, expected);
        let leaf = audit::tree::leaf(new.as_bytes());
        bench
            .change("UPDATE audit_entries SET leaf = $1 WHERE position = $2", [leaf.into(), at.into()])
            .await;
        assert_eq!(bench.in_database(&[]).await, expected);
        assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &[]), expected);
    }
}

async fn of_entries_that_were_appended_together_the_changed_one_is_named_or_their_range(place: Place) {
    let bench = Bench::new(place).await;
    bench.log().append(&(0..4).map(entry).collect::<Vec<_>>()).await.unwrap();
    bench.log().append(&(4..8).map(entry).collect::<Vec<_>>()).await.unwrap();
    let new = entry(6).with("size", 1).to_json();
    bench.change("UPDATE audit_entries SET entry = $1 WHERE position = 6", [new.as_str().into()]).await;
    assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &[]), "changed 6 6");
    let leaf = audit::tree::leaf(new.as_bytes());
    bench.change("UPDATE audit_entries SET leaf = $1 WHERE position = 6", [leaf.into()]).await;
    assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &[]), "changed 4 7");
    assert_eq!(bench.in_database(&[]).await, "changed 4 7");
}

async fn swapped_entries_are_named(place: Place) {
    let bench = Bench::filled(place, 12).await;
    let mut lines = bench.export().await;
    let (three, eight) = (line_of(&lines, 3), line_of(&lines, 8));
    lines.swap(three, eight);
    assert_eq!(bench.in_file(&lines, &bench.verifier(), &[]), "reordered 3 8");
    renumber(&mut lines, 3, 99);
    renumber(&mut lines, 8, 3);
    renumber(&mut lines, 99, 8);
    assert_eq!(bench.in_file(&lines, &bench.verifier(), &[]), "reordered 3 8");

    for (from, to) in [(3_i64, 99_i64), (8, 3), (99, 8)] {
        let sql = "UPDATE audit_entries SET position = $1 WHERE position = $2";
        bench.change(sql, [to.into(), from.into()]).await;
    }
    assert_eq!(bench.in_database(&[]).await, "reordered 3 8");
}

async fn an_entry_that_is_there_twice_or_that_nobody_signed_is_named(place: Place) {
    let bench = Bench::filled(place, 6).await;
    let mut lines = bench.export().await;
    lines.insert(line_of(&lines, 3) + 1, lines[line_of(&lines, 3)].clone());
    assert_eq!(bench.in_file(&lines, &bench.verifier(), &[]), "inserted 4");

    let json = entry(6).to_json();
    let values = [audit::tree::leaf(json.as_bytes()).into(), json.as_str().into()];
    bench.change("INSERT INTO audit_entries (position, leaf, entry) VALUES (6, $1, $2)", values).await;
    assert_eq!(bench.in_database(&[]).await, "uncovered 6");
    assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &[]), "uncovered 6");
}

async fn rows_at_absurd_places_are_found_in_no_time(place: Place) {
    let bench = Bench::filled(place, 3).await;
    let json = entry(3).to_json();
    let values = [(i64::MAX - 7).into(), audit::tree::leaf(json.as_bytes()).into(), json.as_str().into()];
    bench.change("INSERT INTO audit_entries (position, leaf, entry) VALUES ($1, $2, $3)", values).await;
    assert_eq!(bench.in_database(&[]).await, "deleted 3");
    assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &[]), "deleted 3");
    bench.change("UPDATE audit_head SET size = $1", [i64::MAX.into()]).await;
    assert_eq!(bench.in_database(&[]).await, "deleted 3");
}

async fn a_log_that_was_cut_is_found_by_an_older_checkpoint(place: Place) {
    let bench = Bench::filled(place, 5).await;
    let then = bench.export().await;
    bench.append(5..8).await;
    let kept = bench.log().checkpoint().await.unwrap().unwrap();
    assert_eq!(bench.in_file(&then, &bench.verifier(), &[]), "good 5", "nothing can show it from within");
    assert_eq!(bench.in_file(&then, &bench.verifier(), std::slice::from_ref(&kept)), "rolled-back 8 5");
    assert_eq!(bench.in_file(&[], &bench.verifier(), &[kept]), "rolled-back 8 0");
    // Without its last entry, and with its last checkpoint.
    let mut lines = bench.export().await;
    lines.remove(line_of(&lines, 7));
    assert_eq!(bench.in_file(&lines, &bench.verifier(), &[]), "deleted 7");
}

/// The database of a copy.
async fn restored(place: &Place, copy: &Path) -> Arc<dyn Store> {
    let Some(server) = &place.server else {
        return store::open(&format!("sqlite:{}", copy.display()), &Clock::default()).await.unwrap();
    };
    let url = server.database();
    let mut restore = server.client("pg_restore");
    let name = url.rsplit('/').next().unwrap();
    assert!(restore.args(["--exit-on-error", "--dbname", name]).arg(copy).status().unwrap().success());
    store::open(&url, &Clock::default()).await.unwrap()
}

async fn a_database_that_was_restored_from_an_old_copy_is_found_by_an_older_checkpoint(place: Place) {
    let bench = Bench::filled(place, 5).await;
    let copy = bench.place.folder.path().join("copy.db");
    bench.store.backup(&copy).await.unwrap();
    bench.append(5..8).await;
    let kept = bench.log().checkpoint().await.unwrap().unwrap();
    let restored = restored(&bench.place, &copy).await;
    let verdict = audit::verify(&*restored, &bench.verifier(), &[kept]).await.unwrap();
    assert_eq!(verdict, Verdict::RolledBack { from: 8, to: 5 });
}

async fn two_histories_of_one_key_are_a_fork(place: Place) {
    let bench = Bench::filled(place, 5).await;
    let mut other = Bench::new(another(&bench.place)).await;
    other.key.clone_from(&bench.key);
    other.append(0..3).await;
    other.append(100..105).await;
    let kept = other.log().checkpoint().await.unwrap().unwrap();
    // One size, two roots.
    bench.append(5..8).await;
    assert_eq!(
        bench.in_file(&bench.export().await, &bench.verifier(), std::slice::from_ref(&kept)),
        "forked 8"
    );
    assert_eq!(bench.in_database(std::slice::from_ref(&kept)).await, "forked 8");
    // Another size.
    bench.log().append(&[entry(8), entry(9)]).await.unwrap();
    other.log().append(&[entry(208)]).await.unwrap();
    let nine = other.log().checkpoint().await.unwrap().unwrap();
    assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &[nine]), "forked 9");
    // Within one file.
    let mut lines = bench.export().await;
    lines.push(serde_json::json!({ "checkpoint": kept }).to_string());
    assert_eq!(bench.in_file(&lines, &bench.verifier(), &[]), "forked 8");
}

async fn a_wrong_key_and_a_changed_checkpoint_are_named(place: Place) {
    let bench = Bench::filled(place, 3).await;
    let lines = bench.export().await;
    let stranger = Signer::new(ORIGIN, &Signer::generate().unwrap()).unwrap();
    assert_eq!(bench.in_file(&lines, stranger.verifier(), &[]), "not-signed 1");
    let renamed = Signer::new("other.example/audit", &bench.key).unwrap();
    assert_eq!(bench.in_file(&lines, renamed.verifier(), &[]), "not-signed 1");
    let forged = Checkpoint { origin: ORIGIN.into(), size: 2, root: [1; 32] }.sign(&stranger);
    assert_eq!(bench.in_file(&lines, &bench.verifier(), &[forged]), "not-signed 2");
    assert_eq!(bench.in_file(&lines, &bench.verifier(), &["nonsense".into()]), "not-signed ?");
    let sql = "UPDATE audit_checkpoints SET note = $1 WHERE size = 2";
    bench.change(sql, ["nonsense".into()]).await;
    assert_eq!(bench.in_database(&[]).await, "not-signed ?");
}

async fn a_broken_file_is_named_by_its_line(place: Place) {
    let bench = Bench::filled(place, 3).await;
    let lines = bench.export().await;
    let long = format!("{{\"checkpoint\":\"{}\"}}", "a".repeat(70_000));
    let leaf = lines[0].replace("\"leaf\":\"", "\"leaf\":\"A");
    let extra = lines[0].replace('{', "{\"more\":1,");
    let twice = lines[0].replace('{', "{\"position\":1,");
    let negative = lines[0].replace("\"position\":0", "\"position\":-1");
    for bad in ["", "{}", "[]", "nonsense", "{\"checkpoint\":1}", &long, &leaf, &extra, &twice, &negative] {
        let mut broken = lines.clone();
        broken[2] = bad.to_owned();
        assert_eq!(bench.in_file(&broken, &bench.verifier(), &[]), "malformed 3", "{:.80}", bad);
    }
}

async fn a_head_that_is_not_that_of_the_entries_is_named(place: Place) {
    let bench = Bench::filled(place, 3).await;
    bench.change("UPDATE audit_head SET edge = $1", [vec![0_u8; 64].into()]).await;
    assert_eq!(bench.in_database(&[]).await, "head 3");
    bench.change("DELETE FROM audit_head", []).await;
    assert_eq!(bench.in_database(&[]).await, "head 3");
    // Nor can anyone append over what is there.
    let refused = bench.log().append(&[entry(0)]).await.unwrap_err();
    assert!(matches!(refused, Error::Busy(_)), "{refused}");
}

async fn two_processes_append_to_one_log_and_each_place_is_given_once(place: Place) {
    let bench = Bench::new(place).await;
    let (one, two) = (bench.log(), bench.log());
    let fill = async |log: &Log<dyn Store>, from: i64| {
        for number in from..from + 40 {
            log.append(&[entry(number)]).await.unwrap();
        }
    };
    tokio::join!(fill(&one, 0), fill(&two, 1000), fill(&one, 2000));
    assert_eq!(one.head().await.unwrap().size, 120);
    assert_eq!(bench.in_file(&bench.export().await, &bench.verifier(), &[]), "good 120");
}

async fn an_act_and_its_entry_are_written_together_or_not_at_all(place: Place) {
    let bench = Bench::filled(place, 2).await;
    let log = bench.log();
    let insert = |rule: &str| {
        let sql = "INSERT INTO limits (rule, subject, arrival) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING";
        Statement::new(sql, [rule.into(), vec![1].into()]).expecting(1)
    };
    let (outcomes, checkpoint) = log.append_with(vec![insert("a")], &[entry(2)]).await.unwrap();
    assert_eq!((outcomes.len(), checkpoint.size), (1, 3));
    let refused = log.append_with(vec![insert("b"), insert("a")], &[entry(3)]).await.unwrap_err();
    assert!(matches!(refused, Error::Condition(1)), "{refused}");
    assert_eq!(log.head().await.unwrap().size, 3);
    let rows = bench.store.read(Statement::new("SELECT rule FROM limits", [])).await.unwrap();
    assert_eq!(rows.len(), 1, "the other was undone");
    // And the log goes on.
    assert_eq!(log.append(&[entry(3)]).await.unwrap().size, 4);
    assert_eq!(bench.in_database(&[]).await, "good 4");
}
