//! Opening, checking, bringing up to date and copying the file.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::sys::statfs::{self, FsType};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::fault;
use crate::{Clock, Error, Result, store::migrate};

/// Marks a file as a database of this program: `AEGS`.
const APPLICATION: i64 = 0x4145_4753;

/// File systems over a network, where the write-ahead log is not safe (sqlite.org/wal.html): NFS, SMB, SMB2, CIFS, FUSE,
/// 9P, Ceph, AFS, Lustre, OCFS2.
const NETWORK: [FsType; 10] = [
    statfs::NFS_SUPER_MAGIC,
    statfs::SMB_SUPER_MAGIC,
    FsType(0xFE53_4D42),
    FsType(0xFF53_4D42),
    statfs::FUSE_SUPER_MAGIC,
    FsType(0x0102_1997),
    FsType(0x00C3_6400),
    FsType(0x5346_414F),
    FsType(0x0BD0_0BD0),
    FsType(0x7461_636F),
];

/// A connection that writes, to a file that is whole and of this program's schema.
pub(super) fn up_to_date(path: &Path, clock: &Clock) -> Result<Connection> {
    refuse_network(path)?;
    make_private(path)?;
    let _alone = alone(folder(path))?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check(&connection, path)?;
    let done = history(&connection).map_err(fault("reading"))?;
    refuse_foreign(&connection, path, done.is_empty())?;
    if let (Some(first), false) = (migrate::pending(&done)?.first(), done.is_empty()) {
        let copied = format!("{}.before-{}-{}", path.display(), first.name, clock.now());
        match copy(&connection, Path::new(&copied)) {
            // Another process that began in this second made it, before the same step.
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    // Only now, since it changes the file.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(fault("opening"))?;
    while step(&mut connection, clock)? {}
    Ok(connection)
}

/// Opens an existing file.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags).map_err(fault("opening"))?;
    // FULL: what was answered survives a power cut.
    let settings = "PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                    PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 67108864;";
    connection.execute_batch(settings).map_err(fault("opening"))?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Copies the database of a moment; the copy gets its name when it is whole and checked.
pub(super) fn copy(connection: &Connection, to: &Path) -> Result<()> {
    if to.exists() {
        let source = io::ErrorKind::AlreadyExists.into();
        return Err(Error::Io { doing: "writing", what: to.display().to_string(), source });
    }
    // Two processes may copy at once.
    let mut chance = [0; 8];
    aws_lc_rs::rand::fill(&mut chance).map_err(|error| Error::Io {
        doing: "reading",
        what: "random numbers".into(),
        source: io::Error::other(error.to_string()),
    })?;
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}.part", data_encoding::HEXLOWER.encode(&chance)));
    let part = PathBuf::from(name);
    let copied = copy_to_part(connection, &part)
        .and_then(|()| fs::rename(&part, to).map_err(Error::io("naming", to)))
        .and_then(|()| sync_folder(to));
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied
}

fn copy_to_part(connection: &Connection, part: &Path) -> Result<()> {
    let _ = fs::remove_file(part);
    // VACUUM takes an empty file, and so it is never readable by others.
    make_private(part)?;
    let Some(name) = part.to_str() else {
        let source = io::ErrorKind::InvalidFilename.into();
        return Err(Error::Io { doing: "writing", what: part.display().to_string(), source });
    };
    connection.execute("VACUUM INTO ?1", [name]).map_err(fault("copying"))?;
    check(&connect(part, OpenFlags::SQLITE_OPEN_READ_ONLY)?, part)?;
    fs::File::open(part).and_then(|file| file.sync_all()).map_err(Error::io("writing", part))
}

/// A file has its name for good when its folder is on the disk.
fn sync_folder(of: &Path) -> Result<()> {
    let folder = folder(of);
    fs::File::open(folder).and_then(|file| file.sync_all()).map_err(Error::io("writing", folder))
}

/// Makes a missing file, for nobody else to read: it holds addresses of people.
fn make_private(path: &Path) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(Error::io("opening", path))
}

