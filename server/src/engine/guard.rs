//! A connection's bytes: time limits in both directions, and files that the kernel sends by itself.
//!
//! hyper writes slices. A file's part is mapped and handed to hyper as bytes; when such a slice comes back here to be
//! written, the kernel is asked to send that part of the file (`sendfile(2)`), so that the mapping is never touched.

use std::{
    fs::File,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use memmap2::Mmap;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

use super::Counts;
use crate::sys;

/// Bytes that one call asks the kernel to send, so that one connection does not hold a thread for long.
const STEP: usize = 1024 * 1024;

/// Parts of files that are on their way over one connection.
#[derive(Debug, Default)]
pub struct Segments {
    parts: Mutex<Vec<Part>>,
}

#[derive(Clone, Debug)]
struct Part {
    /// Address of the mapping, as a number: it is compared, never followed.
    start: usize,
    length: usize,
    file: Arc<File>,
    offset: u64,
}

/// A mapped part of a file, registered with its connection.
struct Segment {
    map: Mmap,
    segments: Arc<Segments>,
    _kept: Arc<dyn Send + Sync>,
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let start = self.map.as_ptr().addr();
        self.segments.parts.lock().unwrap_or_else(PoisonError::into_inner).retain(|part| part.start != start);
    }
}

impl Segments {
    /// Bytes of a file that the kernel will send when they are written to this connection. `kept` lives until they are.
    ///
    /// # Errors
    /// When the file cannot be mapped.
    pub fn bytes(
        self: &Arc<Self>,
        file: &Arc<File>,
        offset: u64,
        length: usize,
        kept: Arc<dyn Send + Sync>,
    ) -> io::Result<hyper::body::Bytes> {
        let map = sys::map(file, offset, length)?;
        let part = Part { start: map.as_ptr().addr(), length, file: Arc::clone(file), offset };
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
        Ok(hyper::body::Bytes::from_owner(Segment { map, segments: Arc::clone(self), _kept: kept }))
    }

    /// Which file and offset a slice stands for.
    fn find(&self, slice: &[u8]) -> Option<(Arc<File>, u64)> {
        let start = slice.as_ptr().addr();
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.iter().find(|part| (part.start..part.start + part.length).contains(&start))?;
        Some((Arc::clone(&part.file), part.offset + (start - part.start) as u64))
    }
}

/// Limits of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) idle: Duration,
    pub(super) slowest: u64,
}

/// A TCP connection with limits.
pub(super) struct Guarded {
    stream: TcpStream,
    segments: Arc<Segments>,
    sent: Arc<AtomicU64>,
    counts: Arc<Counts>,
    pace: Pace,
    timer: Pin<Box<Sleep>>,
    /// When the running period began, and what had been sent and whether anything had moved by then.
    period: Period,
}

#[derive(Clone, Copy)]
struct Period {
    began: Instant,
    sent: u64,
    moved: bool,
    /// Whether the client did not take what was sent at some moment of it.
    held: bool,
}

impl Guarded {
    pub(super) fn new(
        stream: TcpStream,
        segments: Arc<Segments>,
        sent: Arc<AtomicU64>,
        counts: Arc<Counts>,
        pace: Pace,
    ) -> Self {
        let began = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(began + pace.idle));
        let period = Period { began, sent: 0, moved: false, held: false };
        Self { stream, segments, sent, counts, pace, timer, period }
    }

    /// Ends the connection when a period passed in which nothing moved, or a waiting client took too little.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let sent = self.sent.load(Ordering::Relaxed);
            let least = self.pace.slowest.saturating_mul(self.period.began.elapsed().as_secs());
            let slow = self.period.held && sent - self.period.sent < least;
            if !self.period.moved || slow {
                Counts::add(&self.counts.expired);
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.period = Period { began: now, sent, moved: false, held: false };
            self.timer.as_mut().reset(now + self.pace.idle);
        }
        Ok(())
    }

    fn wrote(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(bytes)) => {
                self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
                self.period.moved |= bytes > 0;
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => {
                self.period.held = true;
                self.check(cx)?;
                Poll::Pending
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        file: &File,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        let mut place = i64::try_from(offset).map_err(io::Error::other)?;
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                let sent =
                    nix::sys::sendfile::sendfile64(&self.stream, file, Some(&mut place), length.min(STEP));
                sent.map_err(io::Error::from)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The file ends before its length: the answer cannot be completed.
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                other => return Poll::Ready(other),
            }
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match result {
            Poll::Ready(_) => self.period.moved = true,
            Poll::Pending => self.check(cx)?,
        }
        result
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let full = slices.iter().position(|slice| !slice.is_empty()).unwrap_or(0);
        let slices = &slices[full.min(slices.len())..];
        let part = slices.iter().enumerate().find_map(|(n, slice)| Some((n, self.segments.find(slice)?)));
        let result = match part {
            Some((0, (file, offset))) => self.poll_send(cx, &file, offset, slices[0].len()),
            Some((before, _)) => Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..before]),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        };
        self.wrote(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
