//! The history of the schema: forward only, each step in one transaction with its record.

use crate::{Error, Result};

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its name, whose number orders it.
    pub name: &'static str,
    /// Statements, separated by semicolons.
    pub sql: &'static str,
}

/// Every step, in order. A released step is never changed.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001-history", sql: include_str!("../../migrations/0001-history.sql") },
    Migration { name: "0002-accounts", sql: include_str!("../../migrations/0002-accounts.sql") },
    Migration { name: "0003-audit", sql: include_str!("../../migrations/0003-audit.sql") },
    Migration { name: "0004-limits", sql: include_str!("../../migrations/0004-limits.sql") },
    Migration { name: "0005-files", sql: include_str!("../../migrations/0005-files.sql") },
    Migration { name: "0006-operator", sql: include_str!("../../migrations/0006-operator.sql") },
    Migration { name: "0007-passkeys", sql: include_str!("../../migrations/0007-passkeys.sql") },
];

impl Migration {
    /// Names its text, so that a step that was changed after it was applied is found.
    pub(crate) fn digest(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.sql.as_bytes());
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }

    /// Its statements.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &'static str> {
        self.sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
    }
}

/// The steps that are still to be done, given the names and digests of those that were.
pub(crate) fn pending(done: &[(String, String)]) -> Result<&'static [Migration]> {
    if done.len() > MIGRATIONS.len() {
        return Err(Error::Schema {
            problem: format!(
                "the database has {} steps of history, this program knows {}",
                done.len(),
                MIGRATIONS.len()
            ),
            hint: "use the newer program that wrote it; nothing was changed".into(),
        });
    }
    for ((name, digest), migration) in done.iter().zip(MIGRATIONS) {
        if name != migration.name || *digest != migration.digest() {
            return Err(Error::Schema {
                problem: format!("step {name} in the database is not this program's step {}", migration.name),
                hint: "use the program that wrote it, or restore a backup of this one; nothing was changed"
                    .into(),
            });
        }
    }
    Ok(&MIGRATIONS[done.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_goes_forward_only() {
        assert_eq!(pending(&[]).unwrap().len(), MIGRATIONS.len());
        let mut done: Vec<_> = MIGRATIONS.iter().map(|step| (step.name.to_owned(), step.digest())).collect();
        assert!(pending(&done).unwrap().is_empty());
        done.push(("9999-future".into(), "00".into()));
        assert!(matches!(pending(&done), Err(Error::Schema { .. })));
        done.truncate(MIGRATIONS.len());
        done[0].1 = "changed".into();
        assert!(matches!(pending(&done), Err(Error::Schema { .. })));
    }
}
