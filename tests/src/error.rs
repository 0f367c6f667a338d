//! Why the harness could not go on; a failed expectation carries what the console showed.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use aegis_core::report::{self, Hint};

/// What a test returns.
pub type TestResult = Result<(), Failure>;

/// An error of the harness or of the system under test.
#[derive(Debug)]
pub enum Error {
    /// A program or firmware file that is not on this machine.
    Missing {
        /// The program or file.
        what: String,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// There is no built medium to test.
    NoIso {
        /// Where it was looked for.
        searched: PathBuf,
        /// The edition.
        edition: String,
        /// The variable that names it directly.
        variable: String,
    },
    /// An operation on a file failed.
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The builder failed.
    Build(aegis_boot::error::Error),
    /// A helper program failed.
    Program {
        /// Its name.
        name: &'static str,
        /// Why.
        output: String,
    },
    /// QEMU's monitor refused a command or could not be reached.
    Qmp {
        /// The command.
        command: String,
        /// The answer.
        reason: String,
    },
    /// What was waited for did not come in time.
    Timeout {
        /// What was waited for.
        wanted: String,
        /// For how long.
        after: Duration,
        /// What the console showed.
        console: Console,
    },
    /// The machine ended while something was waited for.
    Ended {
        /// What was waited for.
        wanted: String,
        /// What the console showed.
        console: Console,
    },
    /// The console showed what it must not.
    Refused {
        /// What was waited for.
        wanted: String,
        /// The pattern that came instead.
        found: String,
        /// What the console showed.
        console: Console,
    },
    /// QEMU ended with another status than success.
    Status {
        /// The status.
        status: ExitStatus,
        /// What QEMU wrote on stderr.
        stderr: String,
    },
    /// A command in the guest failed.
    Command {
        /// The command.
        command: String,
        /// Its exit status.
        status: i32,
        /// Its output.
        output: String,
    },
    /// A picture or disk image that is not what it should be.
    Format {
        /// What was read.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The state of a console at the moment of a failure.
#[derive(Clone, Debug, Default)]
pub struct Console {
    /// The screen, row by row.
    pub screen: String,
    /// The last lines of the log.
    pub tail: String,
    /// The whole log.
    pub log: PathBuf,
}

impl Error {
    /// For `map_err` of an operation on a file.
    pub fn io(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { operation, path, source }
    }

    fn console(&self) -> Option<&Console> {
        match self {
            Self::Timeout { console, .. } | Self::Ended { console, .. } | Self::Refused { console, .. } => {
                Some(console)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { what, .. } => write!(f, "{what} is not on this machine"),
            Self::NoIso { searched, edition, .. } => {
                write!(f, "no medium of edition {edition} in {}", searched.display())
            }
            Self::Io { operation, path, .. } => write!(f, "cannot {operation} {}", path.display()),
            Self::Build(_) => f.write_str("the builder failed"),
            Self::Program { name, output } => write!(f, "{name} failed: {}", output.trim()),
            Self::Qmp { command, reason } => write!(f, "QEMU's monitor refused {command}: {reason}"),
            Self::Timeout { wanted, after, .. } => {
                write!(f, "waited {:.0} s in vain for {wanted}", after.as_secs_f64())
            }
            Self::Ended { wanted, .. } => write!(f, "the machine ended before {wanted}"),
            Self::Refused { wanted, found, .. } => write!(f, "{found:?} came instead of {wanted}"),
            Self::Status { status, stderr } => write!(f, "QEMU ended with {status}: {}", stderr.trim()),
            Self::Command { command, status, output } => {
                write!(f, "`{command}` in the guest ended with {status}: {}", output.trim())
            }
            Self::Format { what, problem } => write!(f, "{what}: {problem}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Build(source) => Some(source),
            _ => None,
        }
    }
}

impl From<aegis_boot::error::Error> for Error {
    fn from(error: aegis_boot::error::Error) -> Self {
        Self::Build(error)
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Build(error) => error.hint(),
            Self::Missing { package, .. } => Some(format!("install it: apt install {package}")),
            Self::NoIso { edition, variable, .. } => {
                Some(format!("build one: make iso EDITION={edition}, or name one in {variable}"))
            }
            _ => self.console().map(|c| format!("read the whole console log: {}", c.log.display())),
        }
    }
}

/// What a test ends with: its `Debug` form, which the test runner prints, is made for people.
pub struct Failure(String);

impl Failure {
    /// A failure with a message of the test's own.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut text = report::render(&error);
        if let Some(console) = error.console() {
            text.push_str(&format!(
                "\n--- screen ---\n{}\n--- last lines ---\n{}\n---",
                console.screen, console.tail
            ));
        }
        Self(text)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
