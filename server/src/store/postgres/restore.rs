//! A copy in the place of a database: in one transaction, so that there is either what was or what is in the copy.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio_postgres::Config;

use super::{
    backup::{self, Run},
    pool::Session,
    schema,
};
use crate::{
    Clock, Error, Result,
    store::{MIGRATIONS, Statement},
};

/// Refuses the copy; in what the database says, and in nothing else.
const FOREIGN: &str = "the history of the copy is not ours";

/// Copies what is there into a folder, then puts a copy in its place. Returns where the former is kept.
///
/// Fails when somebody serves the database, when the copy is damaged, and when its history is not ours; then nothing changes.
pub(super) async fn restore(config: &Config, from: &Path, folder: &Path, clock: &Clock) -> Result<PathBuf> {
    nobody_else(config).await?;
    let kept = folder.join(format!("before-restore-{}.dump", clock.now()));
    backup::dump(config, &kept).await?;
    let (config, from, folder) = (config.clone(), from.to_owned(), folder.to_owned());
    let work = move || restore_blocking(&config, &from, &folder);
    let restored = tokio::task::spawn_blocking(work).await.map_err(Error::database("restoring"))?;
    if restored.is_err() {
        // What it is a copy of is still there.
        let _ = fs::remove_file(&kept);
    }
    restored.map(|()| kept)
}

/// Refuses a database that others use. The server's side of a session ends a moment after a process has, which is waited for.
async fn nobody_else(config: &Config) -> Result<()> {
    let mut session = Session::connect(config).await?;
    let others = "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE datname = current_database() \
                  AND application_name = 'aegis-server' AND pid <> pg_backend_pid()";
    for _ in 0..20 {
        if schema::ask(&mut session, Statement::new(others, [])).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Error::Schema {
        problem: "the database is in use by another aegis-server".into(),
        hint: "end that one first; nothing was changed".into(),
    })
}

fn restore_blocking(config: &Config, from: &Path, folder: &Path) -> Result<()> {
    let mut environment = backup::environment(config);
    // Whoever holds a table would be waited for without an end.
    environment.push(("PGOPTIONS", "-c lock_timeout=10s".into()));
    let restoring = Run { doing: "restoring", environment: &environment };
    // Beside the copies, which only their owner can read: the script holds everything.
    let place = tempfile::Builder::new().prefix(".restoring").tempdir_in(folder);
    let place = place.map_err(Error::io("writing into", folder))?;
    let [before, script, after] =
        ["before.sql", "script.sql", "after.sql"].map(|name| place.path().join(name));
    let names: Vec<_> = tables().collect();
    for (path, text) in
        [(&before, format!("DROP TABLE IF EXISTS {};\n", names.join(", "))), (&after, check())]
    {
        fs::write(path, text).map_err(Error::io("writing", path))?;
    }
    let option = OsStr::new;
    let arguments = [option("--no-owner"), option("--no-privileges"), option("--file"), script.as_os_str()];
    restoring.program("pg_restore", &[&arguments[..], &[from.as_os_str()]].concat(), Stdio::null())?;
    let mut arguments = vec![option("--no-psqlrc"), option("--quiet"), option("--single-transaction")];
    arguments.push(option("--set=ON_ERROR_STOP=1"));
    for path in [&before, &script, &after] {
        arguments.extend([option("--file"), path.as_os_str()]);
    }
    restoring.program("psql", &arguments, Stdio::null()).map_err(|error| match &error {
        Error::Database { source, .. } if source.to_string().contains(FOREIGN) => Error::Schema {
            problem: FOREIGN.into(),
            hint: "use the program that wrote it, or another copy; nothing was changed".into(),
        },
        _ => error,
    })
}

/// Our tables, of every step that this program knows.
fn tables() -> impl Iterator<Item = &'static str> {
    let statements = MIGRATIONS.iter().flat_map(|step| step.statements());
    statements.filter_map(|statement| statement.strip_prefix("CREATE TABLE ")?.split([' ', '(']).next())
}

/// Fails the transaction when the history is not the beginning of ours.
fn check() -> String {
    let known: Vec<_> = MIGRATIONS
        .iter()
        .enumerate()
        .map(|(position, step)| format!("({position}, '{}', '{}')", step.name, step.digest()))
        .collect();
    format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM public.migrations) OR EXISTS (SELECT 1 FROM public.migrations \
         WHERE (position, name, digest) NOT IN (VALUES {})) THEN RAISE EXCEPTION '{FOREIGN}'; END IF; END $$;\n",
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_known_and_the_check_names_every_step() {
        let found: Vec<_> = tables().collect();
        assert!(
            ["migrations", "accounts", "audit_entries", "limits", "files"]
                .iter()
                .all(|name| found.contains(name))
        );
        assert!(found.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        assert!(MIGRATIONS.iter().all(|step| check().contains(&step.digest())));
    }
}
