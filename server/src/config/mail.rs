//! How letters go out: into a folder, or to a mail server.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::STATE;
use crate::{
    Error, Result,
    mail::{self, Protection},
};

/// Bytes of a file that holds a password.
const PASSWORD: u64 = 4096;

/// How letters go out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// The folder that letters are put into, for a program that delivers them; unused with `smtp`.
    pub folder: PathBuf,
    /// The mail server that takes them instead.
    pub smtp: Option<Smtp>,
}

impl Default for Mail {
    fn default() -> Self {
        Self { folder: Path::new(STATE).join("mail"), smtp: None }
    }
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Its name, which its certificate has, or its address.
    pub host: String,
    /// Its port; without one 465 for `tls`, 587 for `starttls` and 25 for `plain`.
    #[serde(default)]
    pub port: Option<u16>,
    /// `tls`, `starttls`, or `plain` for a server on this machine.
    #[serde(default)]
    pub protection: Protection,
    /// Whom it asks for.
    #[serde(default)]
    pub user: Option<String>,
    /// A file with the password and nothing else, for its owner alone.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Whom letters are from, such as `Aegis OS <no-reply@example.org>`.
    pub from: String,
}

impl Mail {
    /// Without reading the password.
    pub(super) fn check(&self) -> Result<()> {
        let Some(smtp) = &self.smtp else { return Ok(()) };
        if smtp.host.is_empty() || smtp.host.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong("host", "is no name of a server", "write such as mail.example.org"));
        }
        if smtp.port == Some(0) {
            return Err(wrong("port", "is 0", "write 465 for tls, 587 for starttls, or leave it out"));
        }
        match (&smtp.user, &smtp.password_file) {
            (Some(_), None) => {
                return Err(wrong(
                    "password_file",
                    "is missing beside user",
                    "name a file with the password",
                ));
            }
            (None, Some(_)) => {
                return Err(wrong("user", "is missing beside password_file", "name whose password it is"));
            }
            _ => {}
        }
        smtp.server(None).map(drop)
    }
}

impl Smtp {
    /// The server, with the password from its file. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`], which names the key; [`Error::Io`] when the file cannot be read.
    pub fn open(&self) -> Result<mail::Smtp> {
        let password = self.password_file.as_deref().map(password).transpose()?;
        self.server(self.user.clone().zip(password))
    }

    fn server(&self, credentials: Option<(String, String)>) -> Result<mail::Smtp> {
        let port = self.port.unwrap_or(match self.protection {
            Protection::Tls => 465,
            Protection::StartTls => 587,
            Protection::Plain => 25,
        });
        mail::Smtp::new(&self.host, port, self.protection, credentials, &self.from)
    }
}

fn password(path: &Path) -> Result<String> {
    let refused = |problem: &str, hint: &str| {
        wrong("password_file", &format!("names {}, which {problem}", path.display()), hint)
    };
    let about = fs::metadata(path).map_err(Error::io("reading", path))?;
    if about.permissions().mode() & 0o077 != 0 {
        let hint = format!("chmod 600 {}", path.display());
        return Err(refused("can be read by others than its owner", &hint));
    }
    let hint = "put the password into it, in one line";
    if about.len() > PASSWORD {
        return Err(refused("is too long for a password", hint));
    }
    let text = fs::read_to_string(path).map_err(Error::io("reading", path))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.contains(['\n', '\r', '\0']) {
        return Err(refused("does not hold one line", hint));
    }
    Ok(line.to_owned())
}

fn wrong(key: &str, problem: &str, hint: &str) -> Error {
    Error::Config { place: format!("mail.smtp.{key}"), problem: problem.into(), hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use aegis_core::report::{Hint, render};

    use super::*;

    fn read(text: &str) -> Result<Mail, String> {
        let mail: Mail = toml::from_str(text).map_err(|error| error.to_string())?;
        mail.check().map_err(|error| render(&error))?;
        Ok(mail)
    }

    const PLAIN: &str = "[smtp]\nhost = \"localhost\"\nprotection = \"plain\"\nfrom = \"A <a@b.example>\"\n";

    #[test]
    fn a_folder_is_the_default_and_a_server_is_taken() {
        assert_eq!(read("").unwrap(), Mail::default());
        let mail = read(PLAIN).unwrap().smtp.unwrap();
        assert_eq!((mail.protection, mail.port, mail.user), (Protection::Plain, None, None));
        assert!(mail::Smtp::new("localhost", 25, Protection::Plain, None, &mail.from).is_ok());
    }

    #[test]
    fn mistakes_name_their_key_and_the_next_step() {
        for (text, words) in [
            (PLAIN.replace("localhost", "mail.example.org"), "mail.smtp.host"),
            (PLAIN.replace("localhost", ""), "mail.smtp.host"),
            (PLAIN.replace("localhost", "a b"), "mail.smtp.host"),
            (PLAIN.replace("A <a@b.example>", "nobody"), "mail.smtp.from"),
            (format!("{PLAIN}port = 0\n"), "mail.smtp.port"),
            (format!("{PLAIN}user = \"u\"\n"), "mail.smtp.password_file"),
            (format!("{PLAIN}password_file = \"/x\"\n"), "mail.smtp.user"),
        ] {
            let told = read(&text).unwrap_err();
            assert!(told.contains(words) && told.contains("next:"), "{words}: {told}");
        }
        for (text, words) in [
            (format!("{PLAIN}password = \"secret\"\n"), "password"),
            (PLAIN.replace("plain", "none"), "protection"),
            (format!("{PLAIN}port = 70000\n"), "70000"),
            ("[smtp]\nfrom = \"a@b.de\"\n".into(), "host"),
        ] {
            assert!(read(&text).unwrap_err().contains(words), "{words}");
        }
    }

    #[test]
    fn a_password_is_one_line_of_a_file_of_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let with = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            password(&path)
        };
        assert_eq!(with(" pass word \n", 0o600).unwrap(), " pass word ");
        assert_eq!(with("x\r\n", 0o400).unwrap(), "x");
        for (text, mode) in
            [("x", 0o640), ("", 0o600), ("\n", 0o600), ("a\nb\n", 0o600), (&"x".repeat(5000), 0o600)]
        {
            let error = with(text, mode).unwrap_err();
            assert!(
                error.to_string().contains("mail.smtp.password_file") && error.hint().is_some(),
                "{error}"
            );
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(password(&path), Err(Error::Io { .. })));
    }
}
