//! What the license means on this machine, for people and for programs.

use std::io::{self, Write};

use aegis_core::{
    edition::Edition,
    license::{entitlements::Entitlements, verdict::Code},
    time::UnixTime,
};
use serde::{Deserialize, Serialize};

/// The content of `/run/aegis/entitlements.json`, and of `status --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The edition that runs.
    pub edition: Edition,
    /// Whether everything that the edition grants is open.
    pub granted: bool,
    /// The name of the verdict.
    pub verdict: Code,
    /// The verdict in words.
    pub text: String,
    /// What a person can do.
    pub hint: Option<String>,
    /// Serial number of the license.
    pub serial: Option<u64>,
    /// Number of the revocation list in use.
    pub revocation_list: Option<u64>,
    /// Why the list that is there is not used.
    pub revocation_list_refused: Option<String>,
    /// The highest time that this machine has seen, Unix time.
    pub seen: Option<UnixTime>,
    /// Features and limits that are open.
    #[serde(flatten)]
    pub entitlements: Entitlements,
    /// Editions that the owner can change to.
    pub upgrades: Vec<Edition>,
}

impl Report {
    /// Prints it for people.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "edition   {}", self.edition)?;
        writeln!(out, "license   {}", self.text)?;
        self.hint.iter().try_for_each(|hint| writeln!(out, "next      {hint}"))?;
        match self.revocation_list {
            Some(number) => writeln!(out, "revoked   looked up in list {number}")?,
            None => writeln!(out, "revoked   no list on this machine")?,
        }
        if let Some(error) = &self.revocation_list_refused {
            writeln!(out, "warning   the revocation list is not used: {error}")?;
        }
        let flags: Vec<&str> = self.entitlements.flags.iter().map(String::as_str).collect();
        writeln!(out, "features  {}", flags.join(" "))?;
        for (name, value) in &self.entitlements.limits {
            match value {
                ..0 => writeln!(out, "limit     {name} unlimited")?,
                value => writeln!(out, "limit     {name} {value}")?,
            }
        }
        Ok(())
    }
}
