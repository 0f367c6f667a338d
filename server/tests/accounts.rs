//! Accounts under attack, through the router. Numbers of attacks are those of the project's list.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/authenticator.rs"]
mod authenticator;
#[path = "accounts/factor.rs"]
mod factor;
#[path = "accounts/forged.rs"]
mod forged;
#[path = "accounts/forged_api.rs"]
mod forged_api;
#[path = "accounts/operator.rs"]
mod operator;
#[path = "accounts/pages.rs"]
mod pages;
#[path = "accounts/passkeys.rs"]
mod passkeys;
#[path = "accounts/passkeys_api.rs"]
mod passkeys_api;
#[path = "accounts/passwords.rs"]
mod passwords;
#[path = "accounts/record.rs"]
mod record;
#[path = "accounts/registration.rs"]
mod registration;
#[path = "accounts/rotation.rs"]
mod rotation;
#[path = "support/postgres.rs"]
mod server;
#[path = "accounts/sessions.rs"]
mod sessions;
#[path = "support/site.rs"]
mod site;
#[path = "accounts/tokens.rs"]
mod tokens;

const ANN: &str = "ann@example.org";
const OTHER: &str = "another long password";
