//! The serial console: a log on disk, a VT100 screen, and expectations over both.
//!
//! Invariant: every byte that the guest sends is in the log before an expectation can see it.

mod keys;
mod terminal;

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

pub use keys::Key;
use terminal::Terminal;

use crate::error::{Console, Error};

/// Lines of the log that a failure shows.
const TAIL_LINES: usize = 40;

/// The terminal at the other end of a guest's serial line.
#[derive(Debug)]
pub struct Serial {
    shared: Arc<Shared>,
    log: PathBuf,
    started: Instant,
    refused: Vec<String>,
    cursor: usize,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    input: Mutex<Box<dyn WriteToGuest>>,
}

trait WriteToGuest: Write + Send + std::fmt::Debug {}
impl<T: Write + Send + std::fmt::Debug> WriteToGuest for T {}

#[derive(Debug)]
struct State {
    terminal: Terminal,
    ended: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Serial {
    /// Starts to read what the guest sends and logs it in the file `log`.
    pub fn new<O, I>(output: O, input: I, log: &Path) -> Result<Self, Error>
    where
        O: Read + Send + 'static,
        I: Write + Send + std::fmt::Debug + 'static,
    {
        let file = File::create(log).map_err(Error::io("create", log))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State { terminal: Terminal::new(), ended: false }),
            changed: Condvar::new(),
            input: Mutex::new(Box::new(input)),
        });
        let reader = Arc::clone(&shared);
        thread::spawn(move || reader.follow(output, file));
        let refused = vec!["Kernel panic - not syncing".to_owned()];
        Ok(Self { shared, log: log.to_path_buf(), started: Instant::now(), refused, cursor: 0 })
    }

    /// Makes every later expectation fail at once when one of these texts comes.
    pub fn refuse(&mut self, texts: &[&str]) {
        self.refused.extend(texts.iter().map(|text| (*text).to_owned()));
    }

    /// Waits for a text in what came since the last expectation; returns what came up to its end.
    pub fn expect(&mut self, text: &str, limit: Duration) -> Result<String, Error> {
        self.expect_any(&[text], limit).map(|(_, before)| before)
    }

    /// Waits for the first of several texts; returns its index and what came up to its end.
    pub fn expect_any(&mut self, texts: &[&str], limit: Duration) -> Result<(usize, String), Error> {
        let from = self.cursor;
        let wanted = format!("{} on the console", quoted(texts));
        let (index, end, before) = self.wait(&wanted, limit, |terminal| {
            let new = &terminal.text()[from..];
            let hit = texts.iter().enumerate().filter_map(|(i, text)| Some((new.find(text)?, i, text.len())));
            hit.min().map(|(at, i, length)| (i, from + at + length, new[..at + length].to_owned()))
        })?;
        self.cursor = end;
        Ok((index, before))
    }

    /// Waits for a line that contains the text, to its end; returns the line.
    pub fn expect_line(&mut self, text: &str, limit: Duration) -> Result<String, Error> {
        let from = self.cursor;
        let wanted = format!("a line with {text:?} on the console");
        let (end, line) = self.wait(&wanted, limit, |terminal| {
            let new = &terminal.text()[from..];
            let at = new.find(text)?;
            let start = new[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let end = at + new[at..].find('\n')?;
            Some((from + end, new[start..end].to_owned()))
        })?;
        self.cursor = end;
        Ok(line)
    }

    /// Waits until the screen contains the text; returns the screen.
    pub fn expect_screen(&mut self, text: &str, limit: Duration) -> Result<String, Error> {
        self.expect_screen_any(&[text], limit).map(|(_, screen)| screen)
    }

    /// Waits until the screen contains one of the texts; returns its index and the screen.
    ///
    /// Everything that came until then counts as seen by this expectation.
    pub fn expect_screen_any(&mut self, texts: &[&str], limit: Duration) -> Result<(usize, String), Error> {
        let wanted = format!("{} on the screen", quoted(texts));
        let (index, screen, end) = self.wait(&wanted, limit, |terminal| {
            let screen = terminal.screen();
            let index = texts.iter().position(|text| screen.contains(text))?;
            Some((index, screen, terminal.text().len()))
        })?;
        self.cursor = end;
        Ok((index, screen))
    }

    /// Waits until the guest's end of the line is closed, which is when QEMU has ended.
    pub fn expect_end(&mut self, limit: Duration) -> Result<(), Error> {
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(lock(&self.shared.state), limit, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            let console = self.console(&state.terminal);
            return Err(Error::Timeout { wanted: "the machine's end".to_owned(), after: limit, console });
        }
        Ok(())
    }

    /// Types text.
    pub fn send(&self, text: &str) -> Result<(), Error> {
        self.shared.send(text.as_bytes()).map_err(Error::io("type on the console of", &self.log))
    }

    /// Presses keys, one after the other.
    pub fn press(&self, keys: &[Key]) -> Result<(), Error> {
        keys.iter().try_for_each(|key| self.send(&key.sequence()))
    }

    /// Everything that came until now, without escape sequences.
    pub fn text(&self) -> String {
        lock(&self.shared.state).terminal.text().to_owned()
    }

    /// What the screen shows now.
    pub fn screen(&self) -> String {
        lock(&self.shared.state).terminal.screen()
    }

    /// Whether a line with this text came at any time.
    pub fn has_seen(&self, text: &str) -> bool {
        lock(&self.shared.state).terminal.text().contains(text)
    }

    /// Time since the machine was started.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn wait<T>(
        &self,
        wanted: &str,
        limit: Duration,
        mut look: impl FnMut(&Terminal) -> Option<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.shared.state);
        loop {
            if let Some(found) = look(&state.terminal) {
                return Ok(found);
            }
            let new = &state.terminal.text()[self.cursor..];
            let wanted = || wanted.to_owned();
            if let Some(found) = self.refused.iter().find(|text| new.contains(*text)) {
                let console = self.console(&state.terminal);
                return Err(Error::Refused { wanted: wanted(), found: found.clone(), console });
            }
            if state.ended {
                return Err(Error::Ended { wanted: wanted(), console: self.console(&state.terminal) });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let console = self.console(&state.terminal);
                return Err(Error::Timeout { wanted: wanted(), after: limit, console });
            }
            (state, _) =
                self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn console(&self, terminal: &Terminal) -> Console {
        let lines: Vec<_> = terminal.text().lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        Console { screen: terminal.screen(), tail, log: self.log.clone() }
    }
}

impl Shared {
    fn follow(&self, mut output: impl Read, mut log: File) {
        let mut buffer = [0; 4096];
        loop {
            let count = match output.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            // A full disk must not look like a silent guest: the expectations still see the bytes.
            if let Err(error) = log.write_all(&buffer[..count]) {
                eprintln!("cannot write the console log: {error}");
            }
            let answer = {
                let mut state = lock(&self.state);
                state.terminal.feed(&buffer[..count]);
                state.terminal.take_answer()
            };
            self.changed.notify_all();
            if !answer.is_empty() && self.send(&answer).is_err() {
                break;
            }
        }
        lock(&self.state).ended = true;
        self.changed.notify_all();
    }

    fn send(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut input = lock(&self.input);
        input.write_all(bytes)?;
        input.flush()
    }
}

fn quoted(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" or ")
}
