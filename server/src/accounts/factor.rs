//! The second factor: an authenticator's code, or one of ten recovery codes. Each code is used once, by one statement.
//! Passkeys are the other kind (`passkeys`); recovery codes are there as long as there is a factor of either kind.

use std::net::IpAddr;

use qrcode::{QrCode, render::svg};

use super::{
    AccountId, Accounts, Denied, Proof, Secret, Visitor, password,
    secret::random,
    sessions::{self, Started},
    totp,
};
use crate::{
    Error, Result,
    clock::TOLERANCE,
    store::{Row, Statement},
};

/// Recovery codes of an account.
const CODES: usize = 10;

/// A second factor that is being set up.
#[derive(Debug)]
pub struct Enrolment {
    /// The secret in base32, to be typed into an authenticator.
    pub secret: Secret,
    uri: Secret,
}

impl Enrolment {
    /// The `otpauth:` address as a picture to scan.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it does not fit a QR code, which takes an address of over 2,000 bytes.
    pub fn svg(&self) -> Result<String> {
        let code = QrCode::new(self.uri.reveal()).map_err(|error| Error::Corrupt {
            what: "the address of an authenticator".into(),
            problem: format!("does not fit a QR code: {error}"),
        })?;
        Ok(code.render::<svg::Color<'_>>().min_dimensions(240, 240).quiet_zone(true).build())
    }
}

impl Accounts {
    /// Begins to set up a second factor, with a new secret at each call.
    ///
    /// # Errors
    /// [`Denied::Field`] for a wrong password; [`Denied::Forbidden`] when there is one.
    pub async fn begin_factor(&self, account: AccountId, typed: &str, peer: IpAddr) -> Result<(), Denied> {
        self.check_password(account, typed, peer).await?;
        let sealed = self.keys.sealed(&account.0, &random::<20>()?)?;
        let sql = "UPDATE accounts SET totp_secret = $1 WHERE id = $2 AND totp_since IS NULL";
        let begin = Statement::new(sql, [sealed.into(), account.0.into()]).expecting(1);
        self.store.write(vec![begin]).await.map_err(exists)?;
        Ok(())
    }

    /// The second factor that is being set up.
    ///
    /// # Errors
    /// [`Denied::Failed`].
    pub async fn enrolment(&self, account: AccountId) -> Result<Option<Enrolment>, Denied> {
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        if row.is_null(5) || !row.is_null(6) {
            return Ok(None);
        }
        let secret = self.keys.opened(&account.0, row.blob(5)?)?;
        let uri = Secret::new(totp::uri(&secret, "Aegis OS", row.text(1)?));
        Ok(Some(Enrolment { secret: Secret::new(data_encoding::BASE32_NOPAD.encode(&secret)), uri }))
    }

    /// Ends the setting up: from now on the code is asked for. Ends the other sessions and all tokens, and answers the
    /// recovery codes, which are shown this once.
    ///
    /// # Errors
    /// [`Denied::Code`]; [`Denied::Forbidden`] when there is one already.
    pub async fn finish_factor(
        &self,
        account: AccountId,
        code: &str,
        session: &Secret,
        visitor: &Visitor,
    ) -> Result<(Started, Vec<Secret>), Denied> {
        let place = self.place("code", &account.0, visitor.peer).of(Some(account));
        self.attempt(&place).await?;
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        if row.is_null(5) || !row.is_null(6) {
            return Err(Denied::Forbidden("There is nothing to set up"));
        }
        let now = self.clock.now();
        let secret = self.keys.opened(&account.0, row.blob(5)?)?;
        let step = totp::step_of(&secret, &plain(code), now).ok_or(Denied::Code)?;
        let codes = recovery_codes()?;
        let sql = "UPDATE accounts SET totp_since = $1, totp_step = $2 \
            WHERE id = $3 AND totp_secret = $4 AND totp_since IS NULL";
        let values = [now.into(), step.into(), account.0.into(), row.blob(5)?.into()];
        let mut batch = vec![Statement::new(sql, values).expecting(1), place.forgotten()];
        batch.extend(self.recovery_statements(account, &codes));
        batch.extend(sessions::ending_all(account));
        let notice = "A second factor was set up for your account.";
        batch.push(self.notice(&address_in(&row)?, "Your second factor", notice)?);
        let entry = self.own(account, "factor.set");
        let started = self.replace_session(account, session, row.text(3)?, visitor, batch, entry).await;
        Ok((started.map_err(denied_exists)?, codes))
    }

