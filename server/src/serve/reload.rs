//! Another configuration for a running program.
//!
//! Invariant: everything that the new one needs is made before anything changes, so that a mistake in it, or in a file
//! that it names, leaves the former one in use as a whole.

use std::sync::Arc;

use aegis_core::report;

use super::{Parts, front::Prepared, parts::post, redirect::Redirect};
use crate::{
    Result,
    config::Config,
    engine::{Certificates, Server},
    mail::Post,
    secret::Secret,
    watch::LogFilter,
};

/// What serves, as far as a configuration can change it.
pub(super) struct Serving<'a> {
    pub(super) parts: &'a Parts,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) redirect: Arc<Redirect>,
    pub(super) servers: Vec<&'a Server>,
    pub(super) log: &'a LogFilter,
    /// The configuration in use.
    pub(super) config: Config,
}

/// What takes the place of what is in use.
struct Change {
    config: Config,
    /// Keys that wait for a restart.
    kept: Vec<&'static str>,
    settings: Prepared,
    certificates: Option<Certificates>,
    post: Arc<dyn Post>,
}

impl Serving<'_> {
    /// Changes to what was read; says in the log what became of it. True when it is in use.
    pub(super) async fn change_to(&mut self, read: Result<Config>) -> bool {
        match read.and_then(|wanted| self.plan(wanted)) {
            Ok(change) => {
                self.apply(change).await;
                true
            }
            Err(error) => {
                tracing::error!(error = report::render(&error), "the former configuration stays in use");
                false
            }
        }
    }

    fn plan(&self, wanted: Config) -> Result<Change> {
        let (config, mut kept) = self.config.following(wanted);
        if Secret::read(&config.storage.secret)? != self.parts.secret && !kept.contains(&"storage.secret") {
            kept.push("storage.secret");
        }
        let certificates = config.tls.as_ref().map(|tls| Certificates::read(&tls.certificate, &tls.key));
        Ok(Change {
            settings: self.parts.front.prepare(self.parts.routes.settings(&config)?)?,
            certificates: certificates.transpose()?,
            post: post(&config)?,
            config,
            kept,
        })
    }

    async fn apply(&mut self, change: Change) {
        let Change { config, kept, settings, certificates, post } = change;
        self.parts.front.change(settings);
        self.parts.courier.replace(post);
        if let (Some(ours), Some(read)) = (&self.certificates, &certificates) {
            ours.replace(read);
        }
        self.redirect.change(config.listen.acme_webroot.clone());
        for server in &self.servers {
            server.change_limits(config.limits.engine());
        }
        self.parts.routes.metrics.limit_connections(config.limits.connections);
        self.log.set(&config.log.filter);
        self.config = config;
        if let Err(error) = self.parts.note("server.reload").await {
            tracing::warn!(error = report::render(&error), "a new configuration is not in the audit log");
        }
        for key in kept {
            tracing::warn!(key, "the new value waits for a restart");
        }
        tracing::info!("the configuration was read again");
    }
}
