//! Packages by content, and apt with a configuration of its own.
//!
//! Invariant: a file in the store has the digest that is its name; it is checked when it enters and again when
//! a root file system is made from it. Nothing here reads or changes the machine's own apt state.

use std::{
    fmt::Write as _,
    fs,
    io::Read,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use aegis_core::{crypto::Sha256, edition::Edition, hex::Digest};

use crate::{
    cache::Cache,
    date::{parse_rfc822, rfc822},
    error::{Error, Result},
    host,
    lock::{self, Lock, Package, Use},
    progress::Progress,
    sources::{Archive, KEYRING, SUITE, Source},
};

/// What is asked of the archives.
#[derive(Clone, Debug)]
pub struct PackageRequest {
    /// The edition; none for what all editions' kernels are built with.
    pub edition: Option<Edition>,
    /// `main`, `contrib`…
    pub components: Vec<String>,
    /// `amd64` first.
    pub architectures: Vec<String>,
    /// Suites beside the product's own, for packages that name them.
    pub suites: Vec<String>,
    /// Packages for each use.
    pub wanted: Vec<Wanted>,
}

/// Packages for one use.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What they are for.
    pub uses: Use,
    /// Their names; `name/suite` takes one of another suite.
    pub names: Vec<String>,
    /// Of everything that apt finds necessary, only packages of names that begin so: what is unpacked and not installed
    /// needs nothing of the rest. Empty for all.
    pub only: &'static [&'static str],
}

impl PackageRequest {
    /// The packages that are named for a use.
    pub fn names(&self, uses: Use) -> impl Iterator<Item = &str> {
        self.wanted
            .iter()
            .filter(move |wanted| wanted.uses == uses)
            .flat_map(|wanted| &wanted.names)
            .map(String::as_str)
    }

    /// Names the request in a lock.
    pub fn digest(&self) -> Digest {
        Sha256::of(format!("{self:?}{SUITE}").as_bytes())
    }
}

/// The content store.
pub struct Store {
    debs: PathBuf,
    apt: PathBuf,
    resolved: PathBuf,
}

impl Store {
    /// Opens the store in the cache directory.
    pub fn open(cache: &Cache) -> Result<Self> {
        Ok(Self {
            debs: cache.directory("debs")?,
            apt: cache.directory("apt")?,
            resolved: cache.directory("resolved")?,
        })
    }

    /// The lock of the last resolution of this request, which `--offline` builds from.
    pub fn last_resolved(&self, request: &PackageRequest) -> PathBuf {
        self.resolved.join(format!("{}.json", request.digest()))
    }

    /// Asks apt for every package of the request, with the newest indexes that can be had.
    pub fn resolve(&self, request: &PackageRequest, sources: &[Source]) -> Result<Lock> {
        // apt refuses a second one beside it; a build waits.
        let lock = self.apt.join("lock");
        let alone = fs::File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let alone = alone.map_err(Error::io("locking", lock))?;
        let config = self.configure(request, sources)?;
        apt(&config, "apt-get")
            .arg("-oAPT::Update::Error-Mode=any")
            .arg("update")
            .run("updating the package indexes")?;
        let mut packages = Vec::new();
        for wanted in &request.wanted {
            packages.extend(self.ask(&config, sources, wanted)?);
        }
        let lock = Lock {
            format: Lock::FORMAT,
            edition: request.edition,
            suite: SUITE.into(),
            epoch: newest_index(&self.apt.join("state/lists"))?,
            request: request.digest(),
            packages: lock::merge(packages),
        };
        drop(alone);
        let path = self.last_resolved(request);
        fs::write(&path, lock.to_text()).map_err(Error::io("writing", path))?;
        Ok(lock)
    }

    fn ask(&self, config: &Path, sources: &[Source], wanted: &Wanted) -> Result<Vec<Package>> {
        let mut command = apt(config, "apt-get");
        command.0.args(["-o", "Acquire::ForceHash=SHA256", "install", "--print-uris", "-qq", "-y"]);
        // Debian recommends the configuration of a kernel's source beside it.
        command.0.args((wanted.uses == Use::Source).then_some("-oAPT::Install-Recommends=true"));
        command.0.args((wanted.uses == Use::Rootfs).then_some("?essential")).args(&wanted.names);
        let output = command.run("resolving packages").map_err(|error| match error {
            Error::Tool { output, .. } => Error::MissingPackage(reasons(&output)),
            other => other,
        })?;
        let text = String::from_utf8_lossy(&output);
        let packages = text.lines().filter_map(|line| lock::parse_uri_line(line, sources, wanted.uses));
        let named = |package: &Package| {
            wanted.only.is_empty() || wanted.only.iter().any(|start| package.name.starts_with(start))
        };
        Ok(packages.filter(named).collect())
    }

