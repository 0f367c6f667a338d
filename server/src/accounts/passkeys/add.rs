//! Adding and removing a passkey.

use super::{
    CreationOptions, MOST, Purpose,
    answer::{self, Attestation},
    check::refused,
    named,
};
use crate::{
    Error,
    accounts::{
        AccountId, Accounts, Denied, Proof, Secret, Started, Visitor,
        factor::{self, address_in},
        secret::random,
        sessions,
    },
    store::Statement,
    webauthn::{Ceremony, Registered},
};

/// Holds for a credential that nobody has, and while the account has its recovery codes as it had when it was looked at:
/// an account has them as long as it has a second factor of any kind.
const INSERT: &str = "INSERT INTO passkeys (id, account, credential, public_key, counter, backup_eligible, backed_up, \
    transports, name, created_at) \
    SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10 FROM accounts WHERE id = $2 \
    AND (SELECT count(*) FROM passkeys WHERE account = $2) < $11 \
    AND (SELECT count(*) FROM (SELECT 1 FROM recovery_codes WHERE account = $2 LIMIT 1) AS any_code) = $12 \
    ON CONFLICT (credential) DO NOTHING";

/// What adding a passkey leads to.
#[derive(Debug)]
pub struct Added {
    /// The session in place of the former one, when all were ended.
    pub started: Option<Started>,
    /// Recovery codes of an account that had no second factor before. They are shown this once.
    pub codes: Vec<Secret>,
}

impl Accounts {
    /// Begins to add a passkey: checks password and name before an authenticator makes one.
    ///
    /// # Errors
    /// [`Denied::Field`] for the password or the name; [`Denied::Forbidden`] when there are too many.
    pub async fn begin_passkey(
        &self,
        account: AccountId,
        typed: &str,
        name: &str,
        holder: &[u8],
        visitor: &Visitor,
    ) -> Result<CreationOptions, Denied> {
        self.party()?;
        named(name)?;
        self.check_password(account, typed, visitor.peer).await?;
        if i64::try_from(self.passkeys(account).await?.len()).unwrap_or(MOST) >= MOST {
            return Err(Denied::Forbidden("There are 20 passkeys; remove one first"));
        }
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        let challenge = self.challenge(Purpose::Add, holder).await?;
        self.creation(account, row.text(1)?, &challenge).await
    }

    /// Adds the passkey that was made. The first second factor of an account ends its other sessions and all tokens, which
    /// were begun without one.
    ///
    /// # Errors
    /// [`Denied::Passkey`]; [`Denied::Field`] for the name; [`Denied::SignedOut`].
    pub async fn finish_passkey(
        &self,
        account: AccountId,
        name: &str,
        json: &str,
        (session, holder): (&Secret, &[u8]),
        visitor: &Visitor,
    ) -> Result<Added, Denied> {
        let (name, answer) = (named(name)?, answer::parse::<Attestation>(json)?);
        let party = self.party()?;
        let client = party.client(Ceremony::Create, &answer.client_data.0).map_err(refused)?;
        let challenge = Secret::parse(client.challenge()).ok_or(Denied::Passkey)?;
        let used = self.challenge_use(&challenge, Purpose::Add, holder);
        self.store.write(vec![used]).await.map_err(condition)?;
        let made = party.register(&client, &answer.attestation_object.0).map_err(refused)?;
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        let is_first = !factor::has_one(&row)?;
        let mut batch =
            vec![self.insertion_of_passkey(account, &made, &name, &answer.transports(), is_first)?];
        batch.push(self.passkey_letter(&address_in(&row)?, "A passkey was added to your account.")?);
        let entry = self.own(account, "passkey.add");
        if !is_first {
            self.act(batch, entry).await.map_err(condition)?;
            return Ok(Added { started: None, codes: Vec::new() });
        }
        let codes = factor::recovery_codes()?;
        batch.extend(self.recovery_statements(account, &codes));
        batch.extend(sessions::ending_all(account));
        let started = self.replace_session(account, session, row.text(3)?, visitor, batch, entry).await;
        let started = started.map_err(|denied| match denied {
            Denied::Failed(Error::Condition(0)) => Denied::SignedOut,
            Denied::Failed(error) => condition(error),
            other => other,
        })?;
        Ok(Added { started: Some(started), codes })
    }

    fn insertion_of_passkey(
        &self,
        account: AccountId,
        made: &Registered,
        name: &str,
        transports: &str,
        is_first: bool,
    ) -> Result<Statement, Denied> {
        let values = [
            random::<16>()?.into(),
            account.0.into(),
            made.id.as_slice().into(),
            made.public_key.as_slice().into(),
            i64::from(made.counter).into(),
            made.backup_eligible.into(),
            made.backed_up.into(),
            transports.into(),
            name.into(),
            self.clock.now().into(),
            MOST.into(),
            (!is_first).into(),
        ];
        Ok(Statement::new(INSERT, values).expecting(1))
    }

    /// Removes a passkey, of which there may be another account's that is not touched. An account whose role needs a second
    /// factor can do nothing until it has another.
    ///
    /// # Errors
    /// As [`Proof`] has them; [`Denied::Forbidden`] when it is not there.
    pub async fn remove_passkey(
        &self,
        account: AccountId,
        id: &[u8],
        proof: Proof<'_>,
        visitor: &Visitor,
    ) -> Result<(), Denied> {
        let denied = proof.denied();
        let (row, mut batch) = self.proven(account, proof, visitor.peer).await?;
        // After what a proof by this very passkey changes of it.
        let at = batch.len();
        let remove = "DELETE FROM passkeys WHERE id = $1 AND account = $2";
        batch.push(Statement::new(remove, [id.into(), account.0.into()]).expecting(1));
        batch.push(factor::codes_without_factor(account));
        batch.push(self.passkey_letter(&address_in(&row)?, "A passkey of your account was removed.")?);
        match self.act(batch, self.own(account, "passkey.remove")).await {
            Ok(_) => Ok(()),
            Err(Error::Condition(index)) if index == at => Err(Denied::Forbidden("There is no such passkey")),
            Err(Error::Condition(_)) => Err(denied),
            Err(error) => Err(error.into()),
        }
    }
}

fn condition(error: Error) -> Denied {
    match error {
        Error::Condition(_) => Denied::Passkey,
        other => other.into(),
    }
}
