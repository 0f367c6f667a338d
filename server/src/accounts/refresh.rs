//! Tokens of the API: one that lasts minutes, and one that is exchanged for the next pair, once. Who brings an exchanged
//! one again ends the whole family: one of the two holders is a thief.

use super::{
    AccountId, Accounts, Denied, Identity, Secret, Visitor,
    jwt::{self, Claims},
    secret::random,
    sessions::identity_of,
};
use crate::{Error, Result, audit::Entry, store::Statement};

/// Seconds of an access token.
const ACCESS: i64 = 600;
/// Seconds of a family; not prolonged by exchanging.
const FAMILY: i64 = 30 * 24 * 3600;

/// What a client of the API gets.
#[derive(Debug)]
pub struct Tokens {
    /// For `Authorization: Bearer`.
    pub access: Secret,
    /// Seconds that it is good.
    pub expires_in: i64,
    /// For the next pair.
    pub refresh: Secret,
}

impl Accounts {
    /// Signs in a client of the API.
    ///
    /// # Errors
    /// As [`Self::login`]; [`Denied::CodeNeeded`] when the account has a second factor and no code came;
    /// [`Denied::Code`].
    pub async fn login_api(
        &self,
        email: &str,
        typed: &str,
        code: Option<&str>,
        visitor: &Visitor,
    ) -> Result<Tokens, Denied> {
        let known = self.authenticate(email, typed, visitor).await?;
        let used = match (known.second_factor, code) {
            (false, _) => Vec::new(),
            (true, None) => return Err(Denied::CodeNeeded),
            (true, Some(code)) => self.code_use(known.account, code, visitor.peer).await?.1,
        };
        let batch = std::iter::once(known.place.forgotten()).chain(used).collect();
        let entry = self.own(known.account, "session.start").with("kind", "api");
        let tokens = self.begin_family(known.account, &known.stored, batch, entry).await;
        tokens.map_err(|denied| match denied {
            Denied::Failed(Error::Condition(0)) => Denied::Credentials,
            Denied::Failed(Error::Condition(_)) => Denied::Code,
            other => other,
        })
    }

    /// Begins a family, in one batch with what its beginning needs. The first condition of the batch is that the account has
    /// the password that it had when it was looked at, and is not disabled.
    pub(super) async fn begin_family(
        &self,
        account: AccountId,
        stored: &str,
        needs: Vec<Statement>,
        entry: Entry,
    ) -> Result<Tokens, Denied> {
        let (family, refresh, now) = (random::<16>()?, Secret::random()?, self.clock.now());
        let sql = "INSERT INTO refresh_families (id, account, created_at, expires_at) \
            SELECT $1, id, $2, $3 FROM accounts WHERE id = $4 AND password = $5 AND disabled_at IS NULL";
        let values = [family.into(), now.into(), (now + FAMILY).into(), account.0.into(), stored.into()];
        let mut batch = vec![Statement::new(sql, values).expecting(1)];
        let sql = "INSERT INTO refresh_tokens (digest, family) VALUES ($1, $2)";
        batch.push(Statement::new(sql, [refresh.digest().into(), family.into()]));
        batch.extend(needs);
        self.act(batch, entry).await?;
        self.pair(account, &family, refresh)
    }

