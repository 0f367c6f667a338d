//! A server of object storage that keeps its files in a folder, and a gate before it that stops, cuts and changes what passes.

use std::{
    env, fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// As `tests/setup` has it.
const PROGRAM: &str = ".cache/aegis/s3s-fs-0.14.1/bin/s3s-fs";
pub(crate) const KEY: &str = "AKIAOFTHETESTS";
pub(crate) const SECRET: &str = "a secret/of+the tests";
const BUCKET: &str = "aegis-files";

/// The server, which ends when this is dropped.
pub(crate) struct Store {
    folder: tempfile::TempDir,
    address: SocketAddr,
    running: Mutex<Option<Child>>,
}

impl Store {
    /// With one empty bucket.
    pub(crate) fn start() -> Self {
        // A port that was free a moment ago: the program does not tell which one it got.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let store = Self { folder: tempfile::tempdir().unwrap(), address, running: Mutex::new(None) };
        fs::create_dir(store.bucket()).unwrap();
        store.go();
        store
    }

    /// Starts it, after [`Self::stop`].
    pub(crate) fn go(&self) {
        let program = PathBuf::from(env::var_os("HOME").expect("HOME")).join(PROGRAM);
        assert!(program.exists(), "s3s-fs is missing: `tests/setup object-storage` installs it");
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let mut command = Command::new(program);
        command.args(["--host", &host, "--port", &port, "--access-key", KEY, "--secret-key", SECRET]);
        let child = command.arg(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        *self.running.lock().unwrap() = Some(child.unwrap());
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "s3s-fs does not start");
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn stop(&self) {
        if let Some(mut child) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// `storage.blobs`.
    pub(crate) fn url(&self) -> String {
        format!("\"s3://{BUCKET}/a/prefix\"")
    }

    /// `[storage.s3]`, with credentials in a file of a folder.
    pub(crate) fn section(&self, endpoint: SocketAddr, folder: &Path, secret: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let file = folder.join("credentials");
        fs::write(&file, format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\n"))
            .unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        format!("[storage.s3]\nendpoint = \"http://{endpoint}\"\ncredentials = \"{}\"\n", file.display())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn bucket(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }

    /// Sizes of the objects that can be seen.
    pub(crate) fn objects(&self) -> Vec<u64> {
        let mut files = Vec::new();
        walk(&self.bucket(), &mut files);
        files.into_iter().map(|(_, size)| size).collect()
    }

    /// Writes something else in the place of the object of a size.
    pub(crate) fn spoil(&self, size: u64, content: &[u8]) {
        let mut files = Vec::new();
        walk(&self.bucket(), &mut files);
        let (path, _) = files.into_iter().find(|(_, found)| *found == size).expect("an object of that size");
        fs::write(path, content).unwrap();
    }

    /// Removes all objects.
    pub(crate) fn clear(&self) {
        fs::remove_dir_all(self.bucket()).unwrap();
        fs::create_dir(self.bucket()).unwrap();
    }

    /// Whether parts of uploads that did not end take room.
    pub(crate) fn has_parts(&self) -> bool {
        let names = fs::read_dir(self.folder.path()).unwrap().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_string_lossy().contains(".part-"))
    }
}

fn walk(folder: &Path, files: &mut Vec<(PathBuf, u64)>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let about = entry.metadata().unwrap();
        if about.is_dir() {
            walk(&entry.path(), files);
        } else {
            files.push((entry.path(), about.len()));
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a gate does to bytes, counted over all connections since [`Gate::set`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rule {
    /// After so many bytes towards the store it lets nothing through, until another rule is set.
    pub(crate) stop_up: Option<u64>,
    /// The byte at this place towards the store is changed.
    pub(crate) change_up: Option<u64>,
    /// After so many bytes towards the client it ends connections.
    pub(crate) cut_down: Option<u64>,
}

#[derive(Default)]
struct State {
    rule: Rule,
    up: u64,
    down: u64,
    stopped: bool,
    changed: bool,
}

/// A port that leads to the store.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Gate {
    /// Listens until the process of the tests ends.
    pub(crate) fn before(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let handed = gate.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(store) else { continue };
                handed.join(client, server);
            }
        });
        gate
    }

    pub(crate) fn set(&self, rule: Rule) {
        *self.state() = State { rule, ..State::default() };
        self.state.1.notify_all();
    }

    /// Waits until something is stopped.
    pub(crate) fn wait_until_stopped(&self) {
        let state = self.state();
        let (state, _) =
            self.state.1.wait_timeout_while(state, Duration::from_secs(60), |state| !state.stopped).unwrap();
        assert!(state.stopped, "so many bytes never came");
    }

    pub(crate) fn has_changed(&self) -> bool {
        self.state().changed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, client: TcpStream, server: TcpStream) {
        let (Ok(client_again), Ok(server_again)) = (client.try_clone(), server.try_clone()) else { return };
        let (up, down) = (self.clone(), self.clone());
        thread::spawn(move || pass(client, server, |bytes| up.up(bytes)));
        thread::spawn(move || pass(server_again, client_again, |bytes| down.down(bytes)));
    }

    fn up(&self, bytes: &mut [u8]) -> bool {
        let mut state = self.state();
        if let Some(place) = state.rule.change_up
            && let Some(byte) =
                place.checked_sub(state.up).and_then(|at| bytes.get_mut(usize::try_from(at).unwrap()))
        {
            *byte ^= 1;
            state.changed = true;
        }
        state.up += bytes.len() as u64;
        while state.rule.stop_up.is_some_and(|most| state.up > most) {
            state.stopped = true;
            self.state.1.notify_all();
            state = self.state.1.wait(state).unwrap();
        }
        true
    }

    fn down(&self, bytes: &mut [u8]) -> bool {
        let mut state = self.state();
        state.down += bytes.len() as u64;
        state.rule.cut_down.is_none_or(|most| state.down <= most)
    }
}

/// Passes bytes on until an end, or until `may` says no.
fn pass(mut from: TcpStream, mut to: TcpStream, may: impl Fn(&mut [u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer)
        && read > 0
    {
        if !may(&mut buffer[..read]) {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
