//! Traces of requests for a collector: one span each, as OpenTelemetry's conventions for HTTP servers name it, by OTLP
//! over HTTP.
//!
//! Invariant: a span holds what the log line holds, without the address: method, route template, status and bytes. What a
//! request says of a trace that it belongs to is not taken over, since anybody can write it.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::http::{Method, Request, Response, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use opentelemetry::{
    KeyValue, global,
    trace::{Span as _, SpanKind, Status, Tracer as _},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::{net::TcpStream, runtime::Handle};

use super::metrics::known;
use crate::{Error, Result};

/// The name of the program in traces.
const NAME: &str = "aegis-server";
/// How long the collector may take for what it is sent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends traces until it is ended.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send what is answered from now on to a collector such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// When the exporter cannot be made.
    pub(crate) fn start(endpoint: &str) -> Result<Self> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client(Handle::current()))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_timeout(PATIENCE)
            .build();
        let exporter = exporter.map_err(|error| Error::Config {
            place: "otel.endpoint".into(),
            problem: format!("cannot be used: {error}"),
            hint: "write such as http://127.0.0.1:4318".into(),
        })?;
        // Nothing of the machine or its environment.
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name(NAME).with_attribute(version).build();
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(provider))
    }

    /// Sends what waits, for a few seconds at most.
    pub(crate) async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(PATIENCE)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

/// A request that was answered, or whose client is gone.
pub(super) fn answered(method: &Method, route: &str, status: StatusCode, took: Duration, bytes: u64) {
    let end = SystemTime::now();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let method = known(method);
    let tracer = global::tracer(NAME);
    let mut span = tracer
        .span_builder(format!("{method} {route}"))
        .with_kind(SpanKind::Server)
        .with_start_time(end.checked_sub(took).unwrap_or(end))
        .with_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
            KeyValue::new("http.response.body.size", number(bytes)),
        ])
        .start(&tracer);
    if status.is_server_error() {
        span.set_status(Status::error(""));
    }
    span.end_with_timestamp(end);
}

/// Speaks HTTP/1.1 on the threads of the server, for the exporter's thread that waits.
#[derive(Debug)]
struct Client(Handle);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The clock of the time limit is that of the threads too.
        self.0.spawn(async move { tokio::time::timeout(PATIENCE, send(request)).await }).await??
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().ok_or("there is no host")?.clone();
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    head.headers.insert(header::HOST, authority.as_str().parse()?);
    head.uri = Uri::from(head.uri.into_parts().path_and_query.ok_or("there is no path")?);
    let response = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = response.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}
