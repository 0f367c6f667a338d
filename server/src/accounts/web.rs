//! Accounts over HTTP.

mod api;
mod cookies;
mod factor;
mod forms;
mod pages;
mod read;
mod recover;
mod view;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit};

use super::Accounts;

/// Bytes of a body.
const BODY: usize = 16 * 1024;

/// `/api/v1/auth/…`, `/api/v1/account` and the pages below `/account`.
///
/// Expects a [`crate::http::Peer`] among the extensions of each request; one without is refused as a fault of ours.
pub fn router(accounts: Arc<Accounts>) -> Router {
    let pages =
        pages::router().merge(recover::router()).merge(factor::router()).with_state(Arc::clone(&accounts));
    api::router(accounts).merge(pages).layer(DefaultBodyLimit::max(BODY))
}
