//! From a configuration to sockets that are served, and back to nothing.

mod front;
mod status;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use aegis_core::{edition::Edition, report::exit};
use aegis_editions::Spec;
use axum::http::HeaderMap;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    Clock, Error, Result,
    accounts::{self, Accounts},
    config::Config,
    downloads::{Blobs, Catalogue, Counted, Downloads, Links, Permit, Running},
    engine::{self, Address, Certificates, Counts, Server},
    mail::{Courier, Folder},
    maintain,
    secret::{Purpose, Secret},
    site::Frame,
    store::{self, Store},
};
use front::Front;

/// How often releases of other processes are looked for.
const REFRESH: Duration = Duration::from_secs(10);

/// How often what has expired is removed.
const TIDY: Duration = Duration::from_secs(300);

/// What is served, for the person who started it.
#[derive(Debug)]
pub struct Started {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Public addresses, with the ports that they got.
    pub public: Vec<SocketAddr>,
    /// Where health and metrics are.
    pub watch: Option<SocketAddr>,
    /// Address and one-time password of the owner that was asked for.
    pub owner: Option<(String, String)>,
}

/// Serves until SIGTERM or SIGINT. `announce` is called when every socket is served. With `owner` that account gets a new
/// password, which must be changed.
///
/// # Errors
/// When something that it needs is not there. Nothing is served then.
pub async fn run(config: Config, owner: Option<&str>, announce: impl FnOnce(&Started)) -> Result<u8> {
    let parts = Parts::make(&config).await?;
    let certificates = match &config.tls {
        Some(tls) => Some(Arc::new(Certificates::read(&tls.certificate, &tls.key)?)),
        None => None,
    };
    let mut server =
        Server::new(Arc::clone(&parts.front) as _, config.limits.engine(), Arc::clone(&parts.counts));
    let mut public = Vec::new();
    for bound in engine::bind(&config.public()?)? {
        public.push(bound.address);
        server.listen(bound, certificates.clone())?;
    }
    let mut watching = Server::new(Arc::clone(&parts.watch) as _, config.limits.engine(), Arc::default());
    let mut watch = None;
    if let Some(address) = config.watch()? {
        for bound in engine::bind(&[Address::Tcp(address)])? {
            watch = Some(bound.address);
            watching.listen(bound, None)?;
        }
    }
    let scheme = if certificates.is_some() { "https" } else { "http" };
    let owner = match owner {
        Some(address) => Some((address.to_owned(), parts.make_owner(address).await?)),
        None => None,
    };
    announce(&Started { scheme, public, watch, owner });
    notify(&[NotifyState::Ready]);
    until_ended(&parts, certificates.as_deref()).await?;
    notify(&[NotifyState::Stopping]);
    let cut = server.shut_down().await;
    watching.shut_down().await;
    tracing::info!(cut, "ended");
    Ok(exit::OK)
}

/// Tells the service manager; without one nothing happens.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// Everything that is served, made before a socket is open.
struct Parts {
    front: Arc<Front>,
    watch: Arc<front::Watch>,
    accounts: Arc<Accounts>,
    store: Arc<dyn Store>,
    counts: Arc<Counts>,
    _alone: Option<fs::File>,
}

impl Parts {
    async fn make(config: &Config) -> Result<Self> {
        let clock = Clock::default();
        let alone = maintain::embedded(&config.storage.database).map(maintain::lock).transpose()?;
        let store = store::open(&config.storage.database, &clock).await?;
        let secret = Secret::read(&config.storage.secret)?;
        let catalogue = Arc::new(Catalogue::default());
        catalogue.refresh(&*store).await?;
        let counts = Arc::new(Counts::default());
        let published = Arc::clone(&catalogue);
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
        let settings = accounts::Settings::new(config.site.origin.clone(), secret.key(Purpose::Forms)?);
        let accounts = Arc::new(Accounts::new(Arc::clone(&store), clock.clone(), settings)?);
        let frame = Arc::new(Frame::new(&specs, &config.site.origin, &config.site.operator)?);
        let status = status::router(Arc::clone(&frame), Arc::clone(&store), published, &clock);
        let router = accounts::router(Arc::clone(&accounts), frame).merge(status);
        let front = Arc::new(Front::new(config, specs, downloads, router, Arc::clone(&counts))?);
        let post = Folder::new(&config.storage.mail, &config.site.contact)?;
        let courier = Courier::new(Arc::clone(&store), Arc::new(post), clock.clone());
        tokio::spawn(async move { courier.run().await });
        let watch = Arc::new(front::Watch::new(Arc::clone(&front), Arc::clone(&store), clock));
        Ok(Self { front, watch, accounts, store, counts, _alone: alone })
    }
}

