//! Passkeys: credentials of WebAuthn, as a second factor and in place of the password. Each is discoverable, and its
//! authenticator verifies the person, so that one is both factors.
//!
//! Invariant: a challenge is used up by the statement that finds it, before anything of the answer is believed.

mod add;
mod answer;
mod challenge;
mod check;
mod options;
mod sign_in;

use super::{AccountId, Accounts, Denied, password};
use crate::{
    Error, Result,
    store::{Row, Statement},
    webauthn::RelyingParty,
};

pub use add::Added;
pub use answer::Assertion;
pub(super) use challenge::LIFE;
pub use challenge::Purpose;
pub use options::{CreationOptions, RequestOptions};
pub use sign_in::Begun;

/// Passkeys of an account at most.
const MOST: i64 = 20;
/// Characters of a name at most.
const LONGEST_NAME: usize = 60;

/// A passkey, for its owner to look at.
#[derive(Clone, Debug)]
pub struct PasskeyEntry {
    /// By which it is renamed and removed.
    pub id: [u8; 16],
    /// What its owner calls it.
    pub name: String,
    /// Whether it is on several devices.
    pub backed_up: bool,
    /// When it was added, in seconds since 1970.
    pub created_at: i64,
    /// When it was last used, to sign in or as a proof.
    pub used_at: Option<i64>,
}

impl Accounts {
    /// Whether browsers offer passkeys at this site's address: with TLS or on `localhost`, and by name.
    pub const fn offers_passkeys(&self) -> bool {
        self.party.is_some()
    }

    fn party(&self) -> Result<&RelyingParty, Denied> {
        self.party.as_ref().ok_or(Denied::Forbidden("This site's address allows no passkeys"))
    }

    /// The passkeys of an account, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn passkeys(&self, account: AccountId) -> Result<Vec<PasskeyEntry>> {
        let query = "SELECT id, name, backed_up, created_at, used_at FROM passkeys WHERE account = $1 \
            ORDER BY created_at, id";
        let rows = self.store.read(Statement::new(query, [account.0.into()])).await?;
        rows.iter().map(entry_of).collect()
    }

    /// Gives a passkey another name; another account's is not touched.
    ///
    /// # Errors
    /// [`Denied::Field`] for a name that is none.
    pub async fn rename_passkey(&self, account: AccountId, id: &[u8], name: &str) -> Result<(), Denied> {
        let sql = "UPDATE passkeys SET name = $1 WHERE id = $2 AND account = $3";
        let values = [named(name)?.into(), id.into(), account.0.into()];
        self.store.write(vec![Statement::new(sql, values)]).await?;
        Ok(())
    }
}

fn entry_of(row: &Row) -> Result<PasskeyEntry> {
    let id = row.blob(0)?.try_into().map_err(|error| Error::Corrupt {
        what: "the number of a passkey".into(),
        problem: format!("is not of 16 bytes: {error}"),
    })?;
    Ok(PasskeyEntry {
        id,
        name: row.text(1)?.to_owned(),
        backed_up: row.int(2)? == 1,
        created_at: row.int(3)?,
        used_at: if row.is_null(4) { None } else { Some(row.int(4)?) },
    })
}

/// A name that can be shown, in its one spelling.
fn named(typed: &str) -> Result<String, Denied> {
    let spelt = password::spelt(typed.trim());
    let name = spelt.reveal();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        let detail = format!("Give the passkey a name of 1 to {LONGEST_NAME} characters");
        return Err(Denied::Field { name: "name", detail });
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(named("  Ann's phone ").unwrap(), "Ann's phone");
        assert_eq!(named("e\u{301}").unwrap(), "é");
        assert!(named(&"é".repeat(60)).is_ok());
        for bad in ["", "   ", "a\nb", "a\0", &"é".repeat(61), &"x".repeat(5000)] {
            assert!(named(bad).is_err(), "{bad:.20}");
        }
    }
}
