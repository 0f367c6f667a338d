//! The page that says whether the site works. It says nothing of machines, load or people.

use std::{sync::Arc, time::Duration};

use aegis_core::time::UnixTime;
use askama::Template;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};

use crate::{
    downloads::Catalogue,
    http::{Code, Problem},
    site::{self, Frame, Layout},
    store::{Statement, Store},
};

/// Where it is.
const PATH: &str = "/status";
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

struct Parts {
    frame: Arc<Frame>,
    store: Arc<dyn Store>,
    catalogue: Arc<Catalogue>,
    since: i64,
}

#[derive(Template)]
#[template(path = "status.html")]
struct Page<'a> {
    layout: Layout<'a>,
    version: &'static str,
    since: String,
    database: bool,
    releases: usize,
}

/// `/status`, of a process that began to serve at a time in seconds since 1970.
pub(super) fn router(
    frame: Arc<Frame>,
    store: Arc<dyn Store>,
    catalogue: Arc<Catalogue>,
    since: i64,
) -> Router {
    let parts = Parts { frame: Arc::clone(&frame), store, catalogue, since };
    site::framed(Router::new().route(PATH, get(page)).with_state(Arc::new(parts)), frame)
}

/// With 503 when the database does not answer, for programs that look at the status alone.
async fn page(State(parts): State<Arc<Parts>>) -> Response {
    let query = parts.store.read(Statement::new("SELECT COUNT(*) FROM migrations", []));
    let database = matches!(tokio::time::timeout(PATIENCE, query).await, Ok(Ok(_)));
    let page = Page {
        layout: parts.frame.layout(PATH).unlisted(),
        version: env!("CARGO_PKG_VERSION"),
        since: UnixTime(parts.since).to_string(),
        database,
        releases: parts.catalogue.files().iter().filter(|file| file.is_image()).count(),
    };
    let status = if database { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page of the status was not made");
            Problem::new(Code::Internal).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt as _;

    use super::*;
    use crate::{
        Clock, Error,
        store::{self, Later, Outcome, Row},
    };

    /// A database that is not there, or never answers.
    struct Gone(bool);

    impl Store for Gone {
        fn read(&self, _: Statement) -> Later<'_, Vec<Row>> {
            Box::pin(async {
                if self.0 {
                    std::future::pending::<()>().await;
                }
                Err(Error::Database { doing: "reading", source: "db.internal.example is gone".into() })
            })
        }

        fn write(&self, _: Vec<Statement>) -> Later<'_, Vec<Outcome>> {
            Box::pin(async { Err(Error::Busy("letters")) })
        }

        fn backup<'a>(&'a self, _: &'a Path) -> Later<'a, ()> {
            Box::pin(async { Err(Error::Busy("copies")) })
        }

        fn kind(&self) -> &'static str {
            "none"
        }
    }

    async fn ask(store: Arc<dyn Store>) -> (StatusCode, String) {
        let frame = Frame::new(&aegis_editions::Spec::all().unwrap(), "https://a.example", "Us").unwrap();
        let router = router(Arc::new(frame), store, Arc::default(), Clock::default().now());
        let request = Request::builder().uri(PATH).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_says_when_the_database_does_not_answer_and_not_which() {
        for hangs in [false, true] {
            let (status, text) = ask(Arc::new(Gone(hangs))).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(text.contains("does not answer") && !text.contains("db.internal"), "{text}");
        }
    }

    #[tokio::test]
    async fn it_says_what_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("db").display());
        let (status, text) = ask(store::open(&url, &Clock::default()).await.unwrap()).await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains(env!("CARGO_PKG_VERSION")) && text.contains("works") && !text.contains(&url));
    }
}
