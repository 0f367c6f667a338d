//! Signing in by a passkey, alone or after the password.

use super::Purpose;
use crate::{
    Error,
    accounts::{AccountId, Accounts, Denied, Secret, Started, Visitor, factor::address_in},
};

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
        let checked = self.check_passkey(answer, Purpose::SignIn, holder, None, visitor.peer).await?;
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
        let checked =
            self.check_passkey(answer, Purpose::Factor, holder, Some(account), visitor.peer).await?;
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
}