/// Waits until no other process begins with a file of this folder: of two that change the way of journaling at once SQLite
/// refuses one without waiting, and one could see the tables of the other without its history. The folder is locked and
/// not the file, as closing a file gives up the locks that SQLite has on it (sqlite.org/howtocorrupt.html, 2.2).
fn alone(folder: &Path) -> Result<fs::File> {
    let lock = fs::File::open(folder).map_err(Error::io("opening", folder))?;
    let locked = match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => {
            tracing::info!(folder = %folder.display(), "waits for another process that begins here");
            lock.lock()
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    };
    locked.map(|()| lock).map_err(Error::io("locking", folder))
}

fn folder(of: &Path) -> &Path {
    of.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refuse_network(path: &Path) -> Result<()> {
    let place = if path.exists() { path } else { folder(path) };
    let found = statfs::statfs(place).map_err(io::Error::from);
    let kind = found.map_err(Error::io("looking at the file system of", place))?.filesystem_type();
    if !over_network(kind) {
        return Ok(());
    }
    Err(Error::Config {
        place: path.display().to_string(),
        problem: "is on a file system over a network, where SQLite loses data".into(),
        hint: "keep the file on a local disk, or use PostgreSQL".into(),
    })
}

fn over_network(kind: FsType) -> bool {
    NETWORK.contains(&kind)
}

fn check(connection: &Connection, path: &Path) -> Result<()> {
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fault("checking"))?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::Corrupt { what: path.display().to_string(), problem: format!("is damaged: {found}") })
}

fn refuse_foreign(connection: &Connection, path: &Path, no_history: bool) -> Result<()> {
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fault("reading"))?;
    if !no_history || tables == 0 {
        return Ok(());
    }
    Err(Error::Schema {
        problem: format!("{} is the database of another program", path.display()),
        hint: "name a new file; nothing was changed".into(),
    })
}

/// Does the next step that is missing; false when there is none. The history is read again under the lock: another
/// process may have begun at the same time.
fn step(connection: &mut Connection, clock: &Clock) -> Result<bool> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault("changing the schema of"))?;
    let done = history(&transaction).map_err(fault("reading"))?;
    let Some(step) = migrate::pending(&done)?.first() else { return Ok(false) };
    let work = || {
        for statement in step.statements() {
            transaction.execute_batch(statement)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        let position = i64::try_from(done.len()).unwrap_or(i64::MAX);
        transaction.execute(
            "INSERT INTO migrations VALUES (?1, ?2, ?3, ?4)",
            (position, step.name, step.digest(), clock.now()),
        )
    };
    let work: rusqlite::Result<_> = work();
    work.and_then(|_| transaction.commit()).map_err(fault("changing the schema of"))?;
    Ok(true)
}

fn history(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    // Not `table_exists`: it looks into what this connection remembers of the schema.
    let there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'";
    if connection.query_row(there, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(Vec::new());
    }
    let mut query = connection.prepare("SELECT name, digest FROM migrations ORDER BY position")?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        for kind in [0x6969, 0x517B, 0xFE53_4D42, 0xFF53_4D42, 0x6573_5546, 0x0102_1997, 0x00C3_6400] {
            assert!(over_network(FsType(kind)), "{kind:x}");
        }
        // ext4, btrfs, xfs, tmpfs, zfs, overlayfs.
        for kind in [0xEF53, 0x9123_683E, 0x5846_5342, 0x0102_1994, 0x2FC1_2FC1, 0x794C_7630] {
            assert!(!over_network(FsType(kind)), "{kind:x}");
        }
    }

    #[test]
    fn two_processes_that_begin_at_once_bring_a_file_up_to_date_once() {
        // One round in five fails where they do not wait for each other.
        for _ in 0..25 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("db");
            let open = |_| {
                let path = path.clone();
                std::thread::spawn(move || up_to_date(&path, &Clock::default()).map(drop))
            };
            let opened: Vec<_> = (0..4).map(open).collect();
            for thread in opened {
                thread.join().unwrap().unwrap();
            }
            let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
            assert_eq!(history(&connection).unwrap().len(), migrate::MIGRATIONS.len());
        }
    }

    #[test]
    fn the_file_of_another_program_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(up_to_date(&path, &Clock::default()), Err(Error::Schema { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
