//! Signing in by a passkey, which is both factors. Nobody is named before the authenticator says whose it is.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Refused, answer, body::Pair, pair};
use crate::{
    accounts::{Accounts, Assertion, RequestOptions, Visitor, web::read::Body},
    http::Object,
};

pub(super) fn table() -> OpenApiRouter<Arc<Accounts>> {
    OpenApiRouter::new().routes(routes!(passkey_begin)).routes(routes!(passkey_finish))
}

/// An object without fields.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyBegin {}

/// A ceremony that waits for an authenticator.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyBegun)]
struct Begun<'a> {
    /// To be brought back with the answer.
    ceremony: &'a str,
    /// For `navigator.credentials.get` as `publicKey`, or what stands in for it.
    #[schema(inline = false)]
    options: &'a RequestOptions,
    /// Seconds that it waits.
    expires_in: i64,
}

/// The answer of an authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyFinish {
    /// As it was given.
    ceremony: String,
    #[schema(value_type = Assertion, inline = false)]
    credential: Object<Assertion>,
}

/// Begins a sign-in by a passkey: what an authenticator is asked, at the origin of this site.
#[utoipa::path(post, path = "/api/v1/auth/passkey/begin", tag = "accounts",
    request_body(content = PasskeyBegin, description = "Nothing: the passkey says whose it is"),
    responses((status = 200, description = "What an authenticator is asked", body = Begun),
        (status = 403, description = "The address of this site allows no passkeys")))]
async fn passkey_begin(
    State(accounts): State<Arc<Accounts>>,
    Body(PasskeyBegin {}): Body<PasskeyBegin>,
) -> Result<Response, Refused> {
    let begun = accounts.begin_login_api().await?;
    let (ceremony, expires_in) = (begun.ceremony.reveal(), begun.expires_in);
    Ok(answer(StatusCode::OK, Begun { ceremony, options: &begun.options, expires_in }))
}

/// Signs in by the answer of an authenticator. A challenge is good for one answer, whatever that is worth.
#[utoipa::path(post, path = "/api/v1/auth/passkey/finish", tag = "accounts",
    request_body(content = PasskeyFinish, description = "The ceremony and the answer"),
    responses((status = 200, description = "Tokens", body = Pair),
        (status = 401, description = "The passkey is unknown or was not used as it must be, or the ceremony is not good; never which"),
        (status = 403, description = "The address of this site allows no passkeys"),
        (status = 429, description = "Too many attempts, or too many requests")))]
async fn passkey_finish(
    State(accounts): State<Arc<Accounts>>,
    visitor: Visitor,
    Body(body): Body<PasskeyFinish>,
) -> Result<Response, Refused> {
    let Object(credential) = &body.credential;
    let tokens = accounts.login_api_by_passkey(&body.ceremony, credential, visitor.peer).await?;
    Ok(pair(&tokens))
}
