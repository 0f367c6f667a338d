//! Everything that is served, made from a configuration before a socket is open.

use std::{fs, path::PathBuf, sync::Arc};

use aegis_core::edition::Edition;
use aegis_editions::Spec;
use axum::http::HeaderMap;

use super::{
    front::{Front, Routed},
    memo::Memo,
    releases,
    routes::Routes,
};
use crate::{
    Clock, Error, Result,
    accounts::{self, Accounts},
    api::{self, Api, Idempotency},
    audit::{Entry, Log, Signer},
    clock::TOLERANCE,
    config::Config,
    downloads::{Catalogue, Counted, Downloads, Links, Permit, Running},
    engine::Counts,
    limits::Limiter,
    mail::{Courier, Folder, Post},
    maintain,
    secret::{Purpose, Secret},
    store::{self, Store},
    watch::{self, Metrics, Readiness, Timed, Visits},
};

/// Everything that is served.
pub(super) struct Parts {
    pub(super) front: Arc<Front>,
    pub(super) watch: Arc<Routed>,
    pub(super) routes: Routes,
    pub(super) store: Arc<dyn Store>,
    pub(super) counts: Arc<Counts>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) idempotency: Idempotency,
    pub(super) courier: Arc<Courier>,
    pub(super) secret: Secret,
    log: Arc<Log<dyn Store>>,
    clock: Clock,
    _alone: Option<fs::File>,
}

impl Parts {
    pub(super) async fn make(config: &Config) -> Result<Self> {
        let clock = Clock::default();
        let alone = maintain::embedded(&config.storage.database).map(maintain::lock).transpose()?;
        let metrics = Arc::new(Metrics::new());
        metrics.limit_connections(config.limits.connections);
        let opened = store::open(&config.storage.database, &clock).await?;
        let store: Arc<dyn Store> = Arc::new(Timed::new(opened, Arc::clone(&metrics)));
        let secret = Secret::read(&config.storage.secret)?;
        let log = Arc::new(Log::new(Arc::clone(&store), signer(config, &secret)?));
        let accounts = Arc::new(accounts(config, &secret, &store, &clock, &log)?);
        // The same in all processes, also while a rotation waits.
        let pepper = secret.first_key(Purpose::Limits)?;
        let limiter = Arc::new(Limiter::new(clock.clone()).with_store(Arc::clone(&store), &pepper));
        let visits = Arc::new(Visits::new(clock.clone()));
        let api = Arc::new(Api::new(Arc::clone(&store), clock.clone(), Vec::new())?);
        let (specs, downloads) = downloads(config, &secret, &*store, &clock).await?;
        let memo = Memo::of(&api::router(Arc::clone(&api))).await?;
        let routes = Routes {
            accounts,
            api,
            limiter,
            store: Arc::clone(&store),
            catalogue: Arc::clone(&downloads.catalogue),
            metrics: Arc::clone(&metrics),
            specs: specs.clone(),
            since: clock.now(),
        };
        let told = (Arc::clone(&metrics), Arc::clone(&visits));
        let blobs = downloads.blobs.clone();
        let front = Arc::new(Front::new(routes.settings(config)?, specs, downloads, memo, told)?);
        releases::tell(&front.catalogue(), &routes.api);
        let counts = Arc::new(Counts::measured(Arc::clone(&metrics)));
        let courier = Arc::new(Courier::new(Arc::clone(&store), post(config)?, clock.clone()));
        let delivering = Arc::clone(&courier);
        tokio::spawn(async move { delivering.run().await });
        let (data, told) = (config.storage.folder(), Arc::clone(&metrics));
        let readiness = Readiness::new(Arc::clone(&store), Arc::clone(&log), clock.clone(), data, told);
        let readiness = Arc::new(readiness.with_blobs(blobs));
        let watch = watch::health(Arc::clone(&readiness)).merge(watch::exposition(metrics, visits));
        let watch = Arc::new(Routed(watch));
        let idempotency = Idempotency::new(Arc::clone(&store), clock.clone());
        Ok(Self {
            front,
            watch,
            routes,
            store,
            counts,
            readiness,
            idempotency,
            courier,
            secret,
            log,
            clock,
            _alone: alone,
        })
    }

