//! A body made of parts of one file, on this machine or in a bucket, and the text between them.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use aegis_core::report;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Bytes;
use tokio::task::JoinHandle;

use super::{
    Span,
    blobs::{Blob, Bucket},
};
use crate::{Error, engine::Segments, sys};

/// Bytes that are read at a time where the kernel cannot send the file by itself.
const CHUNK: usize = 256 * 1024;

/// Bytes that a bucket is asked for at a time. A body holds those that are written and those that are on their way.
const ASKED: u64 = 1024 * 1024;

/// Where the bytes are.
pub(super) enum Source {
    /// A file, which the kernel sends by itself where a connection has segments.
    File(Arc<File>, Option<Arc<Segments>>),
    /// A blob of a bucket.
    Bucket(Arc<Bucket>, Blob),
}

/// What comes next.
pub(super) enum Piece {
    /// A text.
    Text(Bytes),
    /// A part of the file.
    Part(Span),
}

/// The body.
pub(super) struct FileBody {
    source: Source,
    pieces: VecDeque<Piece>,
    left: u64,
    pool: Arc<Pool>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    kept: Arc<dyn Send + Sync>,
}

/// One buffer that is used again when the connection has taken it.
#[derive(Default)]
struct Pool(Mutex<Option<Vec<u8>>>);

struct Chunk {
    buffer: Vec<u8>,
    filled: usize,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        *self.pool.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(buffer);
    }
}

impl Pool {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.unwrap_or_else(|| vec![0; CHUNK])
    }
}

impl FileBody {
    /// A body. `kept` lives until all was written: hyper drops a body when it has its last bytes, which is before that.
    pub(super) fn new(source: Source, pieces: Vec<Piece>, kept: Arc<dyn Send + Sync>) -> Self {
        let left = pieces.iter().map(Piece::length).sum();
        Self { source, pieces: pieces.into(), left, pool: Arc::default(), reading: None, kept }
    }

    /// A body from a bucket that has answered with the first bytes; `None` when it does not have the blob.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn from_bucket(
        bucket: Arc<Bucket>,
        blob: Blob,
        pieces: Vec<Piece>,
        kept: Arc<dyn Send + Sync>,
    ) -> Result<Option<Self>, Error> {
        let mut body = Self::new(Source::Bucket(Arc::clone(&bucket), blob), pieces, kept);
        if let Some((place, span)) = body.first_part() {
            let asked = ahead(span);
            let Some(bytes) = bucket.read(&blob, asked).await? else { return Ok(None) };
            body.pieces[place] = Piece::Text(bytes);
            if asked.last < span.last {
                body.pieces.insert(place + 1, Piece::Part(Span { first: asked.last + 1, ..span }));
            }
        }
        Ok(Some(body))
    }

    fn first_part(&self) -> Option<(usize, Span)> {
        self.pieces.iter().enumerate().find_map(|(place, piece)| match piece {
            Piece::Part(span) => Some((place, *span)),
            Piece::Text(_) => None,
        })
    }

    /// The next bytes of a part.
    fn read(&mut self, span: Span) -> Poll<io::Result<Bytes>> {
        match &self.source {
            Source::File(file, _) => {
                let file = Arc::clone(file);
                self.read_file(file, span)
            }
            Source::Bucket(bucket, blob) => {
                self.reading = Some(tokio::spawn(fetch(Arc::clone(bucket), *blob, ahead(span))));
                Poll::Pending
            }
        }
    }

    /// What is in memory at once, the rest by a thread that may wait for the disk.
    fn read_file(&mut self, file: Arc<File>, span: Span) -> Poll<io::Result<Bytes>> {
        let wanted = usize::try_from(span.length()).map_or(CHUNK, |length| length.min(CHUNK));
        let mut buffer = self.pool.take();
        match sys::read_cached(&file, &mut buffer[..wanted], span.first) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(filled) => {
                Poll::Ready(Ok(Bytes::from_owner(Chunk { buffer, filled, pool: Arc::clone(&self.pool) })))
            }
            // Not in memory, or a file system that cannot say: a thread asks without conditions.
            Err(_) => {
                let pool = Arc::clone(&self.pool);
                self.reading = Some(tokio::task::spawn_blocking(move || {
                    let filled = file.read_at(&mut buffer[..wanted], span.first)?;
                    if filled == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    Ok(Bytes::from_owner(Chunk { buffer, filled, pool }))
                }));
                Poll::Pending
            }
        }
    }

    fn advance(&mut self, span: Span, bytes: u64) {
        if bytes < span.length() {
            self.pieces.push_front(Piece::Part(Span { first: span.first + bytes, ..span }));
        }
    }

    /// Asks a bucket for what comes next while what came is written.
    fn look_ahead(&mut self) {
        if let (Source::Bucket(bucket, blob), Some(Piece::Part(span))) = (&self.source, self.pieces.front()) {
            self.reading = Some(tokio::spawn(fetch(Arc::clone(bucket), *blob, ahead(*span))));
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(piece) = self.pieces.pop_front() else { return Poll::Ready(None) };
        let span = match piece {
            Piece::Text(text) => return Poll::Ready(Some(Ok(text))),
            Piece::Part(span) => span,
        };
        if let (Source::File(file, Some(segments)), Ok(length)) =
            (&self.source, usize::try_from(span.length()))
        {
            return Poll::Ready(Some(segments.bytes(file, span.first, length, Arc::clone(&self.kept))));
        }
        let mut read = if self.reading.is_some() { Poll::Pending } else { self.read(span) };
        if let Some(reading) = &mut self.reading {
            match Pin::new(reading).poll(cx) {
                Poll::Pending => {
                    self.pieces.push_front(Piece::Part(span));
                    return Poll::Pending;
                }
                Poll::Ready(done) => {
                    self.reading = None;
                    read = Poll::Ready(done.map_err(io::Error::other).flatten());
                }
            }
        }
        let read = ready!(read);
        if let Ok(bytes) = &read {
            self.advance(span, bytes.len() as u64);
            self.look_ahead();
        }
        Poll::Ready(Some(read))
    }
}

