//! What a person decides: the same values from the screens and from an answer file.
//!
//! Invariant: nothing here looks at a machine. [`Answers::problems`] names everything that breaks a rule.

pub mod rules;

use std::{
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use aegis_core::edition::Edition;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    password::{self, Secret},
};

/// All answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The edition that the medium must have; a guard for answer files that are used on many machines.
    #[serde(default)]
    pub edition: Option<Edition>,
    /// Locale, such as `de_DE.UTF-8`.
    #[serde(default = "default_language")]
    pub language: String,
    /// Keyboard.
    #[serde(default)]
    pub keyboard: Keyboard,
    /// Time zone, such as `Europe/Berlin`.
    #[serde(default = "default_timezone")]
    pub timezone: String,
    /// Name of the machine.
    pub hostname: String,
    /// License key of a paid edition; without it the edition runs with the features of freemium.
    #[serde(default)]
    pub license_key: Option<String>,
    /// License document to install, such as a file on a second stick.
    #[serde(default)]
    pub license_file: Option<PathBuf>,
    /// Which disk. Exactly one must have every property that is given.
    #[serde(default)]
    pub disk: DiskSelector,
    /// The serial number of the disk, or the name of a disk without one: the consent to erase it.
    #[serde(default)]
    pub confirm: Option<String>,
    /// The first user, who may become root by sudo.
    pub user: User,
    /// Network.
    #[serde(default)]
    pub network: Network,
    /// Remote login.
    #[serde(default)]
    pub ssh: Ssh,
}

fn default_language() -> String {
    "C.UTF-8".into()
}

fn default_timezone() -> String {
    "Etc/UTC".into()
}

/// Keyboard layout in the names of X keyboard configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Keyboard {
    /// Layout, such as `de`.
    pub layout: String,
    /// Variant, such as `nodeadkeys`; empty for none.
    #[serde(default)]
    pub variant: String,
}

impl Default for Keyboard {
    fn default() -> Self {
        Self { layout: "us".into(), variant: String::new() }
    }
}

/// Properties of a disk; those that are absent do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSelector {
    /// Serial number.
    #[serde(default)]
    pub serial: Option<String>,
    /// World-wide name.
    #[serde(default)]
    pub wwn: Option<String>,
    /// Model.
    #[serde(default)]
    pub model: Option<String>,
    /// Device node, such as `/dev/vda`; names can change between two starts of a machine.
    #[serde(default)]
    pub path: Option<String>,
    /// Size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
}

/// The first user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Name for people.
    #[serde(default)]
    pub full_name: String,
    /// Hash of the password in a form of crypt(5). Either this or `password`.
    #[serde(default)]
    pub password_hash: Option<String>,
    /// The password itself, which is hashed when the file is read.
    #[serde(default, skip_serializing)]
    pub password: Option<Secret>,
}

/// Network of the installed system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
pub enum Network {
    /// Every wired interface asks a DHCP server.
    #[default]
    Dhcp,
    /// One interface has fixed addresses.
    Static(Static),
}

/// Fixed addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Static {
    /// Interface, such as `enp1s0`.
    pub interface: String,
    /// Address with the length of its prefix, such as `192.0.2.10/24`.
    pub address: String,
    /// Router; none for a network without one.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Name servers.
    #[serde(default)]
    pub dns: Vec<IpAddr>,
}

/// Remote login by SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// Whether the server starts; absent: as the edition does.
    #[serde(default)]
    pub enable: Option<bool>,
    /// Public keys that may log in as the first user.
    #[serde(default)]
    pub authorized_keys: Vec<String>,
}

/// One answer that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the answer, as in the answer file.
    pub field: &'static str,
    /// The rule, such as `must not be empty`.
    pub rule: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}

impl Default for Answers {
    /// What the screens begin with: nothing that has to be chosen is chosen.
    fn default() -> Self {
        Self {
            edition: None,
            language: default_language(),
            keyboard: Keyboard::default(),
            timezone: default_timezone(),
            hostname: String::new(),
            license_key: None,
            license_file: None,
            disk: DiskSelector::default(),
            confirm: None,
            user: User::default(),
            network: Network::default(),
            ssh: Ssh::default(),
        }
    }
}

