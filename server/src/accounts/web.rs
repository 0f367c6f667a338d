//! Accounts over HTTP.

mod api;
mod cookies;
mod factor;
mod forms;
mod next;
mod pages;
mod read;
mod recover;
mod view;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit};

use super::Accounts;
use crate::site::{self, Frame};

/// Bytes of a body.
const BODY: usize = 16 * 1024;

/// What the pages are made of.
struct Web {
    accounts: Arc<Accounts>,
    frame: Arc<Frame>,
}

/// `/api/v1/auth/…`, `/api/v1/account` and the pages below `/account`, which stand in the frame of the site.
///
/// Expects a [`crate::http::Peer`] among the extensions of each request; one without is refused as a fault of ours.
pub fn router(accounts: Arc<Accounts>, frame: Arc<Frame>) -> Router {
    let web = Arc::new(Web { accounts: Arc::clone(&accounts), frame: Arc::clone(&frame) });
    let pages = pages::router().merge(recover::router()).merge(factor::router()).with_state(web);
    site::framed(api::router(accounts).merge(pages).layer(DefaultBodyLimit::max(BODY)), frame)
}
