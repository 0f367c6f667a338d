//! A PostgreSQL of Debian's package, started for tests on a socket of its own.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak, atomic::AtomicU32, atomic::Ordering},
    time::{Duration, Instant},
};

/// With characters that must be escaped in an address, and must not be seen on a command line.
pub(crate) const PASSWORD: &str = "pass word:/@%?#";
const PASSWORD_ESCAPED: &str = "pass%20word%3A%2F%40%25%3F%23";

/// A server with its data; it ends when this is dropped, also by a panic.
pub(crate) struct Server {
    programs: PathBuf,
    folder: tempfile::TempDir,
    running: Mutex<Option<Child>>,
    databases: AtomicU32,
}

/// The server that tests of this process share while one of them holds it.
pub(crate) fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

impl Server {
    /// Makes a cluster and starts it: socket only, fsync on, passwords asked for.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("aegis-pg").tempdir_in("/tmp").unwrap();
        let server =
            Self { programs: programs(), folder, running: Mutex::new(None), databases: AtomicU32::new(0) };
        if let Some(owner) = unprivileged() {
            chown(server.folder.path(), Some(owner.0), Some(owner.1)).unwrap();
        }
        let password = server.folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        if let Some(owner) = unprivileged() {
            chown(&password, Some(owner.0), Some(owner.1)).unwrap();
        }
        let made = as_unprivileged(&server.programs.join("initdb"))
            .args([
                "--username=aegis",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-instructions",
            ])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(server.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.go();
        server
    }

    /// Starts it, after [`Self::stop`].
    pub(crate) fn go(&self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let child = as_unprivileged(&self.programs.join("postgres"))
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=60", "-c", "fsync=on"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.running.lock().unwrap() = Some(child);
        let began = Instant::now();
        while !self.psql("postgres", "SELECT 1") {
            assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it as a crash does, without a last checkpoint, or by asking it to.
    pub(crate) fn stop(&self, crash: bool) {
        let Some(mut child) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        // SIGQUIT: at once; SIGINT: roll back what runs, then end.
        let signal = if crash { nix::sys::signal::SIGQUIT } else { nix::sys::signal::SIGINT };
        let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        let _ = nix::sys::signal::kill(id, signal);
        let _ = child.wait();
    }

    /// The address of a new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        assert!(self.psql("postgres", &format!("CREATE DATABASE {name}")), "{}", self.log());
        self.url(&name)
    }

    /// The address of a database.
    pub(crate) fn url(&self, name: &str) -> String {
        let socket = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://aegis:{PASSWORD_ESCAPED}@{socket}/{name}")
    }

    /// Runs SQL as the owner; whether it could.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> bool {
        let mut run = self.client("psql");
        run.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", database, "--command", sql]);
        run.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// A program of the package that reaches this server.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env("PGHOST", self.folder.path()).env("PGUSER", "aegis").env("PGPASSWORD", PASSWORD);
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(true);
    }
}

fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    folders
        .filter(|folder| folder.join("initdb").exists())
        .max()
        .expect("PostgreSQL is missing: install Debian's package postgresql (tests/setup does)")
}

/// User and group of `postgres`, for root, whom PostgreSQL refuses.
fn unprivileged() -> Option<(u32, u32)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user =
        nix::unistd::User::from_name("postgres").unwrap().expect("Debian's package makes the user postgres");
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

fn as_unprivileged(program: &Path) -> Command {
    let Some((user, group)) = unprivileged() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups").arg(program);
    command.current_dir("/");
    command
}
