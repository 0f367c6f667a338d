//! From a configuration to sockets that are served, and back to nothing.

mod front;
mod memo;
mod parts;
mod releases;
mod status;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use aegis_core::report::{self, exit};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    Error, Result,
    config::Config,
    engine::{self, Address, Certificates, Server},
    secret::Secret,
};
use parts::Parts;
pub(crate) use parts::{copies, signer};

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
    // Before anybody is told: a signal that nobody waits for would end the process as a crash does.
    let signals = Signals::listen()?;
    announce(&Started { scheme, public, watch, owner });
    notify(&[NotifyState::Ready]);
    parts.note("server.start").await?;
    until_ended(&parts, certificates.as_deref(), signals).await;
    notify(&[NotifyState::Stopping]);
    parts.readiness.drain();
    let cut = server.shut_down().await;
    watching.shut_down().await;
    // The log may be unreachable in the moment of an end, which is no reason not to end.
    if let Err(error) = parts.note("server.end").await {
        tracing::warn!(error = report::render(&error), "the end is not in the audit log");
    }
    tracing::info!(cut, "ended");
    Ok(exit::OK)
}

/// Tells the service manager; without one nothing happens.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// What the process is told from outside.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(Error::io("waiting for", "signals"));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hup: listen(SignalKind::hangup())?,
        })
    }
}

/// Waits for the signal to end, and does meanwhile what time and other signals ask for.
async fn until_ended(parts: &Parts, certificates: Option<&Certificates>, mut signals: Signals) {
    let watchdog = sd_notify::watchdog_enabled().map_or(Duration::from_secs(3600), |most| most / 2);
    let mut tidy = tokio::time::interval(TIDY);
    let (mut refresh, mut alive) = (tokio::time::interval(REFRESH), tokio::time::interval(watchdog));
    loop {
        tokio::select! {
            _ = signals.term.recv() => return,
            _ = signals.int.recv() => return,
            _ = signals.hup.recv() => reload(parts, certificates).await,
            _ = refresh.tick() => {
                look_again(parts).await;
                mind_the_clock(parts).await;
            }
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
        tracing::error!(error = report::render(&error), "the former certificates stay in use");
    }
    look_again(parts).await;
    notify(&[NotifyState::Ready]);
}

async fn look_again(parts: &Parts) {
    match parts.front.refresh(&*parts.store).await {
        Ok(true) => releases::tell(&parts.front.catalogue(), &parts.api),
        Ok(false) => {}
        Err(error) => tracing::warn!(error = report::render(&error), "releases could not be read again"),
    }
}

/// A clock that was put back leaves behind what would last too long, and a log from the future, by which the service would not be
/// ready until its clock has come there again. The entry says what happened, and is the latest from now on.
async fn mind_the_clock(parts: &Parts) {
    match parts.clock_is_behind().await {
        Ok(false) => {}
        Ok(true) => {
            tracing::warn!("the clock was put back; what it had begun in the future is ended");
            tidy_up(parts).await;
            if let Err(error) = parts.note("clock.back").await {
                tracing::warn!(
                    error = report::render(&error),
                    "that the clock was put back is not in the audit log"
                );
            }
        }
        Err(error) => tracing::warn!(error = report::render(&error), "the audit log cannot be read"),
    }
}

async fn tidy_up(parts: &Parts) {
    let results = [parts.accounts.tidy().await, parts.limiter.sweep().await, parts.idempotency.sweep().await];
    for error in results.into_iter().filter_map(Result::err) {
        tracing::warn!(error = report::render(&error), "what has expired could not be removed");
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
    config.mail.folder = data.join("mail");
    config.storage.secret = secret;
    Ok(config)
}
