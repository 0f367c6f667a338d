//! Signing in by a passkey: alone, after the password, or for tokens of the API.

use std::net::IpAddr;

use super::{Assertion, LIFE, Purpose, RequestOptions};
use crate::{
    Error,
    accounts::{AccountId, Accounts, Denied, Secret, Started, Tokens, Visitor, factor::address_in},
};

/// A sign-in to the API that waits for an authenticator.
#[derive(Debug)]
pub struct Begun {
    /// Whoever brings it goes on with the sign-in. It is to a client of the API what its cookie is to a visitor.
    pub ceremony: Secret,
    /// What the authenticator is asked.
    pub options: RequestOptions,
    /// Seconds that it waits.
    pub expires_in: i64,
}

impl Accounts {
    /// Signs in whoever has a passkey. `before` is the session the browser comes with, which ends.
    ///
    /// # Errors
    /// [`Denied::Passkey`], whatever is wrong with it; [`Denied::Later`]; [`Denied::Failed`].
    pub async fn sign_in_by_passkey(
        &self,
        answer: &str,
        holder: &[u8],
        visitor: &Visitor,
        before: Option<&Secret>,
    ) -> Result<Started, Denied> {
        let answer = Assertion::parse(answer)?;
        let checked = self.check_passkey(&answer, Purpose::SignIn, holder, None, visitor.peer).await?;
        let row = self.row_of(checked.account).await?.ok_or(Denied::Passkey)?;
        let entry = self.own(checked.account, "session.start").with("passkey", 1);
        let started =
            self.begin_session(checked.account, row.text(3)?, visitor, before, checked.batch, entry).await;
        started.map_err(|denied| match denied {
            Denied::Failed(Error::Condition(_)) => Denied::Passkey,
            other => other,
        })
    }

    /// Lets somebody on whose password was right, by a passkey of the account; the session is replaced.
    ///
    /// # Errors
    /// [`Denied::Passkey`]; [`Denied::Later`]; [`Denied::SignedOut`].
    pub async fn pass_by_passkey(
        &self,
        account: AccountId,
        answer: &str,
        holder: &[u8],
        session: &Secret,
        visitor: &Visitor,
    ) -> Result<Started, Denied> {
        let answer = Assertion::parse(answer)?;
        let checked =
            self.check_passkey(&answer, Purpose::Factor, holder, Some(account), visitor.peer).await?;
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        let mut batch = checked.batch;
        batch.extend(self.login_forgotten(&address_in(&row)?, visitor));
        let entry = self.own(account, "session.start").with("factor", 1).with("passkey", 1);
        let started = self.replace_session(account, session, row.text(3)?, visitor, batch, entry).await;
        started.map_err(|denied| match denied {
            Denied::Failed(Error::Condition(0)) => Denied::SignedOut,
            Denied::Failed(Error::Condition(_)) => Denied::Passkey,
            other => other,
        })
    }
    /// Begins to sign in a client of the API. Nobody is named, so that nobody learns who has a passkey.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] where the site's address allows no passkeys; [`Denied::Failed`].
    pub async fn begin_login_api(&self) -> Result<Begun, Denied> {
        let ceremony = Secret::random()?;
        let options = self.ask_passkey(Purpose::Tokens, &holder_of(&ceremony), None).await?;
        Ok(Begun { ceremony, options, expires_in: LIFE })
    }

    /// Signs in a client of the API that has a passkey, which is both factors.
    ///
    /// # Errors
    /// [`Denied::Passkey`], whatever is wrong with it; [`Denied::Later`]; [`Denied::Failed`].
    pub async fn login_api_by_passkey(
        &self,
        ceremony: &str,
        answer: &Assertion,
        peer: IpAddr,
    ) -> Result<Tokens, Denied> {
        self.party()?;
        let ceremony = Secret::parse(ceremony).ok_or(Denied::Passkey)?;
        let checked = self.check_passkey(answer, Purpose::Tokens, &holder_of(&ceremony), None, peer).await?;
        let row = self.row_of(checked.account).await?.ok_or(Denied::Passkey)?;
        let entry = self.own(checked.account, "session.start").with("kind", "api").with("passkey", 1);
        let tokens = self.begin_family(checked.account, row.text(3)?, checked.batch, entry).await;
        tokens.map_err(|denied| match denied {
            Denied::Failed(Error::Condition(_)) => Denied::Passkey,
            other => other,
        })
    }
}

/// To whom a challenge of the API is given.
fn holder_of(ceremony: &Secret) -> Vec<u8> {
    [b"api".as_slice(), &ceremony.digest()].concat()
}
