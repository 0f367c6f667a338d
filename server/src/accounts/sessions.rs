//! Sessions of browsers: a random number in a cookie, its digest in the database, a new one at every step up.

use super::{
    AccountId, Accounts, Address, Denied, Identity, Role, Secret, Visitor, attempts, identity, login::Known,
    secret::random,
};
use crate::{
    Error, Result,
    audit::Entry,
    store::{Row, Statement},
};

/// Seconds for the code after the password.
const FOR_CODE: i64 = 600;
/// Seconds that a device is known.
pub(super) const DEVICE: i64 = 180 * 24 * 3600;
/// Seconds between two notes of a session's use.
const NOTED: i64 = 60;

const FIND: &str = "SELECT s.id, s.passed, s.seen_at, a.id, a.address, a.role, a.must_change, a.totp_since, a.created_at, \
    (SELECT count(*) FROM passkeys WHERE account = a.id) FROM sessions s JOIN accounts a ON a.id = s.account \
    WHERE s.digest = $1 AND s.expires_at > $2 AND s.seen_at > $3 AND a.disabled_at IS NULL";

/// A session that was begun, for the cookies.
#[derive(Debug)]
pub struct Started {
    /// Whose.
    pub account: AccountId,
    /// Goes into the cookie of the session.
    pub session: Secret,
    /// Goes into the cookie of the device, when it has none that is good.
    pub device: Option<Secret>,
}

