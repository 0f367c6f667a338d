//! What the API of accounts is sent and answers. What is sent holds secrets, so nothing here has a `Debug`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    accounts::{Identity, Role, Tokens, web::read::rfc3339},
    http::choice,
};

/// Whose account is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// ASCII; a domain in its `xn--` form.
    #[schema(format = "email", max_length = 254)]
    pub(super) email: String,
    /// At most 1,000 bytes, and none of those that are tried first.
    #[schema(format = Password, min_length = 10, max_length = 1000)]
    pub(super) password: String,
}

/// That a letter goes out.
#[derive(Serialize, ToSchema)]
pub(super) struct Sent {
    /// Always `confirmation_sent`.
    status: &'static str,
}

impl Sent {
    pub(super) const CONFIRMATION: Self = Self { status: "confirmation_sent" };
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    #[schema(format = "email")]
    pub(super) email: String,
    #[schema(format = Password)]
    pub(super) password: String,
    /// Of an authenticator, or a recovery code. An account whose second factor is a passkey signs in with that, or by such a code.
    pub(super) code: Option<String>,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    pub(super) refresh_token: String,
}

/// What a sign-in brings.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(super) struct Pair<'a> {
    /// For `Authorization: Bearer`.
    access_token: &'a str,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds that the access token is good.
    expires_in: i64,
    /// To be exchanged for the next pair, once.
    refresh_token: &'a str,
}

impl<'a> Pair<'a> {
    pub(super) fn of(tokens: &'a Tokens) -> Self {
        Self {
            access_token: tokens.access.reveal(),
            token_type: "Bearer",
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh.reveal(),
        }
    }
}

/// The name of a role, for the description.
pub(super) struct RoleId;

impl PartialSchema for RoleId {
    fn schema() -> RefOr<Schema> {
        choice("What an account is for; each may do what those before it may", Role::ALL.map(Role::name))
    }
}

impl ToSchema for RoleId {
    fn name() -> Cow<'static, str> {
        "RoleId".into()
    }
}

/// An account.
#[derive(Serialize, ToSchema)]
pub(super) struct Account<'a> {
    /// Its number.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    email: &'a str,
    #[schema(value_type = RoleId, inline = false)]
    role: &'static str,
    /// Whether it has an authenticator or a passkey.
    second_factor: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

impl<'a> Account<'a> {
    pub(super) fn of(identity: &'a Identity) -> Self {
        Self {
            id: identity.account.hex(),
            email: identity.address.as_str(),
            role: identity.role.name(),
            second_factor: identity.second_factor,
            created_at: rfc3339(identity.created_at),
        }
    }
}
