//! A passkey that was used: whose it is, and what the use changes.

use std::net::IpAddr;

use super::{Assertion, Purpose};
use crate::{
    Error, Result,
    accounts::{AccountId, Accounts, Denied, Secret, factor::address_in},
    store::{Row, Statement},
    webauthn::{Asserted, Ceremony, Client, Known, Refusal},
};

const FIND: &str =
    "SELECT account, id, public_key, counter, backup_eligible FROM passkeys WHERE credential = $1";

/// A passkey that was used rightly.
pub(in crate::accounts) struct Checked {
    pub(in crate::accounts) account: AccountId,
    /// What the use changes, for the batch of the act. The first statement holds once for each counter.
    pub(in crate::accounts) batch: Vec<Statement>,
}

impl Accounts {
    /// Verifies an answer. The attempt is counted, and its challenge used up, whatever comes of it.
    ///
    /// `account` is whose the passkey must be; without one the answer must say it (WebAuthn, section 7.2, step 6).
    pub(in crate::accounts) async fn check_passkey(
        &self,
        answer: &Assertion,
        purpose: Purpose,
        holder: &[u8],
        account: Option<AccountId>,
        peer: IpAddr,
    ) -> Result<Checked, Denied> {
        let client = self.party()?.client(Ceremony::Get, &answer.client_data.0).map_err(refused)?;
        let challenge = Secret::parse(client.challenge()).ok_or(Denied::Passkey)?;
        let found = self.store.read(Statement::new(FIND, [answer.id.0.as_slice().into()])).await?;
        let owner = found.first().map(|row| AccountId::from_blob(row.blob(0)?)).transpose()?;
        let place = self.place("passkey", &answer.id.0, peer).of(owner);
        let used = self.challenge_use(&challenge, purpose, holder);
        self.attempt_with(&place, vec![used]).await.map_err(unknown_challenge)?;
        // Sooner than for a signature that is wrong. That tells of an id, of which nobody guesses the 100 random bits (section 4).
        let (Some(row), Some(owner)) = (found.first(), owner) else { return Err(Denied::Passkey) };
        if !is_theirs(answer, account, owner) {
            return Err(Denied::Passkey);
        }
        let asserted = self.asserted(&client, answer, row, owner).await?;
        let sql =
            "UPDATE passkeys SET counter = $1, backed_up = $2, used_at = $3 WHERE id = $4 AND counter = $5";
        let values = [
            i64::from(asserted.counter).into(),
            asserted.backed_up.into(),
            self.clock.now().into(),
            row.blob(1)?.into(),
            row.int(3)?.into(),
        ];
        let batch = vec![Statement::new(sql, values).expecting(1), place.forgotten()];
        Ok(Checked { account: owner, batch })
    }

    async fn asserted(
        &self,
        client: &Client,
        answer: &Assertion,
        row: &Row,
        owner: AccountId,
    ) -> Result<Asserted, Denied> {
        let counter = u32::try_from(row.int(3)?).map_err(|error| Error::Corrupt {
            what: "the counter of a passkey".into(),
            problem: format!("is none: {error}"),
        })?;
        let known = Known { public_key: row.blob(2)?, counter, backup_eligible: row.int(4)? == 1 };
        let verified =
            self.party()?.verify(client, &known, &answer.authenticator_data.0, &answer.signature.0);
        if verified == Err(Refusal::Counter) {
            self.note_copy(owner).await?;
        }
        verified.map_err(refused)
    }

    /// Tells the owner and the log that there may be two of a passkey (WebAuthn, section 6.1.1).
    async fn note_copy(&self, owner: AccountId) -> Result<(), Denied> {
        let row = self.row_of(owner).await?.ok_or(Denied::Passkey)?;
        let address = address_in(&row)?;
        let text = "A passkey of your account was used, and its counter says that there may be a copy of it. The use was \
                    refused. If you know nothing of it, remove this passkey.";
        let letter = self.passkey_letter(&address, text)?;
        self.act(vec![letter], self.of_stranger(owner, "passkey.copy")).await?;
        Ok(())
    }
}

fn is_theirs(answer: &Assertion, account: Option<AccountId>, owner: AccountId) -> bool {
    let said = answer.user_handle.as_ref().map(|handle| handle.0.as_slice() == owner.0.as_slice());
    match account {
        Some(account) => account == owner && said != Some(false),
        None => said == Some(true),
    }
}

/// A challenge that is unknown, used, old, or somebody else's.
fn unknown_challenge(denied: Denied) -> Denied {
    match denied {
        // The counter of attempts is the first statement.
        Denied::Failed(Error::Condition(1)) => Denied::Passkey,
        other => other,
    }
}

/// The reason is for whoever runs the site: it names nobody.
pub(super) fn refused(refusal: Refusal) -> Denied {
    tracing::info!(%refusal, "an answer of an authenticator was refused");
    Denied::Passkey
}
