//! The program as a process, with a configuration of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A configuration with its folder.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
}

impl Place {
    /// On a database of SQLite; letters go into a folder.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().display();
        let database = format!("sqlite:{data}/db");
        let mail = format!("folder = \"{data}/mail\"");
        Self::with(directory, &database, &mail)
    }

    /// On any database, and with any section `[mail]`.
    pub(crate) fn with(directory: tempfile::TempDir, database: &str, mail: &str) -> Self {
        let data = directory.path().display();
        let text = format!(
            "[listen]\npublic = [\"127.0.0.1:0\"]\nwatch = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
             [storage]\ndatabase = \"{database}\"\nblobs = \"{data}/blobs\"\nsecret = \"{data}/secret\"\n\
             [mail]\n{mail}\n[limits]\ndrain_seconds = 5\n"
        );
        fs::write(directory.path().join("config.toml"), text).unwrap();
        let place = Self { directory };
        let made = place.run(&["secret", place.path("secret").to_str().unwrap()]);
        assert!(made.status.success(), "{made:?}");
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-server"));
        command.arg("--config").arg(self.path("config.toml")).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn serve(&self) -> Served {
        Served::start(self.command(&["serve"]))
    }
}

/// A process that serves; it ends when this is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) watch: SocketAddr,
}

impl Served {
    /// Starts what a command says, and waits until it serves.
    pub(crate) fn start(mut command: Command) -> Self {
        if !command.get_envs().any(|(name, _)| name == "RUST_LOG") {
            command.env("RUST_LOG", "error");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        Self::told(child, lines)
    }

    /// A process that was started, once its output says that it serves.
    pub(crate) fn told(child: Child, mut lines: impl Iterator<Item = String>) -> Self {
        let address = |line: Option<String>| line.and_then(|line| line.rsplit("//").next()?.parse().ok());
        let public = address(lines.next()).expect("the public address");
        let watch = address(lines.next()).expect("the address of health and metrics");
        Self { child, public, watch }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
