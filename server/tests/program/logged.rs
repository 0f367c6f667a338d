//! A process that serves, with its log and what it tells the service manager.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixDatagram,
    process::Stdio,
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::program::{Place, Served};

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Logged {
    pub(crate) served: Served,
    lines: Receiver<String>,
    manager: UnixDatagram,
}

impl Logged {
    /// Starts with the log that the configuration asks for.
    pub(crate) fn start(place: &Place) -> Self {
        let socket = place.path("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = place.command(&["serve"]);
        command.env_remove("RUST_LOG").env("NOTIFY_SOCKET", &socket).stderr(Stdio::piped());
        let mut served = Served::start(command);
        let stderr = BufReader::new(served.child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // To the end, whoever listens: a pipe that is full would stop the process.
            for line in stderr.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let logged = Self { served, lines, manager };
        assert_eq!(logged.told(), "READY=1\n");
        logged
    }

    /// The next message to the service manager that is no sign of life.
    pub(crate) fn told(&self) -> String {
        loop {
            let mut message = [0; 512];
            let length = self.manager.recv(&mut message).unwrap();
            if !message.starts_with(b"WATCHDOG") {
                return String::from_utf8(message[..length].to_vec()).unwrap();
            }
        }
    }

    /// Asks for the configuration to be read again, and waits until that was done; what was logged meanwhile.
    pub(crate) fn reload(&self) -> Vec<String> {
        self.served.signal(Signal::SIGHUP);
        let began = self.told();
        assert!(began.contains("RELOADING=1\n") && began.contains("MONOTONIC_USEC="), "{began}");
        let ended = self.told();
        assert!(ended.starts_with("READY=1\n") && ended.contains("STATUS=serving"), "{ended}");
        let mut lines = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a line that tells of the configuration");
            let last = line.contains("the configuration was read again")
                || line.contains("the former configuration stays in use");
            lines.push(line);
            if last {
                return lines;
            }
        }
    }
}

/// Adds sections to the configuration of a place, or lines to sections that it has.
pub(crate) fn configure(place: &Place, changes: &[(&str, &str)]) {
    let path = place.path("config.toml");
    let mut text = fs::read_to_string(&path).unwrap();
    for (section, lines) in changes {
        let head = format!("[{section}]\n");
        match text.find(&head) {
            Some(at) => text.insert_str(at + head.len(), &format!("{lines}\n")),
            None => text.push_str(&format!("{head}{lines}\n")),
        }
    }
    fs::write(path, text).unwrap();
}

/// The whole answer to a request as it is written here; empty when the connection was closed at once.
pub(crate) fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut all = Vec::new();
    // What is closed at once may refuse the request before or after it is written.
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}