    /// Gets every package of a lock that the store lacks.
    pub fn fetch(
        &self,
        lock: &Lock,
        request: &PackageRequest,
        sources: &[Source],
        offline: bool,
        progress: &mut Progress,
    ) -> Result<()> {
        let missing: Vec<&Package> =
            lock.packages.iter().filter(|package| !self.path(&package.sha256).exists()).collect();
        let Some(example) = missing.first() else { return Ok(()) };
        if offline {
            return Err(Error::Offline { missing: missing.len(), example: example.name.clone() });
        }
        let config = self.configure(request, sources)?;
        let total: u64 = missing.iter().map(|package| package.size).sum();
        let mut done = 0;
        // Batches bound the length of the command line and show progress.
        for batch in missing.chunks(64) {
            self.fetch_batch(&config, batch, sources)?;
            done += batch.iter().map(|package| package.size).sum::<u64>();
            progress.bytes(done, total);
        }
        Ok(())
    }

    fn fetch_batch(&self, config: &Path, batch: &[&Package], sources: &[Source]) -> Result<()> {
        let incoming = tempfile::Builder::new()
            .prefix("incoming-")
            .tempdir_in(&self.debs)
            .map_err(Error::io("creating a directory in", &self.debs))?;
        let mut command = apt(config, "/usr/lib/apt/apt-helper");
        command.0.arg("download-file");
        for package in batch {
            let uri = package.uri(sources).ok_or(Error::NoSources)?;
            command.0.arg(uri).arg(incoming.path().join(package.sha256.to_string()));
            command.0.arg(format!("SHA256:{}", package.sha256));
        }
        let result = command.run("downloading packages");
        let mut failed = None;
        for package in batch {
            let file = incoming.path().join(package.sha256.to_string());
            if file.exists() && digest_of(&file)? == package.sha256 {
                fs::rename(&file, self.path(&package.sha256)).map_err(Error::io("storing", file))?;
            } else {
                failed = failed.or(Some(package));
            }
        }
        match (failed, result) {
            (None, _) => Ok(()),
            (Some(package), result) => Err(Error::Changed {
                package: format!("{} {}", package.name, package.version),
                detail: match result {
                    Err(Error::Tool { output, .. }) => reasons(&output),
                    Err(other) => return Err(other),
                    Ok(_) => "another content was delivered".into(),
                },
            }),
        }
    }

    /// Where the store keeps a package.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.debs.join(format!("{digest}.deb"))
    }

    /// Makes a flat repository of the packages of a lock in `directory`, with every digest checked.
    pub fn repository<'l>(
        &self,
        packages: impl Iterator<Item = &'l Package>,
        epoch: u64,
        directory: &Path,
    ) -> Result<()> {
        let mut index = String::new();
        for package in packages {
            let file = format!("{}.deb", package.sha256);
            let stored = self.path(&package.sha256);
            let found = digest_of(&stored)?;
            if found != package.sha256 {
                fs::remove_file(&stored).ok();
                return Err(Error::Mismatch {
                    path: format!("package {} in the content store", package.name),
                    property: "SHA-256",
                    expected: package.sha256.to_string(),
                    found: found.to_string(),
                });
            }
            symlink(&stored, directory.join(&file)).map_err(Error::io("linking", &stored))?;
            let control = self.control(package)?;
            writeln!(
                index,
                "{}\nFilename: ./{file}\nSize: {}\nSHA256: {}\n",
                control.trim_end(),
                package.size,
                package.sha256
            )
            .ok();
        }
        let release = format!(
            "Suite: {SUITE}\nCodename: {SUITE}\nDate: {}\nSHA256:\n {} {} Packages\n",
            rfc822(epoch),
            Sha256::of(index.as_bytes()),
            index.len()
        );
        for (name, text) in [("Packages", index), ("Release", release)] {
            let path = directory.join(name);
            fs::write(&path, text).map_err(Error::io("writing", path))?;
        }
        Ok(())
    }

    /// The control fields of a package, kept beside it because unpacking them takes most of the time.
    fn control(&self, package: &Package) -> Result<String> {
        let path = self.debs.join(format!("{}.control", package.sha256));
        if let Ok(text) = fs::read_to_string(&path) {
            return Ok(text);
        }
        let deb = self.path(&package.sha256);
        let bytes = host::output(Command::new("dpkg-deb").arg("--field").arg(deb), "reading a package")?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let temporary = path.with_extension("control-new");
        fs::write(&temporary, &text).map_err(Error::io("writing", &temporary))?;
        fs::rename(&temporary, &path).map_err(Error::io("renaming", &temporary))?;
        Ok(text)
    }

    /// Writes an apt configuration that shares nothing with the machine's.
    fn configure(&self, request: &PackageRequest, sources: &[Source]) -> Result<PathBuf> {
        if !Path::new(KEYRING).exists() {
            return Err(Error::MissingTool { program: KEYRING, package: "debian-archive-keyring" });
        }
        let names = [&request.components, &request.architectures, &request.suites];
        let names = names.map(|names| names.join("+"));
        let root = self.apt.join(names.join("-").trim_end_matches('-'));
        for directory in ["etc", "cache/archives/partial"] {
            let path = root.join(directory);
            fs::create_dir_all(&path).map_err(Error::io("creating", path))?;
        }
        let lists = self.apt.join("state/lists/partial");
        fs::create_dir_all(&lists).map_err(Error::io("creating", lists))?;
        let write = |name: &str, text: String| {
            let path = root.join(name);
            fs::write(&path, text).map_err(Error::io("writing", &path)).map(|()| path)
        };
        write("etc/debian.sources", stanzas(request, sources))?;
        write("status", String::new())?;
        write("apt.conf", configuration(&root, &self.apt.join("state"), request))
    }
}