impl Answers {
    /// Reads an answer file and hashes its password.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map(Secret::new).map_err(Error::io("read", path))?;
        let mut answers = Self::parse(text.reveal(), path)?;
        let problems = answers.problems();
        if !problems.is_empty() {
            return Err(Error::Answers(problems));
        }
        answers.seal()?;
        Ok(answers)
    }

    /// Reads the text of an answer file, whose rules are not looked at.
    ///
    /// # Errors
    /// [`Error::AnswerSyntax`], which does not quote the line and names `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        toml::from_str(text).map_err(|mut source: toml::de::Error| {
            // The message would quote the line, which can be the one with the password.
            source.set_input(None);
            Error::AnswerSyntax { path: path.into(), source: Box::new(source) }
        })
    }

    /// Replaces the password by its hash.
    pub fn seal(&mut self) -> Result<(), Error> {
        if let Some(password) = self.user.password.take() {
            self.user.password_hash = Some(password::hash(&password, password::random()?)?);
        }
        Ok(())
    }

    /// Everything that breaks a rule; empty when the answers can be used.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |field, result: Result<(), &str>| {
            found.extend(result.err().map(|rule| Problem { field, rule: rule.into() }));
        };
        check("language", rules::language(&self.language));
        check("keyboard.layout", rules::keyboard(&self.keyboard.layout));
        if !self.keyboard.variant.is_empty() {
            check("keyboard.variant", rules::keyboard(&self.keyboard.variant));
        }
        check("timezone", rules::timezone(&self.timezone));
        check("hostname", rules::hostname(&self.hostname));
        check("user.name", rules::user_name(&self.user.name));
        check("user.full_name", rules::full_name(&self.user.full_name));
        check("user.password", self.password_rule());
        if let Network::Static(network) = &self.network {
            check("network.interface", rules::interface(&network.interface));
            check("network.address", rules::address(&network.address).map(drop));
            check("network.gateway", rules::gateway(&network.address, network.gateway));
        }
        for key in &self.ssh.authorized_keys {
            check("ssh.authorized_keys", rules::public_key(key));
        }
        found
    }

    fn password_rule(&self) -> Result<(), &'static str> {
        match (&self.user.password, &self.user.password_hash) {
            (Some(password), None) => rules::password(password.reveal()),
            (None, Some(hash)) if password::is_hash(hash) => Ok(()),
            (None, Some(_)) => Err("has a hash that crypt(5) does not know"),
            (Some(_), Some(_)) => Err("is given twice, as password and as password_hash"),
            (None, None) => Err("is missing"),
        }
    }
}

impl fmt::Display for DiskSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties = [
            ("serial", self.serial.clone()),
            ("wwn", self.wwn.clone()),
            ("model", self.model.clone()),
            ("path", self.path.clone()),
            ("size", self.size.map(|size| size.to_string())),
        ];
        let mut first = true;
        for (name, value) in properties {
            let Some(value) = value else { continue };
            write!(f, "{}{name} `{value}`", if first { "" } else { " and " })?;
            first = false;
        }
        if first { f.write_str("any property") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        language = "de_DE.UTF-8"
        timezone = "Europe/Berlin"
        hostname = "aegis"
        confirm = "S1"
        [keyboard]
        layout = "de"
        [disk]
        serial = "S1"
        [user]
        name = "ada"
        password = "long enough"
        [network]
        mode = "static"
        interface = "enp1s0"
        address = "192.0.2.10/24"
        gateway = "192.0.2.1"
        dns = ["192.0.2.53", "2001:db8::53"]
        [ssh]
        enable = true
    "#;

    fn parse(text: &str) -> Result<Answers, String> {
        toml::from_str(text).map_err(|e: toml::de::Error| e.message().to_string())
    }

    #[test]
    fn a_whole_file_is_read() {
        let answers = parse(WHOLE).unwrap();
        assert_eq!(answers.problems(), []);
        assert_eq!(answers.disk.to_string(), "serial `S1`");
        assert!(matches!(&answers.network, Network::Static(s) if s.dns.len() == 2));
    }

    #[test]
    fn the_example_is_valid_with_and_without_its_comments() {
        let text = include_str!("../answers.example.toml");
        assert_eq!(parse(text).unwrap().problems(), []);
        let all = text.replace("mode = \"dhcp\"\n#mode", "mode").replace("\n#", "\n");
        let all: String =
            all.lines().filter(|line| !line.starts_with(' ')).map(|line| format!("{line}\n")).collect();
        assert_eq!(parse(&all).unwrap().problems(), []);
        assert_eq!(parse(&all).unwrap().edition, Some(Edition::Server));
    }

    #[test]
    fn a_misspelt_name_is_an_error_everywhere() {
        for (good, bad) in [
            ("hostname", "hostnam"),
            ("layout", "layot"),
            ("serial =", "serail ="),
            ("gateway", "gatway"),
            ("enable", "enabled"),
        ] {
            assert!(parse(&WHOLE.replace(good, bad)).unwrap_err().contains("unknown field"), "{bad}");
        }
    }

    #[test]
    fn every_broken_rule_is_named() {
        let text = WHOLE
            .replace("\"aegis\"", "\"-a\"")
            .replace("\"ada\"", "\"root\"")
            .replace("long enough", "")
            .replace("192.0.2.1\"", "198.51.100.1\"");
        let fields: Vec<_> = parse(&text).unwrap().problems().iter().map(|p| p.field).collect();
        assert_eq!(fields, ["hostname", "user.name", "user.password", "network.gateway"]);
    }

    #[test]
    fn sealing_leaves_only_the_hash() {
        let mut answers = parse(WHOLE).unwrap();
        answers.seal().unwrap();
        assert!(answers.user.password.is_none());
        assert!(password::is_hash(answers.user.password_hash.as_deref().unwrap()));
        assert_eq!(answers.problems(), []);
    }

    #[test]
    fn an_error_message_does_not_quote_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answers.toml");
        fs::write(&path, WHOLE.replace("password = \"long enough\"", "password = \"hunter2\" x")).unwrap();
        let error = Answers::read(&path).unwrap_err();
        let text = aegis_core::report::render(&error);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("answers.toml"), "{text}");
    }
}
