//! Challenges: random, stored as digests, each for one purpose of one session or visitor, once and for minutes.

use crate::{
    Result,
    accounts::{Accounts, Secret},
    store::Statement,
};

/// Milliseconds that a browser waits for a person (WebAuthn, section 15.1).
pub(super) const TIMEOUT: u32 = 300_000;
/// Seconds that a challenge is good: as long, and a minute for the way.
pub(crate) const LIFE: i64 = 360;

/// What an answer is asked for. It serves nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To add a passkey.
    Add,
    /// To sign in without a password.
    SignIn,
    /// To get tokens of the API.
    Tokens,
    /// To end a sign-in that the password began.
    Factor,
    /// To do something that takes the account over.
    Proof,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::SignIn => "sign-in",
            Self::Tokens => "tokens",
            Self::Factor => "factor",
            Self::Proof => "proof",
        }
    }
}

impl Accounts {
    /// A challenge for whoever holds a session, or the cookie of a visitor.
    pub(super) async fn challenge(&self, purpose: Purpose, holder: &[u8]) -> Result<Secret> {
        let challenge = Secret::random()?;
        let sql =
            "INSERT INTO passkey_challenges (digest, purpose, holder, expires_at) VALUES ($1, $2, $3, $4)";
        let ends = self.clock.now() + LIFE;
        let values = [challenge.digest().into(), purpose.name().into(), holder.into(), ends.into()];
        self.store.write(vec![Statement::new(sql, values)]).await?;
        Ok(challenge)
    }

    /// Uses a challenge up: the batch holds only where it was given to this holder, for this purpose, and is still good.
    pub(super) fn challenge_use(&self, challenge: &Secret, purpose: Purpose, holder: &[u8]) -> Statement {
        let sql = "DELETE FROM passkey_challenges WHERE digest = $1 AND purpose = $2 AND holder = $3 AND expires_at > $4";
        let now = self.clock.now();
        let values = [challenge.digest().into(), purpose.name().into(), holder.into(), now.into()];
        Statement::new(sql, values).expecting(1)
    }
}
