//! What a browser is asked, in the JSON of WebAuthn (sections 5.1.8 and 5.1.9); `passkey.js` hands it on.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Purpose, challenge::TIMEOUT};
use crate::{
    accounts::{AccountId, Accounts, Denied, Secret},
    store::{Row, Statement},
    webauthn,
};

/// What is asked to make a passkey: `PublicKeyCredentialCreationOptions` (section 5.4).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    challenge: String,
    rp: Site,
    user: Person,
    pub_key_cred_params: [Parameters; webauthn::ALGORITHMS.len()],
    timeout: u32,
    exclude_credentials: Vec<Descriptor>,
    authenticator_selection: Selection,
    attestation: &'static str,
}

/// What is asked to use a passkey: `PublicKeyCredentialRequestOptions` (WebAuthn, section 5.5), bytes in base64url.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PasskeyOptions)]
pub struct RequestOptions {
    /// To be signed. It is good once, for minutes.
    challenge: String,
    /// The host of the site.
    rp_id: String,
    /// Milliseconds that a person has.
    timeout: u32,
    /// Which passkeys; none are named to whoever is not known yet.
    allow_credentials: Vec<Descriptor>,
    /// Always `required`.
    user_verification: &'static str,
}

#[derive(Debug, Serialize)]
struct Site {
    id: String,
    name: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    /// The user handle; nothing in it is of the person (section 14.6.1).
    id: String,
    name: String,
    display_name: String,
}

#[derive(Debug, Serialize)]
struct Parameters {
    #[serde(rename = "type")]
    kind: &'static str,
    alg: i64,
}

/// A passkey by its id (section 5.8.3).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasskeyDescriptor)]
struct Descriptor {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    transports: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Selection {
    resident_key: &'static str,
    require_resident_key: bool,
    user_verification: &'static str,
}

const KIND: &str = "public-key";

impl Accounts {
    /// Asks for a passkey. Without an account any is asked for, and the answer says whose it is; so nobody learns who has
    /// one (section 14.6.2).
    ///
    /// # Errors
    /// [`Denied::Forbidden`] where the site's address allows none, and for an account without one; [`Denied::Failed`].
    pub async fn ask_passkey(
        &self,
        purpose: Purpose,
        holder: &[u8],
        account: Option<AccountId>,
    ) -> Result<RequestOptions, Denied> {
        let rp_id = self.party()?.id().to_owned();
        let allow_credentials = match account {
            Some(account) => self.descriptors(account).await?,
            None => Vec::new(),
        };
        if account.is_some() && allow_credentials.is_empty() {
            return Err(Denied::Forbidden("There is no passkey"));
        }
        Ok(RequestOptions {
            challenge: self.challenge(purpose, holder).await?.reveal().to_owned(),
            rp_id,
            timeout: TIMEOUT,
            allow_credentials,
            user_verification: "required",
        })
    }

    /// What is asked to make one.
    pub(super) async fn creation(
        &self,
        account: AccountId,
        address: &str,
        challenge: &Secret,
    ) -> Result<CreationOptions, Denied> {
        Ok(CreationOptions {
            challenge: challenge.reveal().to_owned(),
            rp: Site { id: self.party()?.id().to_owned(), name: "Aegis OS" },
            user: Person {
                id: data_encoding::BASE64URL_NOPAD.encode(&account.0),
                name: address.to_owned(),
                display_name: address.to_owned(),
            },
            pub_key_cred_params: webauthn::ALGORITHMS.map(|alg| Parameters { kind: KIND, alg }),
            timeout: TIMEOUT,
            exclude_credentials: self.descriptors(account).await?,
            authenticator_selection: Selection {
                resident_key: "required",
                require_resident_key: true,
                user_verification: "required",
            },
            attestation: "none",
        })
    }

    async fn descriptors(&self, account: AccountId) -> Result<Vec<Descriptor>, Denied> {
        let query = "SELECT credential, transports FROM passkeys WHERE account = $1 ORDER BY created_at, id";
        let rows = self.store.read(Statement::new(query, [account.0.into()])).await?;
        let descriptor = |row: &Row| {
            let transports = row.text(1)?.split(' ').filter(|one| !one.is_empty());
            Ok(Descriptor {
                kind: KIND,
                id: data_encoding::BASE64URL_NOPAD.encode(row.blob(0)?),
                transports: transports.map(str::to_owned).collect(),
            })
        };
        rows.iter().map(descriptor).collect()
    }
}
