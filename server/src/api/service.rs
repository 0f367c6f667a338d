//! The service itself: its state, its version and its description.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
    catalogue::{Answer, answer},
    document,
};
use crate::{http::Problem, store::Statement};

/// How long the database may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the service works.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// The worst of the components.
    #[schema(inline = false)]
    status: Health,
    components: Components,
}

/// The parts of the service.
#[derive(Serialize, ToSchema)]
pub(super) struct Components {
    #[schema(inline = false)]
    catalogue: Health,
    #[schema(inline = false)]
    database: Health,
}

/// Whether a part works.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Health {
    Operational,
    Unavailable,
}

/// The program that answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Program {
    name: &'static str,
    version: &'static str,
    /// The version of this interface.
    api: &'static str,
}

/// Whether the service works.
#[utoipa::path(get, path = "/api/v1/status", tag = "service",
    responses((status = 200, description = "Its state", body = Status)))]
pub(super) async fn status(State(api): State<Arc<Api>>) -> Result<Answer, Problem> {
    let asked = tokio::time::timeout(PATIENCE, api.store.read(Statement::new("SELECT 1", []))).await;
    let database = if matches!(asked, Ok(Ok(_))) { Health::Operational } else { Health::Unavailable };
    answer(&Status { status: database, components: Components { catalogue: Health::Operational, database } })
}

/// The program and its version.
#[utoipa::path(get, path = "/api/v1/version", tag = "service",
    responses((status = 200, description = "The version", body = Program)))]
pub(super) async fn version() -> Result<Answer, Problem> {
    answer(&Program { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), api: "v1" })
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")))]
pub(super) async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document::openapi()).into_response()
}