/// So much of a part as a bucket is asked for at a time.
fn ahead(span: Span) -> Span {
    Span { last: span.last.min(span.first + ASKED - 1), ..span }
}

async fn fetch(bucket: Arc<Bucket>, blob: Blob, span: Span) -> io::Result<Bytes> {
    match bucket.read(&blob, span).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(io::ErrorKind::NotFound.into()),
        Err(error) => {
            let error = report::render(&error);
            tracing::warn!(error, "a download from object storage ends before its end");
            Err(io::Error::other(error))
        }
    }
}

impl Drop for FileBody {
    /// What is on its way from a bucket is for nobody then.
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

impl Piece {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Part(span) => span.length(),
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = ready!(self.poll_bytes(cx));
        if let Some(Ok(bytes)) = &next {
            self.left -= bytes.len() as u64;
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;

    use super::*;

    async fn collect(segments: Option<Arc<Segments>>, cut: Option<u64>) -> Result<Vec<u8>, io::Error> {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..700_001_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        file.write_all(&content).unwrap();
        if let Some(cut) = cut {
            file.set_len(cut).unwrap();
        }
        let spans = [
            Span { first: 0, last: 0 },
            Span { first: 5, last: 699_999 },
            Span { first: 700_000, last: 700_000 },
        ];
        let pieces =
            spans.into_iter().flat_map(|span| [Piece::Text(Bytes::from_static(b"--")), Piece::Part(span)]);
        let source = Source::File(Arc::new(file), segments);
        let body = FileBody::new(source, pieces.collect(), Arc::new(()));
        assert_eq!(body.size_hint().exact(), Some(6 + 1 + 699_995 + 1));
        let found = body.collect().await?.to_bytes().to_vec();
        let mut expected = Vec::new();
        for span in spans {
            expected.extend_from_slice(b"--");
            expected.extend_from_slice(
                &content[usize::try_from(span.first).unwrap()..][..usize::try_from(span.length()).unwrap()],
            );
        }
        assert!(found == expected);
        Ok(found)
    }

    #[tokio::test]
    async fn parts_come_whole_and_in_order() {
        collect(None, None).await.unwrap();
        collect(Some(Arc::default()), None).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        assert!(collect(None, Some(100)).await.is_err());
    }
}
