//! The metrics, in the text format of OpenMetrics, which Prometheus reads.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use super::Visits;
use crate::http::{Code, Problem};

/// The type of the text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Seconds of a request, from an answer out of memory to a long download.
const REQUEST: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0];
/// Seconds of an act of the database.
const DATABASE: [f64; 10] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    route: String,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRule {
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOperation {
    operation: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// What is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Histograms<Asked>,
    sent: Counter,
    connections: Gauge,
    connections_limit: Gauge,
    denials: Family<ByRule, Counter>,
    audit: Gauge,
    database: Histograms<ByOperation>,
    ready: Gauge,
    visits: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("aegis"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(REQUEST)),
            sent: Counter::default(),
            connections: Gauge::default(),
            connections_limit: Gauge::default(),
            denials: Family::default(),
            audit: Gauge::default(),
            database: Family::new_with_constructor(|| Histogram::new(DATABASE)),
            ready: Gauge::default(),
            visits: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("http_requests", "Requests that were answered", self.requests.clone());
        let help = "From the head of a request to the end of its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("http_sent", "Bytes of content that were sent", self.sent.clone());
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "connections_limit",
            "Connections that may be open",
            self.connections_limit.clone(),
        );
        registry.register("rate_limit_denials", "Requests that a limit refused", self.denials.clone());
        registry.register("audit_entries", "Entries of the audit log", self.audit.clone());
        let help = "From asking the database to its answer";
        registry.register_with_unit("database_duration", help, Unit::Seconds, self.database.clone());
        registry.register("ready", "Whether the last check of readiness was passed", self.ready.clone());
        registry.register("visits", "Visits of today, estimated; never to be added up", self.visits.clone());
    }

    /// Counts an answer: its route as the template has it, how long it took and its content.
    pub(super) fn answered(
        &self,
        route: &str,
        method: &Method,
        status: StatusCode,
        took: Duration,
        bytes: u64,
    ) {
        let (route, method) = (route.to_owned(), known(method));
        let labels = Answered { route: route.clone(), method, class: class(status) };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&Asked { route, method }).observe(took.as_secs_f64());
        self.sent.inc_by(bytes);
    }

    /// Counts content that did not pass through the answer of a handler, such as that of a file sent by the kernel.
    pub fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }

    /// Counts a connection as open until the value is dropped.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connections.inc();
        Connection(self.connections.clone())
    }

    /// Says how many connections may be open.
    pub fn limit_connections(&self, limit: usize) {
        self.connections_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// Counts a refusal by a rule.
    pub fn denied(&self, rule: &'static str) {
        self.denials.get_or_create(&ByRule { rule }).inc();
    }

    /// Says how many entries the audit log has.
    pub fn audit_entries(&self, size: u64) {
        self.audit.set(i64::try_from(size).unwrap_or(i64::MAX));
    }

    /// Counts an act of the database.
    pub(super) fn database(&self, operation: &'static str, took: Duration) {
        self.database.get_or_create(&ByOperation { operation }).observe(took.as_secs_f64());
    }

    /// Says whether the service is ready.
    pub(super) fn ready(&self, ready: bool) {
        self.ready.set(ready.into());
    }

    /// All of them, as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub struct Connection(Gauge);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `GET /metrics`, for a listener that the public does not reach.
pub fn exposition(metrics: Arc<Metrics>, visits: Arc<Visits>) -> Router {
    let unknown = async || Problem::new(Code::NotFound);
    Router::new().route("/metrics", get(show)).with_state((metrics, visits)).fallback(unknown)
}

async fn show(State((metrics, visits)): State<(Arc<Metrics>, Arc<Visits>)>) -> Response {
    metrics.visits.set(i64::try_from(visits.today()).unwrap_or(i64::MAX));
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text()).into_response()
}

