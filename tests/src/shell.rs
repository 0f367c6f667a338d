//! A root or user shell on the serial console: commands in, exit status and output out.

use std::time::Duration;

use crate::{error::Error, host::patience, serial::Serial};

/// A shell that has shown its prompt.
#[derive(Debug)]
pub struct Shell<'a> {
    serial: &'a mut Serial,
    count: u32,
}

impl<'a> Shell<'a> {
    /// Logs in at a prompt of getty that ends with `login: `.
    pub fn log_in(serial: &'a mut Serial, user: &str, password: &str) -> Result<Self, Error> {
        serial.send(&format!("{user}\r"))?;
        serial.expect("Password:", patience(60))?;
        serial.send(&format!("{password}\r"))?;
        match serial.expect_any(&["$ ", "# ", "Login incorrect"], patience(90))? {
            (2, _) => Err(Error::Command {
                command: format!("login {user}"),
                status: 1,
                output: "Login incorrect".to_owned(),
            }),
            _ => Self::attach(serial),
        }
    }

    /// Takes over a shell that waits for input, or will.
    pub fn attach(serial: &'a mut Serial) -> Result<Self, Error> {
        let mut shell = Self { serial, count: 0 };
        // Kernel messages in the middle of an answer would be taken for output.
        shell.run("PS1=; PROMPT_COMMAND=; export TERM=dumb; stty -echo; dmesg -n 1 2>/dev/null || true")?;
        Ok(shell)
    }

    /// Runs a command, which must not read its standard input; returns its exit status and its output.
    pub fn status(&mut self, command: &str, limit: Duration) -> Result<(i32, String), Error> {
        self.begin(command)?;
        self.finish(limit)
    }

    fn finish(&mut self, limit: Duration) -> Result<(i32, String), Error> {
        let end = format!("\nEND-{}-", self.count);
        let before = self.serial.expect(&end, limit)?;
        let status = self.serial.expect("\n", patience(30))?;
        let output = before.strip_suffix(&end).unwrap_or(&before).to_owned();
        Ok((status.trim().parse().map_err(|_not_a_number| not_a_status(&status))?, output))
    }

    fn begin(&mut self, command: &str) -> Result<(), Error> {
        self.count += 1;
        let count = self.count;
        // The marks are put together by the shell, so that the echo of the command is not taken for them.
        let separator = if command.contains('\n') { "\n" } else { "; " };
        let line = format!(
            " printf '\\n%s\\n' BEGIN''-{count}-; {command}{separator}printf '\\n%s-%d\\n' END''-{count} $?\n"
        );
        self.serial.send(&line.replace('\n', "\r"))?;
        self.serial.expect(&format!("\nBEGIN-{count}-\n"), patience(90)).map(drop)
    }

    /// As [`Shell::status`], with each line of output handed over as it comes. `limit` is for one line.
    pub fn follow<E: From<Error>>(
        &mut self,
        command: &str,
        limit: Duration,
        mut each: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<i32, E> {
        self.begin(command)?;
        let end = format!("END-{}-", self.count);
        loop {
            let line = self.serial.expect("\n", limit)?;
            match line.trim().strip_prefix(&end) {
                Some(status) => return status.parse().map_err(|_not_a_number| not_a_status(status).into()),
                None => each(line.trim())?,
            }
        }
    }

    /// Runs a command that must succeed; returns its output without surrounding white space.
    pub fn run(&mut self, command: &str) -> Result<String, Error> {
        self.run_within(command, patience(120))
    }

    /// As [`Shell::run`], with a limit of its own.
    pub fn run_within(&mut self, command: &str, limit: Duration) -> Result<String, Error> {
        match self.status(command, limit)? {
            (0, output) => Ok(output.trim().to_owned()),
            (status, output) => Err(Error::Command { command: command.to_owned(), status, output }),
        }
    }

    /// Starts a command that ends the shell or takes over the console, and does not wait for it.
    pub fn leave_with(self, command: &str) -> Result<(), Error> {
        self.serial.send(&format!("{command}\r"))
    }
}

fn not_a_status(text: &str) -> Error {
    Error::Format { what: text.to_owned(), problem: "not an exit status".to_owned() }
}
