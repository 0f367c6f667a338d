//! `aegis-installer download` from `aegis-server`, with the release that `make iso` left.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use aegis_tests::{Error, Failure, TestResult, host};

/// The edition is not free, so that its image needs a link.
const EDITION: &str = "server";

/// A server with the release; it ends when it is dropped.
struct Served {
    directory: tempfile::TempDir,
    program: PathBuf,
    child: Child,
    origin: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the parts before this one built.
fn built(candidates: &[&str]) -> Result<PathBuf, Failure> {
    let target = host::target_directory();
    let found = candidates.iter().map(|name| target.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Failure::new(format!("none of {candidates:?} is there: `make test` builds them")))
}

fn keys() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".config/aegis/keys/release.pub.json")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn output(command: &mut Command) -> Result<Output, Error> {
    command.stdin(Stdio::null()).output().map_err(Error::io("start", command.get_program()))
}

impl Served {
    fn start(release: &Path) -> Result<Self, Failure> {
        let directory = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
        let program = built(&["debug/aegis-server", "release/aegis-server"])?;
        let data = directory.path().display();
        let config = format!(
            "[listen]\npublic = [\"127.0.0.1:0\"]\nwatch = \"\"\n[storage]\ndatabase = \"sqlite:{data}/db\"\n\
             blobs = \"{data}/blobs\"\nsecret = \"{data}/secret\"\n[mail]\nfolder = \"{data}/mail\"\n"
        );
        let path = directory.path().join("config.toml");
        fs::write(&path, config).map_err(Error::io("write", &path))?;
        let command = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.arg("--config").arg(&path).args(arguments);
            command
        };
        let secret = directory.path().join("secret");
        let made = output(command(&["secret"]).arg(&secret))?;
        assert!(made.status.success(), "{}", text(&made));
        let published = output(command(&["publish"]).arg(release).arg("--keys").arg(keys()))?;
        assert!(published.status.success(), "{}", text(&published));
        let mut child = command(&["serve"])
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::io("start", &program))?;
        let mut lines = BufReader::new(child.stdout.take().ok_or_else(|| Failure::new("no output"))?).lines();
        let line = lines.next().and_then(Result::ok).unwrap_or_default();
        let origin = line.strip_prefix("serving ").unwrap_or_default().to_owned();
        Ok(Self { directory, program, child, origin })
    }

    /// A link to a file, with this server in place of the address that the configuration has.
    fn link(&self, path: &str) -> Result<String, Error> {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.directory.path().join("config.toml")).args(["link", path]);
        let made = output(&mut command)?;
        let link = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        let query = link.rsplit_once('?').map(|(_, query)| query).unwrap_or_default();
        Ok(format!("{}{path}?{query}", self.origin))
    }

    fn download(&self, to: &Path, arguments: &[&str]) -> Result<Output, Failure> {
        let installer = built(&["x86_64-unknown-linux-gnu/ship/aegis-installer"])?;
        let mut command = Command::new(installer);
        command.args(["download", EDITION, "--from", &self.origin, "--keys"]).arg(keys()).arg("--to").arg(to);
        Ok(output(command.args(arguments).env_remove("AEGIS_TOKEN"))?)
    }
}

#[test]
fn an_image_comes_from_the_server_with_a_link_and_goes_on_after_a_cut() -> TestResult {
    let iso = host::iso(EDITION)?;
    let release = iso.parent().unwrap_or(Path::new("."));
    let name = iso.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let served = Served::start(release)?;
    let to = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;

    let plan = served.download(to.path(), &["--plan"])?;
    assert!(plan.status.success() && text(&plan).contains("signed by DEVELOPMENT key"), "{}", text(&plan));
    let refused = served.download(to.path(), &[])?;
    let said = text(&refused);
    assert!(
        refused.status.code() == Some(1) && said.contains("it answers 403") && said.contains("--link"),
        "{said}"
    );

    // Half of it, as an attempt that was cut leaves it.
    let part = to.path().join(format!("{name}.part"));
    fs::copy(&iso, &part).map_err(Error::io("copy", &iso))?;
    let size = fs::metadata(&iso).map_err(Error::io("look at", &iso))?.len();
    let half = size / 2;
    let file = fs::OpenOptions::new().write(true).open(&part).map_err(Error::io("open", &part))?;
    file.set_len(half).map_err(Error::io("shorten", &part))?;

    let path =
        format!("/download/{EDITION}/{}", name.trim_start_matches("aegis-server-").trim_end_matches(".iso"));
    let link = served.link(&format!("{path}/{name}"))?;
    let done = served.download(to.path(), &["--json", "--link", &link])?;
    let said = text(&done);
    assert!(done.status.success() && !said.contains("signature="), "{said}");
    let fetched = format!("\"fetched\":{}", size - half / (1 << 20) * (1 << 20));
    assert!(said.contains("\"event\":\"complete\"") && said.contains(&fetched), "{said}");
    let same = output(Command::new("cmp").arg(&iso).arg(to.path().join(&name)))?;
    assert!(same.status.success() && !part.exists(), "{}", text(&same));
    Ok(())
}
