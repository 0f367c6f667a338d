//! Keeps the machine awake while something is written.
//!
//! logind grants such a lock to whoever holds a file descriptor, and `systemd-inhibit` speaks its protocol: it holds the lock
//! for as long as its child runs, which here is a `cat` that waits at a pipe of ours. However this program ends, the pipe
//! closes and the lock is given back.

use std::{
    fmt,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

const PROGRAM: &str = "systemd-inhibit";
/// What is held off: sleep, a restart by somebody else, and what a closed lid does.
const WHAT: &str = "--what=sleep:shutdown:handle-lid-switch";
/// A bus that answers does so at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the program may take to end.
const END: Duration = Duration::from_secs(1);

/// The lock; given back when dropped.
#[derive(Debug)]
pub struct Awake {
    child: Child,
    pipe: Option<ChildStdin>,
}

/// Why there is no lock.
#[derive(Debug)]
pub enum Reason {
    /// The program is not there, or does not start.
    Start(io::Error),
    /// It ended at once.
    Refused(String),
    /// It does not answer.
    Silent,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) if error.kind() == io::ErrorKind::NotFound => {
                write!(f, "there is no {PROGRAM}")
            }
            Self::Start(error) => write!(f, "{PROGRAM} does not start: {error}"),
            Self::Refused(text) if text.is_empty() => write!(f, "{PROGRAM} ended without a word"),
            Self::Refused(text) => write!(f, "{PROGRAM}: {text}"),
            Self::Silent => write!(f, "{PROGRAM} does not answer"),
        }
    }
}

/// Holds off sleep, restarts and what a closed lid does; `why` is shown to who asks for them.
///
/// # Errors
/// [`Reason`]. What is to be done can be done without the lock, unless the machine goes to sleep.
pub fn hold(why: &str) -> Result<Awake, Reason> {
    let mut command = Command::new(PROGRAM);
    command.args([WHAT, "--who=aegis-installer", &format!("--why={why}"), "--mode=block", "cat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Who stops this program from the terminal does not stop the lock before it.
    let mut child = command.process_group(0).spawn().map_err(Reason::Start)?;
    let (pipe, output) = (child.stdin.take(), child.stdout.take());
    let mut awake = Awake { child, pipe };
    // `cat` runs once the lock is held, and then gives this back. A program that ended says why below.
    let _ = awake.pipe.as_mut().map(|pipe| pipe.write_all(b"\n"));
    let (answer, answered) = sync_channel(1);
    thread::spawn(move || {
        let mut byte = [0];
        let read = output.map_or(Ok(0), |mut output| output.read(&mut byte));
        // Who waited may be gone.
        let _ = answer.send(read.is_ok_and(|length| length == 1));
    });
    match answered.recv_timeout(PATIENCE) {
        Ok(true) => Ok(awake),
        Ok(false) => Err(Reason::Refused(awake.last_words())),
        Err(_late) => {
            // A bus that hangs would hold up the end of this program too.
            let _ = awake.child.kill();
            Err(Reason::Silent)
        }
    }
}

impl Awake {
    /// The last line that the program printed; it has ended.
    fn last_words(&mut self) -> String {
        let mut text = Vec::new();
        if let Some(errors) = self.child.stderr.take() {
            // What it did not say is not needed.
            let _ = errors.take(4096).read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text);
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.pipe = None;
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > END {
                // Its child ends by the closed pipe; only the program itself is left.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
