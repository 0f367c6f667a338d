//! Changing what an account is known by, and ending it.

use std::net::IpAddr;

use super::{
    AccountId, Accounts, Address, Denied, Proof, Role, Secret, Started, Visitor, factor::address_in,
    password, sessions::ending_all,
};
use crate::{Error, Result, store::Statement};

/// Seconds that a mailed link is good.
pub(super) const LINK: i64 = 3600;
/// Links of one account that are good at a time: more letters nobody gets, and every one of them works.
const LINKS: i64 = 10;

const MAIL: &str = "INSERT INTO mailed_tokens (digest, account, purpose, address, address_key, expires_at) \
    SELECT $1, $2, $3, $4, $5, $6 \
    WHERE (SELECT count(*) FROM mailed_tokens WHERE account = $2 AND expires_at > $7) < $8";

impl Accounts {
    /// Changes the password. Every other session and token ends, and this session is replaced.
    ///
    /// # Errors
    /// [`Denied::Field`] for the old password or the new one.
    pub async fn change_password(
        &self,
        account: AccountId,
        old: &str,
        new: &str,
        session: &Secret,
        visitor: &Visitor,
    ) -> Result<Started, Denied> {
        let stored = self.check_password(account, old, visitor.peer).await?;
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        let address = address_in(&row)?;
        let chosen = password::chosen("new_password", new, address.as_str())?;
        if password::spelt(old) == chosen {
            let detail = "The new password is the old one".into();
            return Err(Denied::Field { name: "new_password", detail });
        }
        let hash = self.hasher.hash(&chosen).await?;
        let sql = "UPDATE accounts SET password = $1, must_change = 0 WHERE id = $2 AND password = $3";
        let values = [hash.as_str().into(), account.0.into(), stored.into()];
        let mut batch = vec![Statement::new(sql, values).expecting(1)];
        batch.extend(ending_all(account));
        batch.push(self.notice(
            &address,
            "Your password was changed",
            "The password of your account was changed.",
        )?);
        let entry = self.own(account, "password.change");
        let started = self.replace_session(account, session, &hash, visitor, batch, entry).await;
        started.map_err(|denied| match denied {
            Denied::Failed(Error::Condition(_)) => Denied::SignedOut,
            other => other,
        })
    }

    /// Sends a link for a new password to an address, when it has an account. Answer and batch are the same when not.
    ///
    /// # Errors
    /// [`Denied::Field`] for what is no address; [`Denied::Later`]; [`Denied::Failed`].
    pub async fn request_reset(&self, email: &str, visitor: &Visitor) -> Result<(), Denied> {
        let address = Address::parse(email)?;
        let query = "SELECT id, address FROM accounts WHERE address_key = $1 AND disabled_at IS NULL";
        let rows = self.store.read(Statement::new(query, [address.key().into()])).await?;
        let token = Secret::random()?;
        let account = rows.first().map(|row| AccountId::from_blob(row.blob(0)?)).transpose()?;
        let batch = match rows.first().zip(account) {
            Some((row, account)) => {
                let to = Address::parse(row.text(1)?)?;
                vec![self.mailed(&token, account, "reset", &to), self.reset_letter(&to, &token)?]
            }
            None => Vec::new(),
        };
        let place = self.place("reset", address.key().as_bytes(), visitor.peer).of(account);
        match self.attempt_with(&place, batch).await {
            Err(Denied::Failed(Error::Condition(1))) => Ok(()),
            other => other,
        }
    }

    fn mailed(&self, token: &Secret, account: AccountId, purpose: &str, address: &Address) -> Statement {
        let now = self.clock.now();
        let values = [
            token.digest().into(),
            account.0.into(),
            purpose.into(),
            address.as_str().into(),
            address.key().into(),
            (now + LINK).into(),
            now.into(),
            LINKS.into(),
        ];
        Statement::new(MAIL, values).expecting(1)
    }

    /// The account and the address of a link that is still good.
    async fn mailed_to(&self, token: &str, purpose: &str) -> Result<(Secret, AccountId, Address), Denied> {
        let token = Secret::parse(token).ok_or(Denied::Link)?;
        let query = "SELECT account, address FROM mailed_tokens WHERE digest = $1 AND purpose = $2 AND expires_at > $3";
        let values = [token.digest().into(), purpose.into(), self.clock.now().into()];
        let rows = self.store.read(Statement::new(query, values)).await?;
        let row = rows.first().ok_or(Denied::Link)?;
        Ok((token, AccountId::from_blob(row.blob(0)?)?, Address::parse(row.text(1)?)?))
    }