/// A method as a label: whatever a client invents is one value.
pub(super) fn known(method: &Method) -> &'static str {
    const METHODS: [(Method, &str); 7] = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    METHODS.iter().find(|(known, _)| known == method).map_or("other", |(_, name)| name)
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use axum::{body::Body, body::to_bytes, http::Request};
    use tower::ServiceExt as _;

    use super::*;
    use crate::Clock;

    /// Everything once.
    fn filled() -> Metrics {
        let metrics = Metrics::new();
        metrics.answered("/a/{id}", &Method::GET, StatusCode::OK, Duration::from_millis(3), 100);
        metrics.answered(
            "/a/{id}",
            &Method::from_bytes(b"HACK").unwrap(),
            StatusCode::NOT_FOUND,
            Duration::ZERO,
            0,
        );
        metrics.denied("address");
        metrics.audit_entries(7);
        metrics.database("read", Duration::from_micros(300));
        metrics.ready(true);
        metrics.limit_connections(10_000);
        metrics
    }

    #[test]
    fn the_text_is_open_metrics() {
        let metrics = filled();
        let (one, two) = (metrics.connection(), metrics.connection());
        drop(one);
        let text = metrics.text();
        for line in [
            "# TYPE aegis_http_requests counter",
            "aegis_http_requests_total{route=\"/a/{id}\",method=\"GET\",class=\"2xx\"} 1",
            "aegis_http_requests_total{route=\"/a/{id}\",method=\"other\",class=\"4xx\"} 1",
            "aegis_http_request_duration_seconds_bucket{le=\"0.0025\",route=\"/a/{id}\",method=\"GET\"} 0",
            "aegis_http_request_duration_seconds_bucket{le=\"0.005\",route=\"/a/{id}\",method=\"GET\"} 1",
            "aegis_http_sent_total 100",
            "aegis_connections 1",
            "aegis_connections_limit 10000",
            "aegis_rate_limit_denials_total{rule=\"address\"} 1",
            "aegis_audit_entries 7",
            "aegis_database_duration_seconds_count{operation=\"read\"} 1",
            "aegis_ready 1",
            "aegis_visits 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        drop(two);
        assert!(metrics.text().contains("aegis_connections 0\n"));
    }

    #[tokio::test]
    async fn metrics_are_asked_for_by_their_address_alone() {
        let site = exposition(Arc::new(filled()), Arc::new(Visits::new(Clock::default())));
        let get = async |path: &str| {
            site.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
        };
        let response = get("/metrics").await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], OPEN_METRICS);
        assert!(to_bytes(response.into_body(), 1 << 20).await.unwrap().starts_with(b"# HELP aegis_"));
        assert_eq!(get("/").await.status(), StatusCode::NOT_FOUND);
    }

    /// Names of ours in a text.
    fn names(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.filter(|word| word.starts_with("aegis_")).collect()
    }

    #[test]
    fn alerts_and_dashboard_ask_for_what_there_is_and_nothing_is_forgotten() {
        let text = filled().text();
        let there: BTreeSet<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("watch");
        let alerts = fs::read_to_string(folder.join("alerts.yml")).unwrap();
        let dashboard = fs::read_to_string(folder.join("dashboard.json")).unwrap();
        let (in_alerts, in_dashboard) = (names(&alerts), names(&dashboard));
        for name in in_alerts.union(&in_dashboard) {
            assert!(there.contains(name), "{name} is not measured");
        }
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let family = line.split(' ').next().unwrap();
            assert!(
                in_dashboard.iter().any(|name| name.starts_with(family)),
                "{family} is not on the dashboard"
            );
        }
        let panels: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
        let ids: BTreeSet<_> =
            panels["panels"].as_array().unwrap().iter().map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(
            ids.len(),
            panels["panels"].as_array().unwrap().len(),
            "each panel has a number of its own"
        );
        for needed in ["aegis_ready", "aegis_audit_entries", "aegis_http_requests_total"] {
            assert!(in_alerts.contains(needed), "{needed} alerts nobody");
        }
    }
}
