//! Registering. There is no account before its address is confirmed, and whoever confirms must know the password that was
//! chosen with that very link: who registers somebody else's address first gains nothing.

use super::{AccountId, Accounts, Address, Denied, Role, Secret, Visitor, password, secret::random};
use crate::{
    Error, Result,
    store::{Row, Statement},
};

/// Seconds that a registration can be confirmed.
pub(super) const CONFIRMABLE: i64 = 24 * 3600;
/// Registrations of one address that wait at a time: more letters nobody gets.
const WAITING: i64 = 10;

const EXISTS: &str = "SELECT address FROM accounts WHERE address_key = $1";

impl Accounts {
    /// Registers an address: a letter with a link goes there, or one that says that there is an account already. The
    /// answer, one password's work and one batch are the same in both cases.
    ///
    /// # Errors
    /// [`Denied::Field`] for an address or a password that is not taken; [`Denied::Later`]; [`Denied::Failed`].
    pub async fn register(&self, email: &str, typed: &str, visitor: &Visitor) -> Result<(), Denied> {
        let address = Address::parse(email)?;
        let chosen = password::chosen("password", typed, address.as_str())?;
        let hashed = self.hasher.hash(&chosen).await?;
        let token = Secret::random()?;
        let there = self.store.read(Statement::new(EXISTS, [address.key().into()])).await?;
        let letter = match there.first() {
            // What is stored then is a link that nobody ever gets: it counts the letters.
            Some(row) => self.already_letter(&Address::parse(row.text(0)?)?)?,
            None => self.confirm_letter(&address, &token)?,
        };
        let batch = vec![self.registration(&address, hashed, &token), letter];
        let place = self.place("register", address.key().as_bytes(), visitor.peer);
        match self.attempt_with(&place, batch).await {
            // Ten letters are on their way; the answer stays the same.
            Err(Denied::Failed(Error::Condition(1))) => Ok(()),
            other => other,
        }
    }

    fn registration(&self, address: &Address, hashed: String, token: &Secret) -> Statement {
        let insert = "INSERT INTO registrations (digest, address, address_key, password, expires_at) \
            SELECT $1, $2, $3, $4, $5 \
            WHERE (SELECT count(*) FROM registrations WHERE address_key = $3 AND expires_at > $6) < $7";
        let now = self.clock.now();
        let values = [
            token.digest().into(),
            address.as_str().into(),
            address.key().into(),
            hashed.into(),
            (now + CONFIRMABLE).into(),
            now.into(),
            WAITING.into(),
        ];
        Statement::new(insert, values).expecting(1)
    }

    /// Makes the account of a link, for whoever knows the password that was chosen with it.
    ///
    /// # Errors
    /// [`Denied::Link`] for one that is unknown, used or old; [`Denied::Field`] for another password.
    pub async fn confirm(&self, token: &str, typed: &str, visitor: &Visitor) -> Result<AccountId, Denied> {
        let token = Secret::parse(token).ok_or(Denied::Link)?;
        let digest = token.digest();
        self.attempt(&self.place("confirm", &digest, visitor.peer)).await?;
        let query = "SELECT address, password FROM registrations WHERE digest = $1 AND expires_at > $2";
        let rows = self.store.read(Statement::new(query, [digest.into(), self.clock.now().into()])).await?;
        let row = rows.first().ok_or(Denied::Link)?;
        let (address, stored) = (Address::parse(row.text(0)?)?, row.text(1)?);
        if !self.hasher.verify(&password::spelt(typed), Some(stored)).await? {
            let detail = "This is not the password that was chosen with this link".into();
            return Err(Denied::Field { name: "password", detail });
        }
        let account = AccountId(random()?);
        let batch = vec![
            Statement::new("DELETE FROM registrations WHERE digest = $1", [digest.into()]).expecting(1),
            self.insertion(account, &address, stored, Role::Customer, false).expecting(1),
            Statement::new("DELETE FROM registrations WHERE address_key = $1", [address.key().into()]),
        ];
        match self.act(batch, self.own(account, "account.create")).await {
            Ok(_) => Ok(account),
            Err(Error::Condition(_)) => Err(Denied::Link),
            Err(error) => Err(error.into()),
        }
    }

    fn insertion(&self, id: AccountId, address: &Address, hash: &str, role: Role, once: bool) -> Statement {
        let sql = "INSERT INTO accounts (id, address, address_key, password, must_change, role, created_at, totp_step) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (address_key) DO NOTHING";
        let values = [
            id.0.into(),
            address.as_str().into(),
            address.key().into(),
            hash.into(),
            once.into(),
            role.name().into(),
            self.clock.now().into(),
        ];
        Statement::new(sql, values)
    }

    /// Makes an owner, or makes an account that exists one, with a new password that must be changed at the first sign-in.
    /// Ends its sessions and its second factors: for the person at the machine, not for requests.
    ///
    /// # Errors
    /// [`Denied::Field`] for an address that is not one; [`Denied::Failed`].
    pub async fn make_owner(&self, email: &str) -> Result<Secret, Denied> {
        let address = Address::parse(email)?;
        let once = Secret::new(data_encoding::BASE32_NOPAD.encode(&random::<15>()?).to_ascii_lowercase());
        let hash = self.hasher.hash(&once).await?;
        let there = "SELECT id FROM accounts WHERE address_key = $1";
        let there = self.store.read(Statement::new(there, [address.key().into()])).await?;
        let account = match there.first() {
            Some(row) => AccountId::from_blob(row.blob(0)?)?,
            None => AccountId(random()?),
        };
        let change = "UPDATE accounts SET password = $1, must_change = 1, role = $2, totp_secret = NULL, \
            totp_since = NULL WHERE address_key = $3 AND id = $4";
        let values =
            [hash.as_str().into(), Role::Owner.name().into(), address.key().into(), account.0.into()];
        let of = |sql| Statement::new(sql, [address.key().into()]);
        let mut batch = vec![
            self.insertion(account, &address, &hash, Role::Owner, true),
            Statement::new(change, values).expecting(1),
        ];
        batch.extend([
            of("DELETE FROM sessions WHERE account IN (SELECT id FROM accounts WHERE address_key = $1)"),
            of("DELETE FROM refresh_families WHERE account IN (SELECT id FROM accounts WHERE address_key = $1)"),
            of("DELETE FROM recovery_codes WHERE account IN (SELECT id FROM accounts WHERE address_key = $1)"),
            of("DELETE FROM passkeys WHERE account IN (SELECT id FROM accounts WHERE address_key = $1)"),
        ]);
        self.act(batch, self.of(None, account, "owner.make")).await?;
        Ok(once)
    }

    /// The row of an account: id, address, role, password, must_change, totp_secret, totp_since, created_at, passkeys.
    pub(super) async fn row_of(&self, id: AccountId) -> Result<Option<Row>> {
        let query = "SELECT id, address, role, password, must_change, totp_secret, totp_since, created_at, \
            (SELECT count(*) FROM passkeys WHERE account = $1) FROM accounts WHERE id = $1";
        Ok(self.store.read(Statement::new(query, [id.0.into()])).await?.into_iter().next())
    }
}
