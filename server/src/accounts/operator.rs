//! What the person at the machine does with an account, because its owner asked for help or must be kept out.
//!
//! Invariant: each act is one batch with its entry in the audit log and a letter to the owner, who can object.

use super::{AccountId, Accounts, Address, Denied, Role, factor::address_in, sessions::ending_all};
use crate::{Error, Result, store::Statement};

/// An act on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Ends what wrong passwords and codes made wait.
    Unlock,
    /// Takes the second factor and every passkey away and ends every session; the password stays.
    ResetFactor,
    /// Ends every session and every token, and forgets the devices.
    SignOut,
    /// Keeps everybody out, with the password too. What belongs to the account stays.
    Disable,
    /// Ends that.
    Enable,
}

impl Act {
    /// Its name in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlock => "account.unlock",
            Self::ResetFactor => "factor.reset",
            Self::SignOut => "session.end-all",
            Self::Disable => "account.disable",
            Self::Enable => "account.enable",
        }
    }

    /// What its owner is told.
    const fn sentence(self) -> &'static str {
        match self {
            Self::Unlock => "You can sign in to your account again without waiting.",
            Self::ResetFactor => {
                "The second factor of your account was taken away, with its recovery codes and passkeys, and you were signed \
                 out everywhere. Sign in with your password, and set up a new one."
            }
            Self::SignOut => "You were signed out of your account everywhere.",
            Self::Disable => {
                "Your account was disabled: nobody can sign in to it. What belongs to it is kept."
            }
            Self::Enable => "Your account is no longer disabled: you can sign in to it again.",
        }
    }
}

/// What is known of an account. Times are in seconds since 1970.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Its number.
    pub account: AccountId,
    /// Its address.
    pub address: Address,
    /// Its role.
    pub role: Role,
    /// When it was made.
    pub created_at: i64,
    /// Since when it has a second factor.
    pub factor_since: Option<i64>,
    /// Passkeys.
    pub passkeys: i64,
    /// Recovery codes that are left.
    pub recovery_codes: i64,
    /// Sessions of browsers that go on.
    pub sessions: i64,
    /// Clients of the API that are signed in.
    pub api_clients: i64,
    /// Counters of failed attempts, from one network or device each, that make wait at the moment.
    pub waits: i64,
    /// Since when it is disabled.
    pub disabled_at: Option<i64>,
}

const COUNTS: &str = "SELECT \
    (SELECT count(*) FROM recovery_codes WHERE account = $1 AND used_at IS NULL), \
    (SELECT count(*) FROM sessions WHERE account = $1 AND passed = 1 AND expires_at > $2 AND seen_at > $3), \
    (SELECT count(*) FROM refresh_families WHERE account = $1 AND ended_at IS NULL AND expires_at > $2), \
    (SELECT count(*) FROM failed_attempts WHERE holder = $4 AND allowed_at > $2), \
    (SELECT disabled_at FROM accounts WHERE id = $1), \
    (SELECT count(*) FROM passkeys WHERE account = $1)";

impl Accounts {
    /// The account of an address.
    ///
    /// # Errors
    /// [`Denied::Field`] for what is no address; [`Denied::Failed`].
    pub async fn account_of(&self, address: &str) -> Result<Option<AccountId>, Denied> {
        let key = Address::parse(address)?.key();
        let query = "SELECT id FROM accounts WHERE address_key = $1";
        let rows = self.store.read(Statement::new(query, [key.into()])).await?;
        Ok(rows.first().map(|row| AccountId::from_blob(row.blob(0)?)).transpose()?)
    }

    /// What is known of an account; that it was looked at enters the audit log. `None` when there is no such account.
    ///
    /// # Errors
    /// [`Denied::Failed`].
    pub async fn overview(&self, account: AccountId) -> Result<Option<Overview>, Denied> {
        let Some(row) = self.row_of(account).await? else { return Ok(None) };
        let now = self.clock.now();
        let values =
            [account.0.into(), now.into(), (now - self.settings.idle).into(), self.holder(account).into()];
        let rows = self.store.read(Statement::new(COUNTS, values)).await?;
        let counts = rows.first().ok_or_else(|| Error::Corrupt {
            what: "an account".into(),
            problem: "cannot be counted".into(),
        })?;
        self.act(Vec::new(), self.of(None, account, "account.show")).await?;
        Ok(Some(Overview {
            account,
            address: address_in(&row)?,
            role: Role::parse(row.text(2)?)?,
            created_at: row.int(7)?,
            factor_since: if row.is_null(6) { None } else { Some(row.int(6)?) },
            passkeys: counts.int(5)?,
            recovery_codes: counts.int(0)?,
            sessions: counts.int(1)?,
            api_clients: counts.int(2)?,
            waits: counts.int(3)?,
            disabled_at: if counts.is_null(4) { None } else { Some(counts.int(4)?) },
        }))
    }

    /// Does an act, and tells the owner. False when there was nothing to do: no such account, no second factor to take
    /// away, disabled or enabled already.
    ///
    /// # Errors
    /// [`Denied::Failed`].
    pub async fn operate(&self, account: AccountId, act: Act) -> Result<bool, Denied> {
        let Some(row) = self.row_of(account).await? else { return Ok(false) };
        let of = |sql| Statement::new(sql, [account.0.into()]);
        let mut batch = match act {
            Act::Unlock => {
                let free = "DELETE FROM failed_attempts WHERE holder = $1";
                vec![
                    of("SELECT 1 FROM accounts WHERE id = $1"),
                    Statement::new(free, [self.holder(account).into()]),
                ]
            }
            Act::ResetFactor => vec![
                of("UPDATE accounts SET totp_secret = NULL, totp_since = NULL WHERE id = $1 AND \
                    (totp_since IS NOT NULL OR EXISTS (SELECT 1 FROM passkeys WHERE account = $1))"),
                of("DELETE FROM passkeys WHERE account = $1"),
                of("DELETE FROM recovery_codes WHERE account = $1"),
            ],
            Act::SignOut => vec![of("SELECT 1 FROM accounts WHERE id = $1")],
            Act::Disable => {
                let sql = "UPDATE accounts SET disabled_at = $1 WHERE id = $2 AND disabled_at IS NULL";
                vec![Statement::new(sql, [self.clock.now().into(), account.0.into()])]
            }
            Act::Enable => {
                vec![of("UPDATE accounts SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL")]
            }
        };
        batch[0].expected = Some(1);
        if matches!(act, Act::ResetFactor | Act::SignOut | Act::Disable) {
            batch.extend(ending_all(account));
        }
        batch.push(self.operator_letter(&address_in(&row)?, act.sentence())?);
        match self.act(batch, self.of(None, account, act.name())).await {
            Ok(_) => Ok(true),
            Err(Error::Condition(0)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
