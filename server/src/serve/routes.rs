//! What the configuration decides of answers: routes with their limits, proxies that are believed, texts of the site, how files
//! are sent.

use std::sync::Arc;

use aegis_editions::Spec;
use axum::{Router, extract::DefaultBodyLimit, http::HeaderValue};

use super::status;
use crate::{
    Result,
    accounts::{self, Accounts},
    api::{self, Api},
    config::{Bounds, Config, Site as Told},
    downloads::{Catalogue, Sending},
    limits::{self, By, Guard, Limiter, Rule, address::Network},
    site::Frame,
    store::Store,
    watch::{self, Metrics},
};

/// What follows from the configuration alone; replaced as a whole.
pub(super) struct Settings {
    pub(super) told: Told,
    pub(super) router: Router,
    pub(super) proxies: Vec<Network>,
    pub(super) sending: Sending,
    /// The value of `Strict-Transport-Security` on connections with TLS.
    pub(super) hsts: Option<HeaderValue>,
}

/// What routes are made of; it stays while the configuration changes.
pub(super) struct Routes {
    pub(super) accounts: Arc<Accounts>,
    pub(super) api: Arc<Api>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) store: Arc<dyn Store>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) specs: Vec<Spec>,
    /// When the process began to serve.
    pub(super) since: i64,
}

impl Routes {
    /// Makes what a configuration decides.
    ///
    /// # Errors
    /// When a network of proxies, a mirror or a colour of the site is none.
    pub(super) fn settings(&self, config: &Config) -> Result<Settings> {
        let frame = Arc::new(Frame::new(&self.specs, &config.site.origin, &config.site.operator)?);
        let [for_accounts, for_api] = rules(&config.limits);
        let status = status::router(
            Arc::clone(&frame),
            Arc::clone(&self.store),
            Arc::clone(&self.catalogue),
            self.since,
        );
        let pages = accounts::router(Arc::clone(&self.accounts), frame).merge(status);
        let api = api::router(Arc::clone(&self.api));
        let router = limited(pages, &self.limiter, for_accounts).merge(limited(api, &self.limiter, for_api));
        let router = api::request_ids(watch::observe(router, Arc::clone(&self.metrics)));
        let router = router.layer(DefaultBodyLimit::max(config.limits.body_bytes));
        let hsts = config.tls.as_ref().map(|tls| format!("max-age={}", tls.hsts_seconds));
        let hsts = hsts.and_then(|value| HeaderValue::try_from(value).ok());
        let (proxies, sending) = (config.proxies()?, config.sending()?);
        Ok(Settings { told: config.site.clone(), router, proxies, sending, hsts })
    }
}

/// How often one address may ask for accounts, where attempts to sign in have limits of their own, and for the rest of the API.
fn rules(limits: &Bounds) -> [Rule; 2] {
    let by = By::Address;
    let accounts = Rule { name: "accounts", by, quota: limits.accounts_per_minute, window: 60, shared: true };
    [accounts, Rule { name: "api", by, quota: limits.api_per_hour, window: 3600, shared: false }]
}

fn limited(router: Router, limiter: &Arc<Limiter>, rule: Rule) -> Router {
    limits::layer(router, Arc::new(Guard::new(Arc::clone(limiter), vec![rule])))
}
