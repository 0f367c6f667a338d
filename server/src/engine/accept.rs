//! The accept loop and the life of a connection.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use hyper::{Request, Response, body::Incoming, server::conn, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch as signal},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Bound, Certificates, Connection, Counts, Limits,
    guard::{Guarded, Pace, Segments},
};
use crate::{Error, Result, watch};

/// How long to wait when the system has no more descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// An answer that is there, or on its way.
pub enum Answer {
    /// It is there.
    Now(Response<Body>),
    /// It is on its way.
    Later(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Now(response) => Poll::Ready(Ok(std::mem::take(response))),
            Self::Later(future) => future.as_mut().poll(cx).map(Ok),
        }
    }
}

/// What answers requests. Each has a [`Connection`] among its extensions.
pub trait Service: Send + Sync + 'static {
    /// Answers one.
    fn call(&self, request: Request<Incoming>) -> Answer;
}

/// How far the end of the server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// What is being answered is answered.
    Draining,
    /// Connections are cut.
    Closing,
}

/// Sockets that are served.
pub struct Server {
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    service: Arc<dyn Service>,
    limits: RwLock<Limits>,
    counts: Arc<Counts>,
    free: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    phase: signal::Sender<Phase>,
}

impl Server {
    /// A server without sockets.
    pub fn new(service: Arc<dyn Service>, limits: Limits, counts: Arc<Counts>) -> Self {
        let free = Arc::new(Semaphore::new(limits.connections));
        let phase = signal::Sender::new(Phase::Serving);
        let limits = RwLock::new(limits);
        let shared = Shared { service, limits, counts, free, by_address: Mutex::default(), phase };
        Self { shared: Arc::new(shared), tasks: Vec::new() }
    }

    /// Serves a socket, with TLS where there are certificates.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub fn listen(&mut self, bound: Bound, certificates: Option<Arc<Certificates>>) -> Result<()> {
        let listener = TcpListener::from_std(bound.socket);
        let listener = listener.map_err(Error::io("listening on", bound.address.to_string()))?;
        self.tasks.push(tokio::spawn(accept(Arc::clone(&self.shared), listener, certificates)));
        Ok(())
    }

    /// Puts other limits in the place of the former ones: they hold for connections from now on. When more are open than
    /// there may be now, none is cut, and new ones wait.
    pub fn change_limits(&self, limits: Limits) {
        let before = {
            let mut current = self.shared.limits.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, limits).connections
        };
        let free = Arc::clone(&self.shared.free);
        free.add_permits(limits.connections.saturating_sub(before));
        let surplus = u32::try_from(before.saturating_sub(limits.connections)).unwrap_or(u32::MAX);
        if surplus > 0 {
            // Permits are given in the order of asking: the accept loops wait behind this.
            tokio::spawn(async move {
                if let Ok(permits) = free.acquire_many_owned(surplus).await {
                    permits.forget();
                }
            });
        }
    }

    /// Stops accepting, lets what is being answered end, and cuts the rest when the time is over. Returns how many
    /// connections were cut.
    pub async fn shut_down(self) -> usize {
        let limits = self.shared.limits();
        let Shared { counts, free, phase, .. } = &*self.shared;
        counts.draining.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
        let _ = phase.send(Phase::Draining);
        // Every connection holds one permit: all of them can be had when the last has ended.
        let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
        if timeout(limits.drain, free.acquire_many(all)).await.is_ok() {
            return 0;
        }
        let open = limits.connections.saturating_sub(free.available_permits());
        let _ = phase.send(Phase::Closing);
        let _ = timeout(limits.drain, free.acquire_many(all)).await;
        open
    }
}

impl Shared {
    fn limits(&self) -> Limits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, certificates: Option<Arc<Certificates>>) {
    loop {
        let Ok(permit) = Arc::clone(&shared.free).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                Counts::add(&shared.counts.accepted);
                let Some(seat) = Seat::take(&shared, peer, permit) else { continue };
                tokio::spawn(live(Arc::clone(&shared), stream, peer, certificates.clone(), seat));
            }
            // One that ended before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted at the moment");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The place of a connection among all, and among those of its address.
struct Seat {
    shared: Arc<Shared>,
    network: IpAddr,
    _permit: OwnedSemaphorePermit,
    _counted: Option<watch::Connection>,
}

impl Seat {
    fn take(shared: &Arc<Shared>, peer: SocketAddr, permit: OwnedSemaphorePermit) -> Option<Self> {
        let (network, most) = (network(peer.ip()), shared.limits().per_address);
        let mut seats = shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = seats.entry(network).or_default();
        if *taken >= most {
            Counts::add(&shared.counts.refused);
            return None;
        }
        *taken += 1;
        Counts::add(&shared.counts.open);
        let counted = shared.counts.metrics.as_ref().map(|metrics| metrics.connection());
        Some(Self { shared: Arc::clone(shared), network, _permit: permit, _counted: counted })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.counts.open.fetch_sub(1, Ordering::Relaxed);
        let mut seats = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = seats.get_mut(&self.network) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.network);
            }
        }
    }
}

