//! Copies by `pg_dump`, which reads one moment while others write.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStringExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tokio_postgres::{Config, config::Host};

use crate::{Error, Result};

/// Writes a copy in PostgreSQL's custom format; it gets its name when it is whole and `pg_restore` can read it.
pub(super) async fn dump(config: &Config, to: &Path) -> Result<()> {
    let (environment, to) = (environment(config), to.to_owned());
    let work = move || dump_blocking(&environment, &to);
    tokio::task::spawn_blocking(work).await.map_err(Error::database("copying"))?
}

fn dump_blocking(environment: &[(&'static str, OsString)], to: &Path) -> Result<()> {
    if to.exists() {
        let source = io::ErrorKind::AlreadyExists.into();
        return Err(Error::Io { doing: "writing", what: to.display().to_string(), source });
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let copied = dump_to_part(environment, &part).and_then(|()| {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::rename(&part, to)
            .and_then(|()| fs::File::open(folder)?.sync_all())
            .map_err(Error::io("naming", to))
    });
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied
}

fn dump_to_part(environment: &[(&'static str, OsString)], part: &Path) -> Result<()> {
    let _ = fs::remove_file(part);
    // Made here, so that nobody else can ever read it.
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    let file = made.map_err(Error::io("writing", part))?;
    let output = file.try_clone().map_err(Error::io("writing", part))?;
    let copying = Run { doing: "copying", environment };
    copying.program("pg_dump", &[OsStr::new("--format=custom")], output.into())?;
    copying.program("pg_restore", &[OsStr::new("--list"), part.as_os_str()], Stdio::null())?;
    file.sync_all().map_err(Error::io("writing", part))
}

/// Programs of PostgreSQL's package, with what they reach the database by.
pub(super) struct Run<'a> {
    /// Present participle, for errors.
    pub(super) doing: &'static str,
    pub(super) environment: &'a [(&'static str, OsString)],
}

impl Run<'_> {
    /// Runs one to its end.
    pub(super) fn program(&self, program: &'static str, arguments: &[&OsStr], output: Stdio) -> Result<()> {
        let done = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .output()
            .map_err(Error::io("running", program))?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let said = format!("{program}: {}", said.lines().next().unwrap_or("failed without a word"));
        Err(Error::Database { doing: self.doing, source: said.into() })
    }
}

/// What libpq reads, the password among it: a command line can be read by everybody.
pub(super) fn environment(config: &Config) -> Vec<(&'static str, OsString)> {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone().into(),
        Host::Unix(path) => path.clone().into_os_string(),
    });
    let addresses = config.get_hostaddrs().iter().map(|address| address.to_string().into());
    let ports = config.get_ports().iter().map(|port| port.to_string().into());
    let mut all = vec![("PGHOST", list(hosts)), ("PGHOSTADDR", list(addresses)), ("PGPORT", list(ports))];
    all.push(("PGUSER", config.get_user().unwrap_or_default().into()));
    all.push(("PGDATABASE", config.get_dbname().or(config.get_user()).unwrap_or_default().into()));
    all.push(("PGPASSWORD", OsString::from_vec(config.get_password().unwrap_or_default().to_vec())));
    all.push(("PGSSLMODE", "disable".into()));
    all.push(("PGCONNECT_TIMEOUT", "5".into()));
    all.retain(|(_, value)| !value.is_empty());
    all
}

fn list(parts: impl Iterator<Item = OsString>) -> OsString {
    parts.collect::<Vec<_>>().join(OsStr::new(","))
}