fn stanzas(request: &PackageRequest, sources: &[Source]) -> String {
    let mut text = String::new();
    let components = request.components.join(" ");
    let mut stanza = |uri: &str, suites: &str, more: &str| {
        write!(
            text,
            "Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: {components}\nSigned-By: {KEYRING}\n{more}\n"
        )
        .ok();
    };
    for source in sources {
        match source.archive {
            Archive::Security => stanza(&source.uri, &format!("{SUITE}-security"), ""),
            Archive::Debian => {
                stanza(&source.uri, &format!("{SUITE} {SUITE}-updates"), "");
                // Nothing of these suites enters an image, and a mirror may be weeks late with them.
                for suite in &request.suites {
                    stanza(&source.uri, suite, "Check-Valid-Until: no\n");
                }
            }
        }
    }
    text
}

fn configuration(root: &Path, state: &Path, request: &PackageRequest) -> String {
    let (root, state) = (root.display(), state.display());
    let architectures: String = request.architectures.iter().map(|arch| format!("\"{arch}\"; ")).collect();
    format!(
        "Dir::State \"{state}\";\nDir::State::status \"{root}/status\";\nDir::Cache \"{root}/cache\";\n\
         Dir::Etc::sourcelist \"{root}/etc/debian.sources\";\nDir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::parts \"/dev/null\";\nDir::Etc::main \"/dev/null\";\nDir::Etc::preferences \"/dev/null\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\nAPT::Architecture \"amd64\";\n\
         APT::Architectures {{ {architectures}}};\nAPT::Install-Recommends \"false\";\n\
         Acquire::Languages \"none\";\nAPT::Sandbox::User \"\";\nAcquire::Retries \"3\";\n\
         APT::Default-Release \"/^{SUITE}(|-updates|-security)$/\";\n"
    )
}

struct Apt(Command);

fn apt(config: &Path, program: &str) -> Apt {
    let mut command = Command::new(program);
    command.env("APT_CONFIG", config);
    Apt(command)
}

impl Apt {
    fn arg(mut self, arg: &str) -> Self {
        self.0.arg(arg);
        self
    }

    fn run(&mut self, purpose: &str) -> Result<Vec<u8>> {
        host::output(&mut self.0, purpose)
    }
}

/// The lines in which apt says why.
fn reasons(output: &str) -> String {
    let lines: Vec<_> = output
        .lines()
        .filter_map(|line| line.strip_prefix("E: ").or_else(|| line.strip_prefix("Err:")))
        .collect();
    if lines.is_empty() { output.to_owned() } else { lines.join("; ") }
}

/// SHA-256 of a file's content.
pub fn digest_of(path: &Path) -> Result<Digest> {
    let mut file = fs::File::open(path).map_err(Error::io("opening", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(Error::io("reading", path))? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// The newest `Date` of the archives' indexes, as Unix time.
fn newest_index(lists: &Path) -> Result<u64> {
    let entries = fs::read_dir(lists).map_err(Error::io("reading", lists))?;
    let newest = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with("Release"))
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .filter_map(|text| text.lines().find_map(|line| parse_rfc822(line.strip_prefix("Date: ")?)))
        .max();
    newest.ok_or_else(|| Error::MissingPackage("no package index was delivered".into()))
}