/// What one customer of a provider has: an IPv4 address, or an IPv6 network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) & !u128::from(u64::MAX)).into()),
        four => four,
    }
}

async fn live(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    seat: Seat,
) {
    let _seat = seat;
    let (limits, counts) = (shared.limits(), &shared.counts);
    let (patience, late) = match certificates {
        Some(_) => (limits.handshake, &counts.handshakes_failed),
        None => (limits.header, &counts.expired),
    };
    if begins(&shared, &stream, patience, late).await {
        // On the heap, so that a connection that says nothing is no larger than waiting for it takes.
        Box::pin(speak(&shared, stream, peer, certificates)).await;
    }
}

/// Waits for the first byte of a connection; false when it must end without one.
async fn begins(shared: &Shared, stream: &TcpStream, patience: Duration, late: &AtomicU64) -> bool {
    let mut phase = shared.phase.subscribe();
    let mut byte = [0];
    tokio::select! {
        // Left where it is, for whoever speaks next.
        seen = timeout(patience, stream.peek(&mut byte)) => {
            if seen.is_err() {
                Counts::add(late);
            }
            matches!(seen, Ok(Ok(1)))
        }
        _ending = phase.wait_for(|phase| *phase != Phase::Serving) => false,
    }
}

async fn speak(
    shared: &Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    certificates: Option<Arc<Certificates>>,
) {
    let _ = stream.set_nodelay(true);
    // Those of the moment, to the end of the connection.
    let limits = shared.limits();
    let Limits { idle, slowest, .. } = limits;
    let (segments, sent) = (Arc::<Segments>::default(), Arc::<AtomicU64>::default());
    let guarded = Guarded::new(
        stream,
        Arc::clone(&segments),
        Arc::clone(&sent),
        Arc::clone(&shared.counts),
        Pace { idle, slowest },
    );
    let mut connection = Connection { peer: peer.ip().to_canonical(), secure: false, segments: None, sent };
    match certificates {
        None => {
            connection.segments = Some(segments);
            first(shared, limits, guarded, connection).await;
        }
        // Apart from the plain one, whose task would be as large otherwise.
        Some(certificates) => Box::pin(secure(shared, limits, guarded, connection, &certificates)).await,
    }
}

/// Agrees on TLS, and on what is spoken in it.
async fn secure(
    shared: &Arc<Shared>,
    limits: Limits,
    stream: Guarded,
    connection: Connection,
    certificates: &Certificates,
) {
    let connection = Connection { secure: true, ..connection };
    let acceptor = TlsAcceptor::from(certificates.current());
    let Ok(Ok(stream)) = timeout(limits.handshake, acceptor.accept(stream)).await else {
        Counts::add(&shared.counts.handshakes_failed);
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        second(shared, limits, stream, connection).await;
    } else {
        first(shared, limits, stream, connection).await;
    }
}

/// What carries HTTP.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Wire for T {}

/// Speaks HTTP/1.1.
async fn first(shared: &Arc<Shared>, limits: Limits, stream: impl Wire, connection: Connection) {
    let mut builder = conn::http1::Builder::new();
    // Without `pipeline_flush`: that copies all bodies into one buffer, and files would no longer be sent by the kernel.
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header).max_header_size(limits.header_bytes);
    let sharing = Arc::clone(shared);
    let service = service_fn(move |request| answer(&sharing, &connection, request));
    serve(shared, builder.serve_connection(TokioIo::new(stream), service)).await;
}

/// Speaks HTTP/2.
async fn second(shared: &Arc<Shared>, limits: Limits, stream: impl Wire, connection: Connection) {
    let mut builder = conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        // A client that opens and resets streams (CVE-2023-44487) is left soon.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .max_send_buf_size(1024 * 1024);
    let sharing = Arc::clone(shared);
    let service = service_fn(move |request| answer(&sharing, &connection, request));
    serve(shared, builder.serve_connection(TokioIo::new(stream), service)).await;
}

/// Serves a connection to its end. What goes wrong with it concerns its client alone.
async fn serve(shared: &Shared, connection: impl GracefulConnection) {
    let mut serving = std::pin::pin!(connection);
    let mut phase = shared.phase.subscribe();
    loop {
        tokio::select! {
            _ended = serving.as_mut() => return,
            changed = phase.changed() => match (changed, *phase.borrow()) {
                (Ok(()), Phase::Draining | Phase::Serving) => serving.as_mut().graceful_shutdown(),
                _ => return,
            },
        }
    }
}

fn answer(shared: &Shared, connection: &Connection, mut request: Request<Incoming>) -> Answer {
    request.extensions_mut().insert(connection.clone());
    shared.service.call(request)
}