    /// Exchanges a refresh token for the next pair.
    ///
    /// # Errors
    /// [`Denied::SignedOut`] for one that is unknown, old or was exchanged before; then its family ends.
    pub async fn refresh(&self, token: &str) -> Result<Tokens, Denied> {
        let old = Secret::parse(token).ok_or(Denied::SignedOut)?.digest();
        let (next, now) = (Secret::random()?, self.clock.now());
        let batch = vec![
            Statement::new(
                "UPDATE refresh_tokens SET used_at = $1 WHERE digest = $2 AND used_at IS NULL",
                [now.into(), old.into()],
            )
            .expecting(1),
            Statement::new(
                "SELECT f.id, f.account FROM refresh_families f JOIN refresh_tokens t ON t.family = f.id \
                 WHERE t.digest = $1 AND f.ended_at IS NULL AND f.expires_at > $2",
                [old.into(), now.into()],
            )
            .expecting(1),
            Statement::new(
                "INSERT INTO refresh_tokens (digest, family) SELECT $1, family FROM refresh_tokens WHERE digest = $2",
                [next.digest().into(), old.into()],
            )
            .expecting(1),
        ];
        match self.store.write(batch).await {
            Ok(outcomes) => {
                let row =
                    outcomes.get(1).and_then(|outcome| outcome.returned.first()).ok_or(Denied::SignedOut)?;
                self.pair(AccountId::from_blob(row.blob(1)?)?, row.blob(0)?, next)
            }
            // Used before, by this holder or another.
            Err(Error::Condition(0)) => {
                self.end_family_of(&old, "token.reuse").await?;
                Err(Denied::SignedOut)
            }
            Err(Error::Condition(_)) => Err(Denied::SignedOut),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the family of a refresh token; one that is unknown is nobody's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logout_api(&self, token: &str) -> Result<()> {
        match Secret::parse(token) {
            Some(token) => self.end_family_of(&token.digest(), "session.end").await,
            None => Ok(()),
        }
    }

    /// Ends the family of a token, once: what is unknown or has ended is no act, and nothing for the log.
    async fn end_family_of(&self, digest: &[u8], act: &str) -> Result<()> {
        let query = "SELECT f.id, f.account FROM refresh_families f JOIN refresh_tokens t ON t.family = f.id \
            WHERE t.digest = $1 AND f.ended_at IS NULL";
        let rows = self.store.read(Statement::new(query, [digest.into()])).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let account = AccountId::from_blob(row.blob(1)?)?;
        let sql = "UPDATE refresh_families SET ended_at = $1 WHERE ended_at IS NULL AND id = $2";
        let values = [self.clock.now().into(), row.blob(0)?.into()];
        // Whoever brings a token that was used may be the thief as well as the owner.
        let entry = match act {
            "token.reuse" => self.of_stranger(account, act),
            _ => self.own(account, act).with("kind", "api"),
        };
        match self.act(vec![Statement::new(sql, values).expecting(1)], entry).await {
            Ok(_) | Err(Error::Condition(0)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Who holds an access token: signed by us, not old, its family not ended. Role and state are those of now.
    ///
    /// # Errors
    /// [`Denied::SignedOut`] for any other; [`Denied::Failed`].
    pub async fn bearer(&self, token: &str) -> Result<Identity, Denied> {
        let now = self.clock.now();
        let origin = &self.settings.origin;
        let audience = audience(origin);
        let mut claims =
            self.keys.taken().filter_map(|keys| jwt::verify(&keys.tokens, token, origin, &audience, now));
        let claims = claims.next().ok_or(Denied::SignedOut)?;
        let account = AccountId::from_hex(&claims.sub).ok_or(Denied::SignedOut)?;
        let family = AccountId::from_hex(&claims.fam).ok_or(Denied::SignedOut)?;
        let query = "SELECT 1, 1, 1, a.id, a.address, a.role, a.must_change, a.totp_since, a.created_at, \
            (SELECT count(*) FROM passkeys WHERE account = a.id) FROM refresh_families f JOIN accounts a ON a.id = f.account \
            WHERE f.id = $1 AND f.account = $2 AND f.ended_at IS NULL AND f.expires_at > $3 AND a.disabled_at IS NULL";
        let values = [family.0.into(), account.0.into(), now.into()];
        let rows = self.store.read(Statement::new(query, values)).await?;
        Ok(identity_of(rows.first().ok_or(Denied::SignedOut)?, true)?)
    }

    fn pair(&self, account: AccountId, family: &[u8], refresh: Secret) -> Result<Tokens, Denied> {
        let now = self.clock.now();
        let claims = Claims {
            iss: self.settings.origin.clone(),
            aud: audience(&self.settings.origin),
            sub: account.hex(),
            fam: data_encoding::HEXLOWER.encode(family),
            iat: now,
            nbf: now,
            exp: now + ACCESS,
            jti: data_encoding::HEXLOWER.encode(&random::<16>()?),
        };
        let access = jwt::sign(&self.keys.current().tokens, &claims).map_err(|error| Error::Io {
            doing: "writing",
            what: "an access token".into(),
            source: error.into(),
        })?;
        Ok(Tokens { access: Secret::new(access), expires_in: ACCESS, refresh })
    }
}

fn audience(origin: &str) -> String {
    format!("{origin}/api/v1")
}