    pub(super) fn recovery_statements(&self, account: AccountId, codes: &[Secret]) -> Vec<Statement> {
        let insert = "INSERT INTO recovery_codes (account, digest) VALUES ($1, $2)";
        let one = |code: &Secret| {
            let digest = self.keys.recovery_digest(&account.0, &plain(code.reveal()));
            Statement::new(insert, [account.0.into(), digest.into()])
        };
        let clear = Statement::new("DELETE FROM recovery_codes WHERE account = $1", [account.0.into()]);
        std::iter::once(clear).chain(codes.iter().map(one)).collect()
    }

    /// Lets somebody on whose password was right, by the code; the session is replaced.
    ///
    /// # Errors
    /// [`Denied::Code`] for one that is wrong or was used; [`Denied::Later`]; [`Denied::SignedOut`].
    pub async fn pass_factor(
        &self,
        account: AccountId,
        code: &str,
        session: &Secret,
        visitor: &Visitor,
    ) -> Result<Started, Denied> {
        let (row, mut used) = self.code_use(account, code, visitor.peer).await?;
        used.extend(self.login_forgotten(&address_in(&row)?, visitor));
        let entry = self.own(account, "session.start").with("factor", 1);
        let started = self.replace_session(account, session, row.text(3)?, visitor, used, entry).await;
        started.map_err(|denied| match denied {
            // The session has ended.
            Denied::Failed(Error::Condition(0)) => Denied::SignedOut,
            Denied::Failed(Error::Condition(_)) => Denied::Code,
            other => other,
        })
    }

    /// Takes the authenticator away. An account whose role needs a second factor can do nothing until it has another.
    ///
    /// # Errors
    /// As [`Proof`] has them.
    pub async fn remove_factor(
        &self,
        account: AccountId,
        proof: Proof<'_>,
        peer: IpAddr,
    ) -> Result<(), Denied> {
        let denied = proof.denied();
        let (row, mut batch) = self.proven(account, proof, peer).await?;
        if row.is_null(6) {
            return Err(Denied::Forbidden("There is no authenticator"));
        }
        let remove = "UPDATE accounts SET totp_secret = NULL, totp_since = NULL WHERE id = $1";
        batch.extend([
            Statement::new(remove, [account.0.into()]),
            codes_without_factor(account),
            self.notice(
                &address_in(&row)?,
                "Your second factor",
                "The second factor of your account was removed.",
            )?,
        ]);
        self.act(batch, self.own(account, "factor.remove")).await.map_err(|error| match error {
            Error::Condition(_) => denied,
            other => other.into(),
        })?;
        Ok(())
    }

    /// How many recovery codes are left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recovery_codes_left(&self, account: AccountId) -> Result<i64> {
        let query = "SELECT count(*) FROM recovery_codes WHERE account = $1 AND used_at IS NULL";
        let rows = self.store.read(Statement::new(query, [account.0.into()])).await?;
        rows.first().map_or(Ok(0), |row| row.int(0))
    }

