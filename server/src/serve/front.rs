//! Who answers which request: pages from memory and files at once, the rest by the router.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
    time::Duration,
};

use aegis_editions::{Registry, Spec};
use axum::{
    Router,
    body::Body,
    extract::DefaultBodyLimit,
    http::{Method, Response, StatusCode, header},
    response::IntoResponse,
};
use hyper::{Request, body::Incoming};
use tower::ServiceExt;

use crate::{
    Clock, Error, Result,
    config::{Config, Site as Told},
    downloads::Downloads,
    engine::{Answer, Connection, Counts, Service},
    http::{Code, Peer, Problem},
    limits::{
        Client,
        address::{Network, client_address},
    },
    site::{Facts, Operator, Release, Site},
    store::{Statement, Store},
};

/// How long a request may take that is not a download.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers the public sockets.
pub(super) struct Front {
    site: RwLock<Arc<Site>>,
    told: Told,
    specs: Vec<Spec>,
    downloads: Downloads,
    router: Router,
    counts: Arc<Counts>,
    proxies: Vec<Network>,
}

impl Front {
    pub(super) fn new(
        config: &Config,
        specs: Vec<Spec>,
        downloads: Downloads,
        router: Router,
        counts: Arc<Counts>,
    ) -> Result<Self> {
        let router = router.layer(DefaultBodyLimit::max(config.limits.body_bytes));
        let proxies = config.listen.trusted_proxies.iter().map(|text| text.parse()).collect::<Result<_>>()?;
        let site = build(&config.site, &specs, &downloads)?;
        let site = RwLock::new(Arc::new(site));
        Ok(Self { site, told: config.site.clone(), specs, downloads, router, counts, proxies })
    }

    /// Reads the releases again, and makes the pages anew when they changed.
    pub(super) async fn refresh(&self, store: &dyn Store) -> Result<()> {
        if self.downloads.catalogue.refresh(store).await? {
            let site = Arc::new(build(&self.told, &self.specs, &self.downloads)?);
            *self.site.write().unwrap_or_else(PoisonError::into_inner) = site;
        }
        Ok(())
    }

    fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn route(router: Router, request: Request<Incoming>, site: Arc<Site>) -> Response<Body> {
        let (method, headers) = (request.method().clone(), request.headers().clone());
        let is_api = request.uri().path().starts_with("/api/");
        let answered = tokio::time::timeout(PATIENCE, router.oneshot(request.map(Body::new))).await;
        match answered {
            Ok(Ok(response))
                if response.status() == StatusCode::NOT_FOUND && !is_api && !problem(&response) =>
            {
                site.not_found(&method, &headers)
            }
            Ok(Ok(response)) => response,
            Err(_elapsed) => Problem::new(Code::Timeout).into_response(),
        }
    }
}

fn problem(response: &Response<Body>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json")
}

impl Service for Front {
    fn call(&self, mut request: Request<Incoming>) -> Answer {
        let peer = request.extensions().get::<Connection>().map_or(IpAddr::from([0; 4]), |one| one.peer);
        let client = client_address(peer, request.headers().get_all("x-forwarded-for"), &self.proxies);
        if request.uri().path().starts_with("/download/") {
            return Answer::Now(self.downloads.answer(&request.into_parts().0, client));
        }
        let site = self.site();
        if let Some(response) = site.serve(request.method(), request.uri(), request.headers()) {
            return Answer::Now(response);
        }
        request.extensions_mut().insert(Peer(client));
        request.extensions_mut().insert(Client(client));
        Answer::Later(Box::pin(Self::route(self.router.clone(), request, site)))
    }
}

fn build(told: &Told, specs: &[Spec], downloads: &Downloads) -> Result<Site> {
    let files = downloads.catalogue.files();
    let releases = files.iter().filter(|file| file.is_image()).map(|file| Release {
        edition: file.edition,
        version: file.version.clone(),
        file: file.name.clone(),
        size: file.blob.size,
        sha256: file.blob.digest.to_string(),
        published: file.published,
        url: file.path(),
    });
    let facts = Facts {
        specs: specs.to_vec(),
        registry: Registry::load().map_err(Error::Spec)?,
        releases: releases.collect(),
        origin: told.origin.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        operator: Operator {
            name: told.operator.clone(),
            email: told.contact.clone(),
            address: told.address.clone(),
        },
        now: downloads.clock.now(),
    };
    Site::build(&facts)
}

/// Answers the socket for health and metrics.
pub(super) struct Watch {
    front: Arc<Front>,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Watch {
    pub(super) fn new(front: Arc<Front>, store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { front, store, clock }
    }
}

impl Service for Watch {
    fn call(&self, request: Request<Incoming>) -> Answer {
        if request.method() != Method::GET {
            return Answer::Now(Problem::new(Code::MethodNotAllowed).into_response());
        }
        match request.uri().path() {
            "/healthz" => Answer::Now(Response::new(Body::from("ok\n"))),
            "/readyz" => {
                let (store, counts) = (Arc::clone(&self.store), Arc::clone(&self.front.counts));
                let now = self.clock.now();
                Answer::Later(Box::pin(async move { ready(&*store, &counts, now).await }))
            }
            _ => Answer::Now(Problem::new(Code::NotFound).into_response()),
        }
    }
}

async fn ready(store: &dyn Store, counts: &Counts, _now: i64) -> Response<Body> {
    if counts.draining.load(Ordering::Relaxed) {
        return Problem::new(Code::Unavailable).because("the server is ending").into_response();
    }
    match store.read(Statement::new("SELECT COUNT(*) FROM migrations", [])).await {
        Ok(_) => Response::new(Body::from("ready\n")),
        Err(error) => Problem::from(error).into_response(),
    }
}