    /// Gives an account a new password and all rights; returns the password.
    pub(super) async fn make_owner(&self, address: &str) -> Result<String> {
        let made = self.routes.accounts.make_owner(address).await;
        let secret = made.map_err(|_denied| Error::Config {
            place: address.to_owned(),
            problem: "cannot be the address of an owner".into(),
            hint: "give an address for mail".into(),
        })?;
        Ok(secret.reveal().to_owned())
    }

    /// Whether the clock stands before what was written last. Then it was put back.
    pub(super) async fn clock_is_behind(&self) -> Result<bool> {
        let written = self.log.head().await?.written_at;
        Ok(written.is_some_and(|time| time > self.clock.now().saturating_add(TOLERANCE)))
    }

    /// Writes an act of the operator into the audit log.
    pub(super) async fn note(&self, act: &str) -> Result<()> {
        let entry = Entry::new(self.clock.now(), "operator", act, "server");
        self.log.append(&[entry]).await.map(|_checkpoint| ())
    }
}

/// The accounts of a database, whose acts enter its log.
pub(crate) fn accounts(
    config: &Config,
    secret: &Secret,
    store: &Arc<dyn Store>,
    clock: &Clock,
    log: &Arc<Log<dyn Store>>,
) -> Result<Accounts> {
    let key = secret.key(Purpose::Forms, clock.now())?;
    let mut settings = accounts::Settings::new(config.site.origin.clone(), key);
    settings.secrets = secret.keys(Purpose::Forms)?;
    Ok(Accounts::new(Arc::clone(store), clock.clone(), settings)?.with_log(Arc::clone(log)))
}

/// The key of checkpoints, whose name is that of the site; a rotation of the secret leaves it as it is.
pub(crate) fn signer(config: &Config, secret: &Secret) -> Result<Signer> {
    // An Ed25519 key in PKCS#8, version 1 (RFC 8410, section 7): all of it but the seed is the same for every key.
    const HEAD: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let origin = &config.site.origin;
    let name = origin.rsplit_once("//").map_or(origin.as_str(), |(_, host)| host);
    Signer::new(&format!("{name}/audit"), &[&HEAD[..], &secret.first_key(Purpose::Audit)?].concat())
}

async fn downloads(
    config: &Config,
    secret: &Secret,
    store: &dyn Store,
    clock: &Clock,
) -> Result<(Vec<Spec>, Downloads)> {
    let catalogue = Arc::new(Catalogue::default());
    catalogue.refresh(store).await?;
    let specs = Spec::all().map_err(Error::Spec)?;
    let downloads = Downloads {
        catalogue,
        blobs: config.storage.open_blobs()?,
        links: Links::new(&secret.key(Purpose::Links, clock.now())?).with(&secret.keys(Purpose::Links)?),
        open: specs.iter().filter(|spec| spec.price.is_free()).map(|spec| spec.id).collect(),
        permit: Box::new(LinksAlone),
        clock: clock.clone(),
        running: Arc::new(Running::default()),
        counted: Counted::default(),
    };
    Ok((specs, downloads))
}

/// Whom letters are handed to.
pub(super) fn post(config: &Config) -> Result<Arc<dyn Post>> {
    Ok(match &config.mail.smtp {
        Some(smtp) => Arc::new(smtp.open()?),
        None => Arc::new(Folder::new(&config.mail.folder, &config.site.contact)?),
    })
}

/// Until licenses are sold here, only links open what is not free.
struct LinksAlone;

impl Permit for LinksAlone {
    fn allows(&self, _: Edition, _: &HeaderMap) -> bool {
        false
    }
}

/// Where a copy of the database is put before its schema changes.
pub(crate) fn copies(config: &Config) -> PathBuf {
    config.storage.folder()
}