    /// The account's row, and what uses a code up: the first statement holds once for each code, in whatever batch.
    pub(super) async fn code_use(
        &self,
        account: AccountId,
        code: &str,
        peer: IpAddr,
    ) -> Result<(Row, Vec<Statement>), Denied> {
        let place = self.place("code", &account.0, peer).of(Some(account));
        self.attempt(&place).await?;
        let row = self.row_of(account).await?.ok_or(Denied::SignedOut)?;
        let (code, now) = (plain(code), self.clock.now());
        let sealed = if row.is_null(6) { None } else { Some(row.blob(5)?) };
        let secret = sealed.map(|sealed| self.keys.opened(&account.0, sealed)).transpose()?;
        let used = match secret.as_ref().and_then(|secret| totp::step_of(secret, &code, now)) {
            Some(step) => Statement::new(
                // A step far ahead was used before the clock was put back, and must not keep out every code until then.
                "UPDATE accounts SET totp_step = $1 WHERE id = $2 AND (totp_step < $1 OR totp_step > $3) \
                 AND totp_since IS NOT NULL",
                [step.into(), account.0.into(), (step + TOLERANCE / totp::STEP).into()],
            ),
            None => Statement::new(
                "UPDATE recovery_codes SET used_at = $1 WHERE account = $2 AND digest = $3 AND used_at IS NULL",
                [now.into(), account.0.into(), self.stored_recovery(account, &code).await?.into()],
            ),
        };
        let mut batch = vec![used.expecting(1), place.forgotten()];
        if let Some((sealed, secret)) = sealed.zip(secret)
            && self.keys.is_outdated(&account.0, sealed)
        {
            let sql = "UPDATE accounts SET totp_secret = $1 WHERE id = $2 AND totp_secret = $3";
            let fresh = self.keys.sealed(&account.0, &secret)?;
            batch.push(Statement::new(sql, [fresh.into(), account.0.into(), sealed.into()]));
        }
        Ok((row, batch))
    }

    /// As what a recovery code is stored, by whichever generation of the secret.
    async fn stored_recovery(&self, account: AccountId, code: &str) -> Result<Vec<u8>> {
        let query = "SELECT digest FROM recovery_codes WHERE account = $1 AND used_at IS NULL";
        let rows = self.store.read(Statement::new(query, [account.0.into()])).await?;
        let stored = rows.iter().map(|row| row.blob(0)).collect::<Result<Vec<_>>>()?;
        let mut known = self.keys.recovery_digests(&account.0, code).into_iter();
        let known = known.find(|digest| stored.contains(&digest.as_slice()));
        Ok(known.unwrap_or_else(|| self.keys.recovery_digest(&account.0, code)))
    }
}

/// Whether an account has a second factor of either kind.
pub(super) fn has_one(row: &Row) -> Result<bool> {
    Ok(!row.is_null(6) || row.int(8)? > 0)
}

/// Ends the recovery codes of an account that has no second factor left; after the statement that takes one away.
pub(super) fn codes_without_factor(account: AccountId) -> Statement {
    let sql = "DELETE FROM recovery_codes WHERE account = $1 \
        AND NOT EXISTS (SELECT 1 FROM passkeys WHERE account = $1) \
        AND NOT EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND totp_since IS NOT NULL)";
    Statement::new(sql, [account.0.into()])
}

pub(super) fn address_in(row: &Row) -> Result<super::Address, Denied> {
    super::Address::parse(row.text(1)?)
}

fn exists(error: Error) -> Denied {
    match error {
        Error::Condition(_) => Denied::Forbidden("There is a second factor already"),
        other => other.into(),
    }
}

fn denied_exists(denied: Denied) -> Denied {
    match denied {
        Denied::Failed(error) => exists(error),
        other => other,
    }
}

/// A code without what people write between its parts.
fn plain(code: &str) -> String {
    let code = password::spelt(code);
    code.reveal().chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_ascii_uppercase()
}

/// New ones for an account.
pub(super) fn recovery_codes() -> Result<Vec<Secret>> {
    (0..CODES).map(|_| recovery_code()).collect()
}

/// 80 random bits as four groups of base32.
fn recovery_code() -> Result<Secret> {
    let text = data_encoding::BASE32_NOPAD.encode(&random::<10>()?);
    let groups = [&text[..4], &text[4..8], &text[8..12], &text[12..]];
    Ok(Secret::new(groups.join("-")))
}
