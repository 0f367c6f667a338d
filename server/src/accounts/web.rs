//! Accounts over HTTP.

mod api;
mod cookies;
mod factor;
mod forms;
mod named;
mod next;
mod pages;
mod passkeys;
mod read;
mod recover;
mod sign_in;
mod view;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, middleware};
use utoipa::openapi::OpenApi;

use super::Accounts;
use crate::site::{self, Frame};

/// Bytes of a body.
const BODY: usize = 16 * 1024;

/// What the pages are made of.
struct Web {
    accounts: Arc<Accounts>,
    frame: Arc<Frame>,
}

/// The description of the API of accounts.
pub(crate) fn description() -> OpenApi {
    api::table().into_openapi()
}

/// `/api/v1/auth/…`, `/api/v1/account` and the pages below `/account`, which stand in the frame of the site.
///
/// Expects a [`crate::http::Peer`] among the extensions of each request; one without is refused as a fault of ours.
pub fn router(accounts: Arc<Accounts>, frame: Arc<Frame>) -> Router {
    let web = Arc::new(Web { accounts: Arc::clone(&accounts), frame: Arc::clone(&frame) });
    let pages = pages::router()
        .merge(sign_in::router())
        .merge(recover::router())
        .merge(factor::router())
        .merge(passkeys::router());
    let origin = accounts.settings.origin.clone();
    let lead = middleware::from_fn(move |request, next| named::lead(origin.clone(), request, next));
    let pages = pages.with_state(web).layer(lead);
    site::framed(api::router(accounts).merge(pages).layer(DefaultBodyLimit::max(BODY)), frame)
}
