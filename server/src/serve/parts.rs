//! Everything that is served, made from a configuration before a socket is open.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::edition::Edition;
use aegis_editions::Spec;
use axum::{Router, http::HeaderMap};

use super::{
    front::{Front, Routed},
    memo::Memo,
    releases, status,
};
use crate::{
    Clock, Error, Result,
    accounts::{self, Accounts},
    api::{self, Api, Idempotency},
    audit::{Entry, Log, Signer},
    clock::TOLERANCE,
    config::{Bounds, Config},
    downloads::{Blobs, Catalogue, Counted, Downloads, Links, Permit, Running},
    engine::Counts,
    limits::{self, By, Guard, Limiter, Rule},
    mail::{Courier, Folder, Post},
    maintain,
    secret::{Purpose, Secret},
    site::Frame,
    store::{self, Store},
    watch::{self, Metrics, Readiness, Timed, Visits},
};

/// Everything that is served.
pub(super) struct Parts {
    pub(super) front: Arc<Front>,
    pub(super) watch: Arc<Routed>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) api: Arc<Api>,
    pub(super) store: Arc<dyn Store>,
    pub(super) counts: Arc<Counts>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) idempotency: Idempotency,
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
        let settings = accounts::Settings::new(config.site.origin.clone(), secret.key(Purpose::Forms)?);
        let accounts = Accounts::new(Arc::clone(&store), clock.clone(), settings)?;
        let accounts = Arc::new(accounts.with_log(Arc::clone(&log)));
        let pepper = secret.key(Purpose::Limits)?;
        let limiter = Arc::new(Limiter::new(clock.clone()).with_store(Arc::clone(&store), &pepper));
        let visits = Arc::new(Visits::new(clock.clone()));
        let api = Arc::new(Api::new(Arc::clone(&store), clock.clone(), Vec::new())?);
        let (specs, downloads) = downloads(config, &secret, &*store, &clock).await?;
        let frame = Arc::new(Frame::new(&specs, &config.site.origin, &config.site.operator)?);
        let published = Arc::clone(&downloads.catalogue);
        let status = status::router(Arc::clone(&frame), Arc::clone(&store), published, &clock);
        let rules = rules(&config.limits);
        let pages = accounts::router(Arc::clone(&accounts), frame).merge(status);
        let router = limited(pages, &limiter, rules[0]).merge(limited(
            api::router(Arc::clone(&api)),
            &limiter,
            rules[1],
        ));
        let router = api::request_ids(watch::observe(router, Arc::clone(&metrics)));
        let counts = Arc::new(Counts::measured(Arc::clone(&metrics)));
        let memo = Memo::of(&api::router(Arc::clone(&api))).await?;
        let told = (Arc::clone(&metrics), Arc::clone(&visits));
        let front = Front::new(config, specs, downloads, (router, memo), told)?;
        let front = Arc::new(front);
        releases::tell(&front.catalogue(), &api);
        deliver(config, &store, &clock)?;
        let data = config.storage.blobs.clone();
        let readiness = Arc::new(Readiness::new(
            Arc::clone(&store),
            Arc::clone(&log),
            clock.clone(),
            data,
            Arc::clone(&metrics),
        ));
        let watch = watch::health(Arc::clone(&readiness)).merge(watch::exposition(metrics, visits));
        let watch = Arc::new(Routed(watch));
        let idempotency = Idempotency::new(Arc::clone(&store), clock.clone());
        Ok(Self {
            front,
            watch,
            accounts,
            api,
            store,
            counts,
            readiness,
            limiter,
            idempotency,
            log,
            clock,
            _alone: alone,
        })
    }

    /// Gives an account a new password and all rights; returns the password.
    pub(super) async fn make_owner(&self, address: &str) -> Result<String> {
        let made = self.accounts.make_owner(address).await;
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

/// The key of checkpoints, whose name is that of the site.
pub(crate) fn signer(config: &Config, secret: &Secret) -> Result<Signer> {
    // An Ed25519 key in PKCS#8, version 1 (RFC 8410, section 7): all of it but the seed is the same for every key.
    const HEAD: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let origin = &config.site.origin;
    let name = origin.rsplit_once("//").map_or(origin.as_str(), |(_, host)| host);
    Signer::new(&format!("{name}/audit"), &[&HEAD[..], &secret.key(Purpose::Audit)?].concat())
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
        blobs: Blobs::open(&config.storage.blobs)?,
        links: Links::new(&secret.key(Purpose::Links)?),
        open: specs.iter().filter(|spec| spec.price.is_free()).map(|spec| spec.id).collect(),
        permit: Box::new(LinksAlone),
        clock: clock.clone(),
        at_a_time: config.limits.downloads_per_address,
        running: Arc::new(Running::default()),
        counted: Counted::default(),
    };
    Ok((specs, downloads))
}

/// Delivers letters for as long as the program runs.
fn deliver(config: &Config, store: &Arc<dyn Store>, clock: &Clock) -> Result<()> {
    let post: Arc<dyn Post> = match &config.mail.smtp {
        Some(smtp) => Arc::new(smtp.open()?),
        None => Arc::new(Folder::new(&config.mail.folder, &config.site.contact)?),
    };
    let courier = Courier::new(Arc::clone(store), post, clock.clone());
    tokio::spawn(async move { courier.run().await });
    Ok(())
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
    config.storage.blobs.parent().unwrap_or(Path::new(".")).to_owned()
}
