//! Running programs of the building machine, with errors that a person can use.

use std::{
    collections::VecDeque,
    env,
    io::{self, BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{ChildStdout, Command, Stdio},
    thread,
};

use crate::error::{Error, Result};

/// Programs of the building machine and the Debian packages that have them.
pub const TOOLS: &[(&str, &str)] = &[("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("mmdebstrap", "mmdebstrap")];

/// Where a program is, or an error that names its package.
pub fn find(program: &'static str, package: &'static str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        // Debian keeps some tools where an ordinary user's PATH does not look.
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or(Error::MissingTool { program, package })
}

/// Refuses to start when a program is missing, before anything was done.
pub fn require_tools() -> Result<()> {
    TOOLS.iter().try_for_each(|(program, package)| find(program, package).map(drop))
}

/// Runs to the end and returns standard output; an error carries the last lines of standard error.
pub fn output(command: &mut Command, purpose: &str) -> Result<Vec<u8>> {
    feed(command, purpose, |_| Ok(()))
}

/// Runs to the end; `line` sees each line of standard output when it is printed.
pub fn lines(command: &mut Command, purpose: &str, mut line: impl FnMut(&str) + Send) -> Result<()> {
    let read = |pipe: ChildStdout| {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            line(String::from_utf8_lossy(&bytes).trim_end());
            bytes.clear();
        }
        Ok(Vec::new())
    };
    run(command, purpose, |_| Ok(()), read).map(drop)
}

/// As [`output`], with a function that writes the program's standard input.
pub fn feed(
    command: &mut Command,
    purpose: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<Vec<u8>> {
    run(command, purpose, write, |mut pipe| {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    })
}

fn run(
    command: &mut Command,
    purpose: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
    read: impl FnOnce(ChildStdout) -> io::Result<Vec<u8>> + Send,
) -> Result<Vec<u8>> {
    // Same inputs, same bytes: nothing of the person's environment may reach a tool.
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().to_string_lossy().into_owned();
    let tool = name(command);
    let mut child = command.spawn().map_err(Error::io("starting", &program))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (written, out, errors) = thread::scope(|scope| {
        let errors = scope.spawn(|| last_lines(stderr));
        let out = scope.spawn(|| stdout.map_or(Ok(Vec::new()), read));
        let written = match stdin {
            Some(mut pipe) => write(&mut pipe),
            None => Ok(()),
        };
        (written, out.join(), errors.join().unwrap_or_default())
    });
    let status = child.wait().map_err(Error::io("waiting for", &program))?;
    if !status.success() {
        let output = if errors.is_empty() { status.to_string() } else { errors };
        return Err(Error::Tool { program: tool, purpose: purpose.into(), output });
    }
    written?;
    out.unwrap_or_else(|_| Ok(Vec::new())).map_err(Error::io("reading from", program))
}

fn name(command: &Command) -> String {
    // A tool from the tools tree is started by its own dynamic loader: the tool is the first path after it.
    let program = command.get_program().to_string_lossy().into_owned();
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let tool = if program.contains("ld-linux") { args.get(2).cloned().unwrap_or(program) } else { program };
    tool.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Keeps what explains a failure without keeping a log of megabytes.
fn last_lines(pipe: Option<impl Read>) -> String {
    let mut lines = VecDeque::new();
    let Some(pipe) = pipe else { return String::new() };
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
        if lines.len() > 12 {
            lines.pop_front();
        }
    }
    Vec::from(lines).join("\n")
}
