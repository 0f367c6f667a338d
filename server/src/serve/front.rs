//! Who answers which request: pages from memory and files at once, the rest by the router.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use aegis_editions::{Registry, Spec};
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse,
};
use hyper::{Request, body::Incoming};
use tower::ServiceExt;

use super::{memo::Memo, routes::Settings};
use crate::{
    Error, Result,
    downloads::{Catalogue, Downloads},
    engine::{Answer, Connection, Service},
    http::{Code, Peer, Problem},
    limits::{Client, address::client_address},
    site::{Facts, Operator, Release, Site},
    store::Store,
    watch::{self, Metrics, Visits},
};

/// How long a request may take that is not a download.
const PATIENCE: Duration = Duration::from_secs(30);

/// Routes of what no handler answers, in metrics and log.
const PAGE: &str = "/{page}";
const CONSTANT: &str = "/api/v1/{constant}";
const DOWNLOAD: &str = "/download/{edition}/{version}/{name}";

/// Answers the public sockets.
pub(super) struct Front {
    current: RwLock<Current>,
    specs: Vec<Spec>,
    downloads: Downloads,
    memo: Memo,
    metrics: Arc<Metrics>,
    visits: Arc<Visits>,
}

/// What requests are answered by from now on: pages, which follow from settings and releases, and the settings.
#[derive(Clone)]
struct Current {
    site: Arc<Site>,
    settings: Arc<Settings>,
}

/// Settings with their pages, ready to be used.
pub(super) struct Prepared(Current);

impl Front {
    pub(super) fn new(
        settings: Settings,
        specs: Vec<Spec>,
        downloads: Downloads,
        memo: Memo,
        (metrics, visits): (Arc<Metrics>, Arc<Visits>),
    ) -> Result<Self> {
        let site = Arc::new(build(&settings, &specs, &downloads)?);
        let current = RwLock::new(Current { site, settings: Arc::new(settings) });
        Ok(Self { current, specs, downloads, memo, metrics, visits })
    }

    /// Makes the pages of other settings; nothing changes yet.
    pub(super) fn prepare(&self, settings: Settings) -> Result<Prepared> {
        let site = Arc::new(build(&settings, &self.specs, &self.downloads)?);
        Ok(Prepared(Current { site, settings: Arc::new(settings) }))
    }

    /// Answers by other settings from the next request on.
    pub(super) fn change(&self, prepared: Prepared) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = prepared.0;
    }

    /// Reads the releases again, and makes the pages anew when they changed.
    ///
    /// True when they did.
    pub(super) async fn refresh(&self, store: &dyn Store) -> Result<bool> {
        let changed = self.downloads.catalogue.refresh(store).await?;
        if changed {
            let settings = self.current().settings;
            let site = Arc::new(build(&settings, &self.specs, &self.downloads)?);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { site, settings };
        }
        Ok(changed)
    }

    /// What is published.
    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.downloads.catalogue)
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
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

fn asks_for_html(accept: &HeaderValue) -> bool {
    accept.to_str().is_ok_and(|text| text.contains("text/html"))
}

fn is_page(response: &Response<Body>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

fn problem(response: &Response<Body>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json")
}

/// What is told of a request.
struct Asked {
    route: &'static str,
    method: Method,
    began: Instant,
    client: IpAddr,
}

impl Asked {
    /// Counts and logs an answer that no handler gave, and hands it on.
    fn told(self, metrics: &Arc<Metrics>, response: Response<Body>) -> Response<Body> {
        let bytes = length(&response).filter(|_| self.method != Method::HEAD).unwrap_or_default();
        watch::record(metrics, self.route, &self.method, response.status(), self.began, bytes, self.client);
        response
    }
}

fn length(response: &Response<Body>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Service for Front {
    fn call(&self, request: Request<Incoming>) -> Answer {
        let connection = request.extensions().get::<Connection>();
        let (peer, secure) = connection.map_or((IpAddr::from([0; 4]), false), |one| (one.peer, one.secure));
        let current = self.current();
        // Only over TLS: a promise that anybody between could have made is none (RFC 6797, section 7.2).
        let hsts = current.settings.hsts.clone().filter(|_| secure);
        let answer = self.answer(request, peer, current);
        let Some(hsts) = hsts else { return answer };
        let with = |mut response: Response<Body>| {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts);
            response
        };
        match answer {
            Answer::Now(response) => Answer::Now(with(response)),
            Answer::Later(response) => Answer::Later(Box::pin(async { with(response.await) })),
        }
    }
}

impl Front {
    fn answer(&self, mut request: Request<Incoming>, peer: IpAddr, current: Current) -> Answer {
        let began = Instant::now();
        let Current { site, settings } = current;
        let client = client_address(peer, request.headers().get_all("x-forwarded-for"), &settings.proxies);
        let asked = |route, request: &Request<Incoming>| Asked {
            route,
            method: request.method().clone(),
            began,
            client,
        };
        if request.uri().path().starts_with("/download/") {
            let asked = asked(DOWNLOAD, &request);
            let request = request.into_parts().0;
            // A person who follows a link sees a page; a program that downloads reads the problem.
            let is_person = request.headers.get(header::ACCEPT).is_some_and(asks_for_html);
            let framed = is_person.then_some(site);
            let metrics = Arc::clone(&self.metrics);
            let told = move |answer| {
                asked.told(
                    &metrics,
                    match framed {
                        Some(site) => site.in_frame(answer),
                        None => answer,
                    },
                )
            };
            return match self.downloads.answer(&request, client, &settings.sending) {
                Answer::Now(answer) => Answer::Now(told(answer)),
                Answer::Later(answer) => Answer::Later(Box::pin(async move { told(answer.await) })),
            };
        }
        if let Some(response) = site.serve(request.method(), request.uri(), request.headers()) {
            if response.status() == StatusCode::OK && is_page(&response) {
                self.visits.count(client, request.headers());
            }
            return Answer::Now(asked(PAGE, &request).told(&self.metrics, response));
        }
        if let Some(response) = self.memo.answer(&request) {
            return Answer::Now(asked(CONSTANT, &request).told(&self.metrics, response));
        }
        request.extensions_mut().insert(Peer(client));
        request.extensions_mut().insert(Client(client));
        Answer::Later(Box::pin(Self::route(settings.router.clone(), request, site)))
    }
}

fn build(settings: &Settings, specs: &[Spec], downloads: &Downloads) -> Result<Site> {
    let told = &settings.told;
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
        mirrors: settings.sending.mirrors.hosts(),
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

/// Answers a socket by a router alone.
pub(super) struct Routed(pub(super) Router);

impl Service for Routed {
    fn call(&self, request: Request<Incoming>) -> Answer {
        let router = self.0.clone();
        Answer::Later(Box::pin(async move {
            router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {})
        }))
    }
}
