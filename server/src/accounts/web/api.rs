//! The API. It takes a bearer token and never a cookie, so that no form of another site can reach it.

mod body;
mod passkey;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::read::{Body, bearer};
use crate::{
    accounts::{Accounts, Denied, Tokens, Visitor},
    http::{Code, Problem},
};
use body::{Account, Credentials, Pair, Refresh, Registration, Sent};

pub(super) fn router(accounts: Arc<Accounts>) -> Router {
    let (routes, _) = table().split_for_parts();
    let routes = routes.method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed));
    routes.with_state(accounts)
}

/// Every route, with its description.
pub(super) fn table() -> OpenApiRouter<Arc<Accounts>> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(account))
        .merge(passkey::table())
}

/// Asks for an account: a letter with a link goes to the address. The answer is the same whether there is an account or not.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "accounts",
    request_body(content = Registration, description = "Whose account, and its password"),
    responses((status = 202, description = "A letter is on its way", body = Sent),
        (status = 422, description = "The address or the password is not one that is taken"),
        (status = 429, description = "Too many letters to this address, or too many requests")))]
async fn register(
    State(accounts): State<Arc<Accounts>>,
    visitor: Visitor,
    Body(body): Body<Registration>,
) -> Result<Response, Refused> {
    accounts.register(&body.email, &body.password, &visitor).await?;
    Ok(answer(StatusCode::ACCEPTED, Sent::CONFIRMATION))
}

/// Signs in by a password, and a code where the account has a second factor.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "accounts",
    request_body(content = Credentials, description = "Who signs in, and the proofs of it"),
    responses((status = 200, description = "Tokens", body = Pair),
        (status = 401, description = "The address, the password or the code is wrong; there may be no such account"),
        (status = 403, description = "The password is right, and the account was disabled"),
        (status = 422, description = "A field is not as it must be; or the password is right, and a code is needed: then \
                                      `field` is `code`"),
        (status = 429, description = "Too many attempts, or too many requests")))]
async fn login(
    State(accounts): State<Arc<Accounts>>,
    visitor: Visitor,
    Body(body): Body<Credentials>,
) -> Result<Response, Refused> {
    let tokens = accounts.login_api(&body.email, &body.password, body.code.as_deref(), &visitor).await?;
    Ok(pair(&tokens))
}

/// Exchanges a refresh token for the next pair. One that was exchanged before ends all that came of its sign-in.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "accounts",
    request_body(content = Refresh, description = "The refresh token of the last pair"),
    responses((status = 200, description = "The next tokens", body = Pair),
        (status = 401, description = "The token is unknown, old, ended or was exchanged before")))]
async fn refresh(
    State(accounts): State<Arc<Accounts>>,
    Body(body): Body<Refresh>,
) -> Result<Response, Refused> {
    Ok(pair(&accounts.refresh(&body.refresh_token).await?))
}

/// Ends all that came of a sign-in: its refresh tokens, and its access tokens at once. The answer is the same for a token that nobody has.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "accounts",
    request_body(content = Refresh, description = "A refresh token of the sign-in"),
    responses((status = 204, description = "It has ended")))]
async fn logout(
    State(accounts): State<Arc<Accounts>>,
    Body(body): Body<Refresh>,
) -> Result<Response, Refused> {
    accounts.logout_api(&body.refresh_token).await.map_err(Denied::from)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The account of whoever holds the access token, as it is now.
#[utoipa::path(get, path = "/api/v1/account", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, description = "The account", body = Account),
        (status = 401, description = "There is no token, or none that is good")))]
async fn account(State(accounts): State<Arc<Accounts>>, headers: HeaderMap) -> Result<Response, Refused> {
    let identity = accounts.bearer(bearer(&headers).ok_or(Denied::SignedOut)?).await?;
    Ok(answer(StatusCode::OK, Account::of(&identity)))
}

fn pair(tokens: &Tokens) -> Response {
    answer(StatusCode::OK, Pair::of(tokens))
}

fn answer(status: StatusCode, body: impl Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// A problem; for one who is not signed in, with the scheme to do it by (RFC 9110 section 11.6.1).
struct Refused(Problem);

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self(denied.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