    /// Sets the password of a link. Every session, token and other link ends; nobody is signed in by it.
    ///
    /// # Errors
    /// [`Denied::Link`] for one that is unknown, used or old; [`Denied::Field`] for the password.
    pub async fn reset(&self, token: &str, new: &str) -> Result<(), Denied> {
        let (token, account, address) = self.mailed_to(token, "reset").await?;
        let hash = self.hasher.hash(&password::chosen("new_password", new, address.as_str())?).await?;
        let sql = "UPDATE accounts SET password = $1, must_change = 0 WHERE id = $2";
        let mut batch = vec![used(&token), Statement::new(sql, [hash.into(), account.0.into()]).expecting(1)];
        batch.extend(ending_all(account));
        batch.push(self.notice(
            &address,
            "Your password was changed",
            "A new password was chosen by a mailed link.",
        )?);
        self.act(batch, self.own(account, "password.reset")).await.map_err(link)?;
        Ok(())
    }

    /// Asks for another address: a link goes there, and word of it to the old one. Whether the new one has an account
    /// is told to its owner alone.
    ///
    /// # Errors
    /// [`Denied::Field`] for the address or the password.
    pub async fn request_address(
        &self,
        account: AccountId,
        typed: &str,
        email: &str,
        peer: IpAddr,
    ) -> Result<(), Denied> {
        let new = Address::parse(email)?;
        self.check_password(account, typed, peer).await?;
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        let token = Secret::random()?;
        let taken = "SELECT 1 FROM accounts WHERE address_key = $1";
        let taken = !self.store.read(Statement::new(taken, [new.key().into()])).await?.is_empty();
        let letter =
            if taken { self.address_taken_letter(&new)? } else { self.address_letter(&new, &token)? };
        let notice = "A change of the address of your account was asked for.";
        let batch = vec![
            self.mailed(&token, account, "address", &new),
            letter,
            self.notice(&address_in(&row)?, "Your address is being changed", notice)?,
        ];
        match self.store.write(batch).await {
            Ok(_) | Err(Error::Condition(0)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes the address to that of a link. Every session ends.
    ///
    /// # Errors
    /// [`Denied::Link`] for one that is unknown, used or old, and when the address got an account meanwhile.
    pub async fn confirm_address(&self, token: &str) -> Result<(), Denied> {
        let (token, account, new) = self.mailed_to(token, "address").await?;
        let row = self.row_of(account).await?.ok_or(Denied::Link)?;
        let sql = "UPDATE accounts SET address = $1, address_key = $2 WHERE id = $3";
        let values = [new.as_str().into(), new.key().into(), account.0.into()];
        let mut batch = vec![used(&token), Statement::new(sql, values).expecting(1)];
        batch.extend(ending_all(account));
        batch.push(self.notice(
            &address_in(&row)?,
            "Your address was changed",
            "Your account has another address now.",
        )?);
        self.act(batch, self.own(account, "address.change")).await.map_err(link)?;
        Ok(())
    }

    /// Deletes an account with everything that hangs on it.
    ///
    /// # Errors
    /// As [`Proof`] has them.
    pub async fn delete(&self, account: AccountId, proof: Proof<'_>, peer: IpAddr) -> Result<(), Denied> {
        let denied = proof.denied();
        let (row, mut batch) = self.proven(account, proof, peer).await?;
        batch.push(Statement::new("DELETE FROM accounts WHERE id = $1", [account.0.into()]).expecting(1));
        batch.push(self.notice(
            &address_in(&row)?,
            "Your account was deleted",
            "Your account was deleted.",
        )?);
        self.act(batch, self.own(account, "account.delete")).await.map_err(|error| match error {
            Error::Condition(_) => denied,
            other => other.into(),
        })?;
        Ok(())
    }

    /// Gives an account another role; its sessions and tokens end. Who may do this is the caller's to check; the audit log
    /// names it, `None` being the person at the machine.
    ///
    /// # Errors
    /// [`Error::Condition`] when there is no such account.
    pub async fn set_role(&self, by: Option<AccountId>, account: AccountId, role: Role) -> Result<()> {
        let sql = "UPDATE accounts SET role = $1 WHERE id = $2";
        let mut batch = vec![Statement::new(sql, [role.name().into(), account.0.into()]).expecting(1)];
        batch.extend(ending_all(account));
        let entry = self.of(by, account, "role.change").with("role", role.name());
        self.act(batch, entry).await.map(drop)
    }
}

fn used(token: &Secret) -> Statement {
    Statement::new("DELETE FROM mailed_tokens WHERE digest = $1", [token.digest().into()]).expecting(1)
}

fn link(error: Error) -> Denied {
    match error {
        Error::Condition(_) => Denied::Link,
        other => other.into(),
    }
}
