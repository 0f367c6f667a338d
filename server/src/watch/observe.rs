//! Each request counted, and told to the log in one line, when its answer has been sent or the client is gone.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::Response,
};
use http_body::{Frame, SizeHint};

use super::{Metrics, metrics::known};
use crate::{
    api::RequestId,
    limits::{Client, Denied},
};

/// The route of a request that none took.
const UNMATCHED: &str = "unmatched";

/// Counts and logs every request of `router`. The line, at level info and target `access`, has method, route template,
/// status, milliseconds, bytes, the name of the request and the shortened address; it never has the path or the query.
pub fn observe(router: Router, metrics: Arc<Metrics>) -> Router {
    router.layer(middleware::from_fn_with_state(metrics, watch))
}

async fn watch(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let mut record = Record {
        began: Instant::now(),
        method: request.method().clone(),
        route: extensions.get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned(),
        id: extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
        address: extensions.get::<Client>().map(|client| truncated(client.0)),
        // Of a request that is dropped before it is answered, as nginx has it.
        status: None,
        bytes: 0,
        metrics,
    };
    let response = next.run(request).await;
    record.status = Some(response.status());
    if let Some(Denied(rule)) = response.extensions().get() {
        record.metrics.denied(rule);
    }
    response.map(|content| Body::new(Counted { content, record }))
}

/// An address without what tells people apart: 24 bits of IPv4, 48 of IPv6.
pub fn truncated(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xff).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).into(),
    }
}

/// What is told when it is dropped.
struct Record {
    began: Instant,
    method: Method,
    route: String,
    id: String,
    address: Option<IpAddr>,
    status: Option<StatusCode>,
    bytes: u64,
    metrics: Arc<Metrics>,
}

/// Counts and logs an answer that passed no router: a page from memory, a file.
pub(crate) fn record(
    metrics: &Arc<Metrics>,
    route: &'static str,
    method: &Method,
    status: StatusCode,
    began: Instant,
    bytes: u64,
    client: IpAddr,
) {
    let (id, address) = (String::new(), Some(truncated(client)));
    let (method, route, metrics) = (method.clone(), route.to_owned(), Arc::clone(metrics));
    drop(Record { began, method, route, id, address, status: Some(status), bytes, metrics });
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        // 499: the client closed the request, the word of nginx for it.
        let closed = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
        let status = self.status.unwrap_or(closed);
        self.metrics.answered(&self.route, &self.method, status, took, self.bytes);
        #[cfg(feature = "otel")]
        super::otel::answered(&self.method, &self.route, status, took, self.bytes);
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "access",
            method = known(&self.method),
            route = self.route,
            status = status.as_u16(),
            ms = milliseconds,
            bytes = self.bytes,
            request_id = self.id,
            address = self.address.map(tracing::field::display),
        );
    }
}

/// The content of an answer, counted.
struct Counted {
    content: Body,
    record: Record,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.content).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.record.bytes += data.len() as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Mutex};

    use axum::{body::to_bytes, routing::get};
    use serde_json::{Value, json};
    use tower::ServiceExt as _;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::{
        api::request_ids,
        limits::{Peer, identify},
    };

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn site(metrics: &Arc<Metrics>) -> Router {
        let refused = async || {
            let mut response = Response::new(Body::from("no"));
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.extensions_mut().insert(Denied("address"));
            response
        };
        let routes = Router::new()
            .route("/account/{id}", get(async || "hello"))
            .route("/refused", get(refused))
            .route("/slow", get(async || tokio::time::sleep(std::time::Duration::from_secs(60)).await));
        identify(request_ids(observe(routes, Arc::clone(metrics))), Vec::new())
    }

    async fn get_it(site: &Router, uri: &str) -> Response {
        let mut request =
            Request::get(uri).header("x-request-id", "report-1").header("user-agent", "canary-agent");
        request =
            request.header("cookie", "session=canary-cookie").header("authorization", "Bearer canary-token");
        let mut request = request.body(Body::from("canary-body")).unwrap();
        request.extensions_mut().insert(Peer(IpAddr::V4([192, 0, 2, 77].into())));
        site.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_line_tells_what_was_done_and_nothing_of_who_did_it() {
        let (metrics, kept) = (Arc::new(Metrics::new()), Kept::default());
        let subscriber = tracing_subscriber::fmt().json().with_writer(kept.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let site = site(&metrics);
        let response = get_it(&site, "/account/canary-id?token=canary-query").await;
        assert!(kept.0.lock().unwrap().is_empty(), "not before it was sent");
        assert_eq!(&to_bytes(response.into_body(), 100).await.unwrap()[..], b"hello");
        drop(get_it(&site, "/canary-path%1b%0a").await);
        drop(get_it(&site, "/refused").await);
        // The client goes before there is an answer.
        let gone = tokio::time::timeout(std::time::Duration::from_millis(20), get_it(&site, "/slow")).await;
        assert!(gone.is_err());

        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("canary") && !text.contains("192.0.2.77"), "{text}");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| {
                (line["fields"]["route"].as_str().unwrap(), line["fields"]["status"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(told, [("/account/{id}", 200), (UNMATCHED, 404), ("/refused", 429), ("/slow", 499)]);
        let fields = lines[0]["fields"].as_object().unwrap();
        assert_eq!((&fields["method"], &fields["bytes"]), (&json!("GET"), &json!(5)));
        assert_eq!((&fields["request_id"], &fields["address"]), (&json!("report-1"), &json!("192.0.2.0")));
        assert!(fields["ms"].is_u64());
        assert_eq!(lines[0]["target"], "access");

        let text = metrics.text();
        assert!(
            text.contains(
                "aegis_http_requests_total{route=\"/account/{id}\",method=\"GET\",class=\"2xx\"} 1"
            )
        );
        assert!(
            text.contains("aegis_http_sent_total 5\n") && text.contains("{rule=\"address\"} 1"),
            "{text}"
        );
        assert!(!text.contains("canary"));
    }

    #[test]
    fn addresses_are_shortened() {
        for (address, expected) in [
            ("192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
        ] {
            assert_eq!(truncated(address.parse().unwrap()).to_string(), expected);
        }
    }
}
