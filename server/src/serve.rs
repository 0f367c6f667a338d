//! From a configuration to sockets that are served, and back to nothing.

mod front;
mod memo;
mod parts;
mod redirect;
mod releases;
mod reload;
mod routes;
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

#[cfg(feature = "otel")]
use crate::watch::Traces;
use crate::{
    Error, Result,
    config::{Config, Place},
    engine::{self, Address, Certificates, Server},
    secret::Secret,
    watch::LogFilter,
};
use parts::Parts;
pub(crate) use parts::{accounts, copies, signer};
use redirect::Redirect;
use reload::Serving;
use routes::Routes;

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
    /// Where plain HTTP leads to TLS.
    pub redirect: Vec<SocketAddr>,
    /// Where health and metrics are.
    pub watch: Option<SocketAddr>,
    /// Address and one-time password of the owner that was asked for.
    pub owner: Option<(String, String)>,
}

/// Serves until SIGTERM or SIGINT what `read` says, which is read again at SIGHUP. `announce` is called when every socket is
/// served. With `owner` that account gets a new password, which must be changed.
///
/// # Errors
/// When something that it needs is not there. Nothing is served then.
pub async fn run(
    read: impl Fn() -> Result<Config>,
    owner: Option<&str>,
    log: &LogFilter,
    announce: impl FnOnce(&Started),
) -> Result<u8> {
    let config = read()?;
    log.set(&config.log.filter);
    let parts = Parts::make(&config).await?;
    #[cfg(feature = "otel")]
    let traces = config.otel.endpoint.as_deref().map(Traces::start).transpose()?;
    let certificates = match &config.tls {
        Some(tls) => Some(Arc::new(Certificates::read(&tls.certificate, &tls.key)?)),
        None => None,
    };
    let redirect = Arc::new(Redirect::new(&config, Arc::clone(&parts.routes.metrics)));
    let mut sockets = Sockets::of(&parts, &redirect, &config);
    let (public, redirected, watch) = sockets.open(&config, certificates.as_ref())?;
    let scheme = if certificates.is_some() { "https" } else { "http" };
    let owner = match owner {
        Some(address) => Some((address.to_owned(), parts.make_owner(address).await?)),
        None => None,
    };
    // Before anybody is told: a signal that nobody waits for would end the process as a crash does.
    let signals = Signals::listen()?;
    if certificates.is_some() {
        let kernel = engine::kernel_offers_tls();
        tracing::info!(in_use = "user space", offered_by_kernel = kernel, "TLS");
    }
    announce(&Started { scheme, public, redirect: redirected, watch, owner });
    notify(&[NotifyState::Ready]);
    parts.note("server.start").await?;
    let servers = vec![&sockets.server, &sockets.redirecting, &sockets.watching];
    let serving = Serving { parts: &parts, certificates, redirect, servers, log, config };
    until_ended(serving, read, signals).await;
    notify(&[NotifyState::Stopping]);
    parts.readiness.drain();
    let cut = sockets.server.shut_down().await;
    sockets.redirecting.shut_down().await;
    sockets.watching.shut_down().await;
    // The log may be unreachable in the moment of an end, which is no reason not to end.
    if let Err(error) = parts.note("server.end").await {
        tracing::warn!(error = report::render(&error), "the end is not in the audit log");
    }
    #[cfg(feature = "otel")]
    if let Some(traces) = traces {
        traces.end().await;
    }
    tracing::info!(cut, "ended");
    Ok(exit::OK)
}

/// What answers on which sockets.
struct Sockets {
    server: Server,
    redirecting: Server,
    watching: Server,
}

impl Sockets {
    fn of(parts: &Parts, redirect: &Arc<Redirect>, config: &Config) -> Self {
        let limits = config.limits.engine();
        Self {
            server: Server::new(Arc::clone(&parts.front) as _, limits, Arc::clone(&parts.counts)),
            redirecting: Server::new(Arc::clone(redirect) as _, limits, Arc::default()),
            watching: Server::new(Arc::clone(&parts.watch) as _, limits, Arc::default()),
        }
    }

    /// Opens them all at once, since those of the service manager are taken over once; public, plain and watching ones.
    fn open(
        &mut self,
        config: &Config,
        certificates: Option<&Arc<Certificates>>,
    ) -> Result<(Vec<SocketAddr>, Vec<SocketAddr>, Option<SocketAddr>)> {
        let (public, plain) = (config.public()?, config.redirect()?);
        let watch = config.watch()?.map(Address::Tcp);
        let all: Vec<_> = public.iter().chain(&plain).chain(&watch).cloned().collect();
        let mut bound = engine::bind(&all)?.into_iter();
        let (mut publics, mut plains) = (Vec::new(), Vec::new());
        for bound in bound.by_ref().take(public.len()) {
            publics.push(bound.address);
            self.server.listen(bound, certificates.cloned())?;
        }
        for bound in bound.by_ref().take(plain.len()) {
            plains.push(bound.address);
            self.redirecting.listen(bound, None)?;
        }
        let mut watched = None;
        for bound in bound {
            watched = Some(bound.address);
            self.watching.listen(bound, None)?;
        }
        Ok((publics, plains, watched))
    }
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
async fn until_ended(mut serving: Serving<'_>, read: impl Fn() -> Result<Config>, mut signals: Signals) {
    let parts = serving.parts;
    let watchdog = sd_notify::watchdog_enabled().map_or(Duration::from_secs(3600), |most| most / 2);
    let mut tidy = tokio::time::interval(TIDY);
    let (mut refresh, mut alive) = (tokio::time::interval(REFRESH), tokio::time::interval(watchdog));
    loop {
        tokio::select! {
            _ = signals.term.recv() => return,
            _ = signals.int.recv() => return,
            _ = signals.hup.recv() => reload(&mut serving, &read).await,
            _ = refresh.tick() => {
                look_again(parts).await;
                mind_the_clock(parts).await;
            }
            _ = tidy.tick() => tidy_up(parts).await,
            _ = alive.tick() => notify(&[NotifyState::Watchdog]),
        }
    }
}

async fn reload(serving: &mut Serving<'_>, read: &impl Fn() -> Result<Config>) {
    if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
    let changed = serving.change_to(read()).await;
    look_again(serving.parts).await;
    let status = if changed { "serving" } else { "serving by the former configuration: see the log" };
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

async fn look_again(parts: &Parts) {
    match parts.front.refresh(&*parts.store).await {
        Ok(true) => releases::tell(&parts.front.catalogue(), &parts.routes.api),
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
    let Routes { accounts, limiter, .. } = &parts.routes;
    let results = [accounts.tidy().await, limiter.sweep().await, parts.idempotency.sweep().await];
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
    // By name: to browsers `localhost` is secure without TLS, and a site that passkeys can be for.
    config.site.origin = format!("http://localhost:{port}");
    config.storage.database = format!("sqlite:{}", data.join("aegis.db").display());
    config.storage.blobs = Place::Folder(data.join("blobs"));
    config.mail.folder = data.join("mail");
    config.storage.secret = secret;
    Ok(config)
}
