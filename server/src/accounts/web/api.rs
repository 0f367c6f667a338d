//! The API. It takes a bearer token and never a cookie, so that no form of another site can reach it.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::read::{Body, bearer};
use crate::{
    accounts::{Accounts, Denied, Tokens, Visitor},
    http::Problem,
};

pub(super) fn router(accounts: Arc<Accounts>) -> Router {
    Router::new()
        .route("/api/v1/auth/register", post(register))
        .route("/api/v1/auth/login", post(login))
        .route("/api/v1/auth/refresh", post(refresh))
        .route("/api/v1/auth/logout", post(logout))
        .route("/api/v1/account", get(account))
        .with_state(accounts)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    email: String,
    password: String,
}

/// The same answer whether there is an account or not.
async fn register(
    State(accounts): State<Arc<Accounts>>,
    visitor: Visitor,
    Body(body): Body<Registration>,
) -> Result<Response, Refused> {
    accounts.register(&body.email, &body.password, &visitor).await?;
    Ok(answer(StatusCode::ACCEPTED, Sent { status: "confirmation_sent" }))
}

#[derive(Serialize)]
struct Sent {
    status: &'static str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
    code: Option<String>,
}

async fn login(
    State(accounts): State<Arc<Accounts>>,
    visitor: Visitor,
    Body(body): Body<Credentials>,
) -> Result<Response, Refused> {
    let tokens = accounts.login_api(&body.email, &body.password, body.code.as_deref(), &visitor).await?;
    Ok(pair(&tokens))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: String,
}

async fn refresh(
    State(accounts): State<Arc<Accounts>>,
    Body(body): Body<Refresh>,
) -> Result<Response, Refused> {
    Ok(pair(&accounts.refresh(&body.refresh_token).await?))
}

async fn logout(
    State(accounts): State<Arc<Accounts>>,
    Body(body): Body<Refresh>,
) -> Result<Response, Refused> {
    accounts.logout_api(&body.refresh_token).await.map_err(Denied::from)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Serialize)]
struct Pair<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    refresh_token: &'a str,
}

fn pair(tokens: &Tokens) -> Response {
    answer(
        StatusCode::OK,
        Pair {
            access_token: tokens.access.reveal(),
            token_type: "Bearer",
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh.reveal(),
        },
    )
}

#[derive(Serialize)]
struct Account<'a> {
    id: String,
    email: &'a str,
    role: &'static str,
    second_factor: bool,
    created_at: String,
}

async fn account(State(accounts): State<Arc<Accounts>>, headers: HeaderMap) -> Result<Response, Refused> {
    let identity = accounts.bearer(bearer(&headers).ok_or(Denied::SignedOut)?).await?;
    Ok(answer(
        StatusCode::OK,
        Account {
            id: identity.account.hex(),
            email: identity.address.as_str(),
            role: identity.role.name(),
            second_factor: identity.second_factor,
            created_at: super::read::rfc3339(identity.created_at),
        },
    ))
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
