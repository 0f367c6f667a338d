//! Fresh proof of who somebody is, before an act that takes an account over or ends it.

use std::net::IpAddr;

use super::{AccountId, Accounts, Assertion, Denied, Purpose, factor};
use crate::store::{Row, Statement};

/// What somebody who is signed in brings.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// The password, with a code where the account has a second factor.
    Password {
        /// As it was typed.
        typed: &'a str,
        /// Of the authenticator, or a recovery code.
        code: &'a str,
    },
    /// A passkey of the account, which is both.
    Passkey {
        /// What the browser answered.
        answer: &'a str,
        /// Whom it was asked of.
        holder: &'a [u8],
    },
}

impl Proof<'_> {
    /// What is said when another act used the same proof first.
    pub(super) const fn denied(&self) -> Denied {
        match self {
            Self::Password { .. } => Denied::Code,
            Self::Passkey { .. } => Denied::Passkey,
        }
    }
}

impl Accounts {
    /// The account's row, and what uses the proof up, for the batch of the act.
    ///
    /// # Errors
    /// [`Denied::Field`] for a wrong password; [`Denied::Code`]; [`Denied::Passkey`]; [`Denied::Later`].
    pub(super) async fn proven(
        &self,
        account: AccountId,
        proof: Proof<'_>,
        peer: IpAddr,
    ) -> Result<(Row, Vec<Statement>), Denied> {
        match proof {
            Proof::Password { typed, code } => {
                self.check_password(account, typed, peer).await?;
                let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
                if factor::has_one(&row)? {
                    self.code_use(account, code, peer).await
                } else {
                    Ok((row, Vec::new()))
                }
            }
            Proof::Passkey { answer, holder } => {
                let answer = Assertion::parse(answer)?;
                let checked =
                    self.check_passkey(&answer, Purpose::Proof, holder, Some(account), peer).await?;
                let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
                Ok((row, checked.batch))
            }
        }
    }
}
