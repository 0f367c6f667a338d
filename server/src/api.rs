//! The interface for programs, under `/api/v1`: the catalogue, prices, releases and the state of the service.
//!
//! Invariant: an answer is JSON of a documented type or a [`Problem`]; the description is made from the handlers and types
//! that answer; facts about editions come from their specifications.

mod body;
mod catalogue;
mod document;
mod etag;
mod idempotency;
mod pricing;
mod releases;
mod request_id;
mod service;

use std::sync::{Arc, PoisonError, RwLock};

use aegis_editions::{Registry, Spec};
use axum::{Router, extract::DefaultBodyLimit, response::IntoResponse, response::Response, routing::any};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Clock, Error, Result,
    http::{Code, Problem},
    store::Store,
};

pub use document::openapi;
pub use idempotency::{Idempotency, idempotent};
pub use releases::Release;
pub(crate) use request_id::made as new_request_id;
pub use request_id::{RequestId, request_ids};

/// Bytes of a request body.
const BODY: usize = 64 << 10;

/// What the handlers answer from.
pub struct Api {
    specs: Vec<Spec>,
    registry: Registry,
    releases: RwLock<Arc<[Release]>>,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Api {
    /// The interface over a database, with the releases that can be had.
    ///
    /// # Errors
    /// When the specifications in this program are wrong.
    pub fn new(store: Arc<dyn Store>, clock: Clock, releases: Vec<Release>) -> Result<Self> {
        let (specs, registry) = (Spec::all().map_err(Error::Spec)?, Registry::load().map_err(Error::Spec)?);
        let api = Self { specs, registry, releases: RwLock::default(), store, clock };
        api.set_releases(releases);
        Ok(api)
    }

    /// Replaces the list of releases, in any order.
    pub fn set_releases(&self, mut releases: Vec<Release>) {
        releases::sort(&mut releases);
        *self.releases.write().unwrap_or_else(PoisonError::into_inner) = releases.into();
    }

    fn releases(&self) -> Arc<[Release]> {
        Arc::clone(&self.releases.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The routes below `/api`; whatever else is asked for there is answered by a problem too.
pub fn router(api: Arc<Api>) -> Router {
    let idempotency = Arc::new(Idempotency::new(Arc::clone(&api.store), api.clock.clone()));
    let (routes, _) = table().with_state(api).split_for_parts();
    let routes = idempotent(etag::tagged(routes), idempotency)
        .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed));
    let missing = || any(async || -> Response { Problem::new(Code::NotFound).into_response() });
    routes
        .route("/api", missing())
        .route("/api/", missing())
        .route("/api/{*rest}", missing())
        .layer(DefaultBodyLimit::max(BODY))
}

/// Every route, with its description.
fn table() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(catalogue::editions))
        .routes(routes!(catalogue::edition))
        .routes(routes!(catalogue::features))
        .routes(routes!(pricing::pricing))
        .routes(routes!(pricing::calculator))
        .routes(routes!(releases::releases))
        .routes(routes!(service::status))
        .routes(routes!(service::version))
        .routes(routes!(service::description))
}
