//! The demonstration that the program makes, and the letters that it writes.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

pub(crate) struct Demo {
    child: Child,
    pub(crate) origin: String,
    pub(crate) owner: String,
    pub(crate) once: String,
    folder: tempfile::TempDir,
}

impl Demo {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-server"));
        command.args(["demo", "--port", "0", "--data"]).arg(folder.path());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut after =
            |start: &str| lines.find_map(|line| line.strip_prefix(start).map(str::to_owned)).unwrap();
        let origin = after("open ");
        let owner = after("sign in at /account as ");
        let (owner, once) = owner.split_once(", once, with the password ").unwrap();
        Self { child, origin, owner: owner.into(), once: once.into(), folder }
    }

    /// The link of a kind in a letter to somebody, once there is one.
    pub(crate) fn link(&self, to: &str, path: &str) -> String {
        let begun = Instant::now();
        let start = format!("{}{path}?token=", self.origin);
        while begun.elapsed() < Duration::from_secs(20) {
            for file in fs::read_dir(self.folder.path().join("mail")).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_none_or(|ending| ending != "eml") {
                    continue;
                }
                // Quoted-printable: soft line breaks and the sign that they need.
                let text = fs::read_to_string(path).unwrap().replace("=\r\n", "").replace("=3D", "=");
                if let Some(at) = text.find(&start).filter(|_| text.contains(to)) {
                    return text[at..].split_whitespace().next().unwrap().to_owned();
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no letter with {path} came");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