/// A session, for its owner to look at.
#[derive(Clone, Debug)]
pub struct SessionEntry {
    /// By which it can be ended; not by which it can be used.
    pub id: [u8; 16],
    /// What the browser called itself.
    pub agent: String,
    /// The network it began from.
    pub network: String,
    /// When it began, in seconds since 1970.
    pub created_at: i64,
    /// When it was last used, to a minute.
    pub seen_at: i64,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Accounts {
    /// Begins a session of somebody whose password was right a moment ago; it is not begun if it was changed since.
    pub(super) async fn start_session(
        &self,
        known: &Known,
        passed: bool,
        visitor: &Visitor,
        before: Option<&Secret>,
    ) -> Result<Started, Denied> {
        let (session, device) = (Secret::random()?, Secret::random()?);
        let mut batch =
            vec![self.insertion_of(&session, known.account, &known.stored, passed, visitor)?.expecting(1)];
        batch.extend(before.map(ending));
        if passed {
            batch.push(known.place.forgotten());
            batch.push(self.device_of(known.account, &device));
        }
        let written = if passed {
            self.act(batch, self.own(known.account, "session.start")).await
        } else {
            self.store.write(batch).await
        };
        match written {
            Ok(_) => Ok(Started { account: known.account, session, device: passed.then_some(device) }),
            Err(Error::Condition(_)) => Err(Denied::Credentials),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a session without a step before it, in the batch of the act that needs it.
    pub(super) async fn begin_session(
        &self,
        account: AccountId,
        stored: &str,
        visitor: &Visitor,
        before: Option<&Secret>,
        mut batch: Vec<Statement>,
        entry: Entry,
    ) -> Result<Started, Denied> {
        let (session, device) = (Secret::random()?, Secret::random()?);
        batch.extend(before.map(ending));
        self.push_session(&mut batch, (&session, &device), account, stored, visitor)?;
        self.act(batch, entry).await?;
        Ok(Started { account, session, device: Some(device) })
    }

    fn push_session(
        &self,
        batch: &mut Vec<Statement>,
        (session, device): (&Secret, &Secret),
        account: AccountId,
        stored: &str,
        visitor: &Visitor,
    ) -> Result<()> {
        batch.push(self.insertion_of(session, account, stored, true, visitor)?.expecting(1));
        batch.push(self.device_of(account, device));
        Ok(())
    }

    fn insertion_of(
        &self,
        session: &Secret,
        account: AccountId,
        stored: &str,
        passed: bool,
        visitor: &Visitor,
    ) -> Result<Statement> {
        let sql = "INSERT INTO sessions (id, digest, account, passed, created_at, seen_at, expires_at, agent, network) \
            SELECT $1, $2, id, $3, $4, $4, $5, $6, $7 FROM accounts \
            WHERE id = $8 AND password = $9 AND disabled_at IS NULL";
        let now = self.clock.now();
        let lasts = if passed { self.settings.absolute } else { FOR_CODE };
        let values = [
            random::<16>()?.into(),
            session.digest().into(),
            passed.into(),
            now.into(),
            (now + lasts).into(),
            visitor.agent.as_str().into(),
            attempts::network(visitor.peer).into(),
            account.0.into(),
            stored.into(),
        ];
        Ok(Statement::new(sql, values))
    }

    /// Makes a device known.
    fn device_of(&self, account: AccountId, device: &Secret) -> Statement {
        let sql = "INSERT INTO known_devices (digest, account, expires_at) VALUES ($1, $2, $3)";
        Statement::new(sql, [device.digest().into(), account.0.into(), (self.clock.now() + DEVICE).into()])
    }

    /// A new session in place of one, in the batch of the act that needs it.
    pub(super) async fn replace_session(
        &self,
        account: AccountId,
        before: &Secret,
        stored: &str,
        visitor: &Visitor,
        mut batch: Vec<Statement>,
        entry: Entry,
    ) -> Result<Started, Denied> {
        let (session, device) = (Secret::random()?, Secret::random()?);
        // First, so that a session that was ended meanwhile is not replaced.
        batch.insert(0, ending(before).expecting(1));
        self.push_session(&mut batch, (&session, &device), account, stored, visitor)?;
        self.act(batch, entry).await?;
        Ok(Started { account, session, device: Some(device) })
    }

    /// Who holds a session; `None` when it has ended. Notes its use.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn identify(&self, session: &Secret) -> Result<Option<Identity>> {
        let now = self.clock.now();
        let values = [session.digest().into(), now.into(), (now - self.settings.idle).into()];
        let rows = self.store.read(Statement::new(FIND, values)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if row.int(2)? <= now - NOTED {
            let note = "UPDATE sessions SET seen_at = $1 WHERE id = $2 AND seen_at < $1";
            let noted = self.store.write(vec![Statement::new(note, [now.into(), row.blob(0)?.into()])]).await;
            // With a full disk people can still look at their pages.
            if let Err(error) = noted {
                tracing::warn!(
                    error = aegis_core::report::render(&error),
                    "the use of a session was not noted"
                );
            }
        }
        identity_of(row, row.int(1)? == 1).map(Some)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logout(&self, session: &Secret) -> Result<()> {
        let query = "SELECT account FROM sessions WHERE digest = $1";
        let rows = self.store.read(Statement::new(query, [session.digest().into()])).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let account = AccountId::from_blob(row.blob(0)?)?;
        self.end(ending(session), account).await
    }

    /// Ends every session and every token of an account, and forgets its devices.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logout_everywhere(&self, account: AccountId) -> Result<()> {
        self.act(ending_all(account), self.own(account, "session.end-all")).await.map(drop)
    }

    /// Ends one session of an account by its number; another account's is not touched.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_session(&self, account: AccountId, id: &[u8]) -> Result<()> {
        let sql = "DELETE FROM sessions WHERE id = $1 AND account = $2";
        self.end(Statement::new(sql, [id.into(), account.0.into()]), account).await
    }

    /// Ends what one statement ends, if it is still there.
    async fn end(&self, statement: Statement, account: AccountId) -> Result<()> {
        match self.act(vec![statement.expecting(1)], self.own(account, "session.end")).await {
            Ok(_) | Err(Error::Condition(0)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The sessions of an account that go on, the last used first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sessions(&self, account: AccountId, current: &Secret) -> Result<Vec<SessionEntry>> {
        let query = "SELECT id, agent, network, created_at, seen_at, digest FROM sessions WHERE account = $1 \
            AND passed = 1 AND expires_at > $2 AND seen_at > $3 ORDER BY seen_at DESC, id LIMIT 100";
        let now = self.clock.now();
        let values = [account.0.into(), now.into(), (now - self.settings.idle).into()];
        let rows = self.store.read(Statement::new(query, values)).await?;
        let digest = current.digest();
        rows.iter().map(|row| entry_of(row, &digest)).collect()
    }
}

fn entry_of(row: &Row, current: &[u8]) -> Result<SessionEntry> {
    Ok(SessionEntry {
        id: AccountId::from_blob(row.blob(0)?)?.0,
        agent: row.text(1)?.to_owned(),
        network: row.text(2)?.to_owned(),
        created_at: row.int(3)?,
        seen_at: row.int(4)?,
        current: row.blob(5)? == current,
    })
}

/// From columns 3 to 9 of [`FIND`].
pub(super) fn identity_of(row: &Row, passed: bool) -> Result<Identity> {
    let (role, authenticator, passkeys) = (Role::parse(row.text(5)?)?, !row.is_null(7), row.int(9)?);
    let second_factor = authenticator || passkeys > 0;
    let address = Address::parse(row.text(4)?).map_err(|_denied| Error::Corrupt {
        what: "the address of an account".into(),
        problem: "is not one".into(),
    })?;
    Ok(Identity {
        account: AccountId::from_blob(row.blob(3)?)?,
        address,
        role,
        gate: identity::gate(passed, row.int(6)? == 1, role, second_factor),
        second_factor,
        authenticator,
        passkeys,
        created_at: row.int(8)?,
    })
}

/// Ends one session.
pub(super) fn ending(session: &Secret) -> Statement {
    Statement::new("DELETE FROM sessions WHERE digest = $1", [session.digest().into()])
}

/// Ends everything by which somebody is or comes in without the password.
pub(super) fn ending_all(account: AccountId) -> Vec<Statement> {
    let of = |sql| Statement::new(sql, [account.0.into()]);
    vec![
        of("DELETE FROM sessions WHERE account = $1"),
        of("DELETE FROM refresh_families WHERE account = $1"),
        of("DELETE FROM mailed_tokens WHERE account = $1"),
        of("DELETE FROM known_devices WHERE account = $1"),
    ]
}
