//! Restoring a database, and locking the file of an embedded one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Clock, Error, Result,
    store::{Postgres, Sqlite},
};

/// Files that SQLite keeps beside a database; one that is left from another database would destroy a restored one.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// The path of an embedded database; `None` for a server.
pub(crate) fn embedded(url: &str) -> Option<&Path> {
    url.strip_prefix("sqlite:").map(Path::new)
}

/// Keeps other processes from serving or restoring the same file, for as long as the result lives.
///
/// # Errors
/// When another process has it.
pub(crate) fn lock(database: &Path) -> Result<fs::File> {
    let path = beside(database, ".lock");
    let file = fs::File::create(&path).map_err(Error::io("creating", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Schema {
            problem: format!("{} is in use by another aegis-server", database.display()),
            hint: "end that one first; nothing was changed".into(),
        }),
        Err(fs::TryLockError::Error(error)) => Err(Error::io("locking", &path)(error)),
    }
}

/// Puts a copy in the place of the database. Returns where the former one is kept: beside it, or in a folder for copies.
///
/// # Errors
/// When the copy is damaged or newer than this program, or the database is served; then nothing changes.
pub(crate) async fn restore(url: &str, from: &Path, copies: &Path, clock: &Clock) -> Result<Option<PathBuf>> {
    match embedded(url) {
        Some(database) => restore_file(database, from, clock),
        None => Postgres::restore(url, from, copies, clock).await.map(Some),
    }
}

fn restore_file(database: &Path, from: &Path, clock: &Clock) -> Result<Option<PathBuf>> {
    let _alone = lock(database)?;
    let part = beside(database, ".restoring");
    let result = prepare(from, &part, clock).and_then(|()| exchange(database, &part, clock));
    if result.is_err() {
        remove(&part);
    }
    result
}

/// A copy of the copy, opened once as the server will: what cannot be used does not replace anything.
fn prepare(from: &Path, part: &Path, clock: &Clock) -> Result<()> {
    remove(part);
    fs::copy(from, part).map_err(Error::io("copying", from))?;
    drop(Sqlite::open(part, clock)?);
    let file = fs::File::open(part).and_then(|file| file.sync_all());
    file.map_err(Error::io("writing", part))
}

fn exchange(database: &Path, part: &Path, clock: &Clock) -> Result<Option<PathBuf>> {
    let rename = |from: &Path, to: &Path| match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("naming", to)(error)),
        Ok(()) => Ok(true),
    };
    let kept = beside(database, &format!(".before-restore-{}", clock.now()));
    // The log first: without it the former database is that of its last checkpoint, with it under another name it is broken.
    for companion in COMPANIONS {
        rename(&beside(database, companion), &beside(&kept, companion))?;
    }
    let was = rename(database, &kept)?;
    for companion in COMPANIONS {
        rename(&beside(part, companion), &beside(database, companion))?;
    }
    rename(part, database)?;
    let directory =
        database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory).and_then(|file| file.sync_all()).map_err(Error::io("writing", directory))?;
    Ok(was.then_some(kept))
}

fn remove(part: &Path) {
    for name in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(part, name));
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Statement, Store};

    async fn write(store: &Sqlite, version: &str) {
        let sql = "INSERT INTO files (edition, version, name, channel, digest, size, published_at) \
                   VALUES ('server', $1, 'a', 'stable', $2, 1, 1)";
        store.write(vec![Statement::new(sql, [version.into(), [0_u8; 32].into()])]).await.unwrap();
    }

    async fn versions(path: &Path) -> Vec<String> {
        let store = Sqlite::open(path, &Clock::default()).unwrap();
        let rows =
            store.read(Statement::new("SELECT version FROM files ORDER BY version", [])).await.unwrap();
        rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_copy_takes_the_place_and_the_former_one_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (database, copy) = (directory.path().join("db"), directory.path().join("copy"));
        let clock = Clock::default();
        let store = Sqlite::open(&database, &clock).unwrap();
        write(&store, "1").await;
        store.backup(&copy).await.unwrap();
        assert!(store.backup(&copy).await.is_err());
        write(&store, "2").await;
        drop(store);

        let held = lock(&database).unwrap();
        assert!(restore_file(&database, &copy, &clock).unwrap_err().to_string().contains("in use"));
        drop(held);
        let damaged = directory.path().join("damaged");
        let mut bytes = fs::read(&copy).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0x55);
        fs::write(&damaged, bytes).unwrap();
        assert!(restore_file(&database, &damaged, &clock).is_err());
        assert!(restore_file(&database, &directory.path().join("missing"), &clock).is_err());
        assert_eq!(versions(&database).await, ["1", "2"]);

        let kept = restore_file(&database, &copy, &clock).unwrap().unwrap();
        assert_eq!(versions(&database).await, ["1"]);
        assert_eq!(versions(&kept).await, ["1", "2"]);
    }
}
