//! Signing in: password, then the second factor where there is one.

use std::net::IpAddr;

use super::{
    AccountId, Accounts, Address, Denied, Secret, attempts::Place, hashing, password, sessions::Started,
};
use crate::{Result, store::Statement};

const BY_ADDRESS: &str = "SELECT id, password, totp_since, disabled_at, \
    (SELECT count(*) FROM passkeys WHERE account = accounts.id) FROM accounts WHERE address_key = $1";

/// Who asks, as far as the connection and its headers say.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The address of the client, after trusted proxies.
    pub peer: IpAddr,
    /// The cookie of a device that was signed in before.
    pub device: Option<Secret>,
    /// What the browser calls itself; printable, at most 200 characters.
    pub agent: String,
}

/// What a right password leads to.
#[derive(Debug)]
pub enum Login {
    /// Signed in.
    Done(Started),
    /// A session that can do nothing but take the second factor.
    CodeNeeded(Started),
}

/// Somebody whose password was right.
pub(super) struct Known {
    pub(super) account: AccountId,
    /// The stored string, on whose not having changed a new session depends.
    pub(super) stored: String,
    pub(super) second_factor: bool,
    pub(super) place: Place,
}

impl Accounts {
    /// Signs in a browser. `before` is the session it comes with, which ends.
    ///
    /// # Errors
    /// [`Denied::Credentials`], by the same work whether there is such an account or not; [`Denied::Later`];
    /// [`Denied::Failed`].
    pub async fn login(
        &self,
        email: &str,
        typed: &str,
        visitor: &Visitor,
        before: Option<&Secret>,
    ) -> Result<Login, Denied> {
        let known = self.authenticate(email, typed, visitor).await?;
        let started = self.start_session(&known, !known.second_factor, visitor, before).await?;
        Ok(if known.second_factor { Login::CodeNeeded(started) } else { Login::Done(started) })
    }

    /// Checks address and password. That an account is disabled is told to whoever knows its password alone.
    pub(super) async fn authenticate(
        &self,
        email: &str,
        typed: &str,
        visitor: &Visitor,
    ) -> Result<Known, Denied> {
        // What cannot be an address is nobody's; it is worked on all the same.
        let key = Address::parse(email).map_or_else(|_| email.to_ascii_lowercase(), |address| address.key());
        let key: String = key.chars().filter(|c| *c != '\0').take(254).collect();
        let row =
            self.store.read(Statement::new(BY_ADDRESS, [key.as_str().into()])).await?.into_iter().next();
        let account = row.as_ref().map(|row| AccountId::from_blob(row.blob(0)?)).transpose()?;
        let place = self.place_of_login(&key, account, visitor).await?.of(account);
        self.attempt(&place).await?;
        let stored = row.as_ref().map(|row| row.text(1)).transpose()?;
        let right = self.hasher.verify(&password::spelt(typed), stored).await?;
        let (Some(row), Some(account), true) = (row, account, right) else { return Err(Denied::Credentials) };
        if !row.is_null(3) {
            return Err(Denied::Forbidden("This account was disabled; write to those who run this site"));
        }
        let stored = self.renewed(account, row.text(1)?, typed).await?;
        Ok(Known { account, stored, second_factor: !row.is_null(2) || row.int(4)? > 0, place })
    }

    /// Ends the counters of passwords, once the second factor was right too.
    pub(super) fn login_forgotten(&self, address: &Address, visitor: &Visitor) -> Vec<Statement> {
        let stranger = self.place("login", address.key().as_bytes(), visitor.peer).forgotten();
        let device = visitor.device.iter();
        let device = device.map(|device| self.place_of_device("login", &device.digest()).forgotten());
        std::iter::once(stranger).chain(device).collect()
    }

    /// A device that was signed in before has its own counter, so that a stranger's failures never reach it.
    async fn place_of_login(
        &self,
        key: &str,
        account: Option<AccountId>,
        visitor: &Visitor,
    ) -> Result<Place> {
        let stranger = self.place("login", key.as_bytes(), visitor.peer);
        let Some(device) = &visitor.device else { return Ok(stranger) };
        let query = "SELECT 1 FROM known_devices WHERE digest = $1 AND account = $2 AND expires_at > $3";
        let id = account.map_or([0; 16], |account| account.0);
        let values = [device.digest().into(), id.into(), self.clock.now().into()];
        let known = !self.store.read(Statement::new(query, values)).await?.is_empty();
        Ok(if known { self.place_of_device("login", &device.digest()) } else { stranger })
    }

    /// Stores the password again when the costs have changed.
    async fn renewed(&self, account: AccountId, stored: &str, typed: &str) -> Result<String> {
        if !hashing::is_outdated(stored) {
            return Ok(stored.to_owned());
        }
        let fresh = self.hasher.hash(&password::spelt(typed)).await?;
        let change = "UPDATE accounts SET password = $1 WHERE id = $2 AND password = $3";
        let values = [fresh.as_str().into(), account.0.into(), stored.into()];
        self.store.write(vec![Statement::new(change, values).expecting(1)]).await?;
        Ok(fresh)
    }

    /// Checks the password of somebody who is signed in, before an act that takes the account over.
    pub(super) async fn check_password(
        &self,
        account: AccountId,
        typed: &str,
        peer: IpAddr,
    ) -> Result<String, Denied> {
        let place = self.place("password", &account.0, peer).of(Some(account));
        self.attempt(&place).await?;
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        if !self.hasher.verify(&password::spelt(typed), Some(row.text(3)?)).await? {
            let detail = "The password is wrong".into();
            return Err(Denied::Field { name: "password", detail });
        }
        self.store.write(vec![place.forgotten()]).await?;
        Ok(row.text(3)?.to_owned())
    }
}