impl Parts {
    async fn make_owner(&self, address: &str) -> Result<String> {
        let made = self.accounts.make_owner(address).await;
        let secret = made.map_err(|_denied| Error::Config {
            place: address.to_owned(),
            problem: "cannot be the address of an owner".into(),
            hint: "give an address for mail".into(),
        })?;
        Ok(secret.reveal().to_owned())
    }
}

/// Until licenses are sold here, only links open what is not free.
struct LinksAlone;

impl Permit for LinksAlone {
    fn allows(&self, _: Edition, _: &HeaderMap) -> bool {
        false
    }
}

/// Waits for the signal to end, and does meanwhile what time and other signals ask for.
async fn until_ended(parts: &Parts, certificates: Option<&Certificates>) -> Result<()> {
    let listen = |kind| signal(kind).map_err(Error::io("waiting for", "signals"));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hup = listen(SignalKind::hangup())?;
    let watchdog = sd_notify::watchdog_enabled().map_or(Duration::from_secs(3600), |most| most / 2);
    let mut tidy = tokio::time::interval(TIDY);
    let (mut refresh, mut alive) = (tokio::time::interval(REFRESH), tokio::time::interval(watchdog));
    loop {
        tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = hup.recv() => reload(parts, certificates).await,
            _ = refresh.tick() => look_again(parts).await,
            _ = tidy.tick() => tidy_up(parts).await,
            _ = alive.tick() => notify(&[NotifyState::Watchdog]),
        }
    }
}

async fn reload(parts: &Parts, certificates: Option<&Certificates>) {
    if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
    if let Some(Err(error)) = certificates.map(Certificates::reload) {
        tracing::error!(error = aegis_core::report::render(&error), "the former certificates stay in use");
    }
    look_again(parts).await;
    notify(&[NotifyState::Ready]);
}

async fn look_again(parts: &Parts) {
    if let Err(error) = parts.front.refresh(&*parts.store).await {
        tracing::warn!(error = aegis_core::report::render(&error), "releases could not be read again");
    }
}

async fn tidy_up(parts: &Parts) {
    if let Err(error) = parts.accounts.tidy().await {
        tracing::warn!(error = aegis_core::report::render(&error), "what has expired could not be removed");
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(Error::io("looking for", "a free port"))
}

/// The configuration of a demonstration, whose data is in one folder.
///
/// # Errors
/// When the folder cannot be made.
pub fn demo(data: &Path, port: u16) -> Result<Config> {
    fs::create_dir_all(data).map_err(Error::io("creating", data))?;
    // Forms are taken from the origin alone, so the port must be known before a page is made.
    let port = if port == 0 { free_port()? } else { port };
    let secret = data.join("secret");
    if !secret.exists() {
        Secret::generate(&secret)?;
    }
    let mut config = Config::default();
    config.listen.public = vec![format!("127.0.0.1:{port}")];
    config.listen.watch = "127.0.0.1:0".into();
    config.site.origin = format!("http://127.0.0.1:{port}");
    config.storage.database = format!("sqlite:{}", data.join("aegis.db").display());
    config.storage.blobs = data.join("blobs");
    config.storage.mail = data.join("mail");
    config.storage.secret = secret;
    Ok(config)
}
