//! Taking a file into a bucket, in parts: it can be seen when all of them have arrived, or not at all.

use std::{
    io::{self, Read, Seek, SeekFrom},
    time::Duration,
};

use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UploadPart,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::timeout,
};

use super::{Blob, Bucket, Hash, compare, fault::told, measure};
use crate::{Error, Result};

/// Bytes of a part; a store takes 10,000 of them.
const PART: usize = 8 * 1024 * 1024;
/// Parts under way at a time.
const LANES: usize = 3;

/// Time that the parts of an upload which is given up have to end.
const SETTLE: Duration = Duration::from_secs(10);

/// Parts that are under way.
type Lanes = JoinSet<object_store::Result<()>>;

const UPLOADING: &str = "uploading to";

/// Reads the source twice: for its name, and for its bytes. Each request is signed with the SHA-256 of its bytes, which the
/// store compares, and the upload ends only when what was read has the digest of its name.
pub(super) async fn add(
    bucket: &Bucket,
    mut source: impl Read + Seek,
    expected: Option<Blob>,
) -> Result<Blob> {
    let mut stop = Stop::listen()?;
    let blob = rewind(&mut source).and_then(|()| measure(&mut source, |_| Ok(()))).map_err(unreadable)?;
    compare(blob, expected)?;
    if bucket.has(&blob).await? {
        return Ok(blob);
    }
    // Some stores make a bucket of any name that is written to.
    bucket.probe().await?;
    rewind(&mut source).map_err(unreadable)?;
    if usize::try_from(blob.size).is_ok_and(|size| size <= PART) {
        tokio::select! {
            sent = at_once(bucket, source, blob) => sent?,
            told = stop.told() => return Err(told),
        }
    } else {
        in_parts(bucket, source, blob, &mut stop).await?;
    }
    if bucket.has(&blob).await? {
        return Ok(blob);
    }
    Err(Error::Blobs { doing: UPLOADING, problem: "what it took cannot be seen in it".into() })
}

async fn at_once(bucket: &Bucket, mut source: impl Read, blob: Blob) -> Result<()> {
    let mut hash = Hash::default();
    let bytes = part(&mut source, &mut hash).map_err(unreadable)?;
    compare(hash.blob(), Some(blob))?;
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match bucket.store.put_opts(&bucket.path(&blob.digest), bytes.into(), options).await {
        // Another process was faster, with the same bytes.
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(told(UPLOADING, &error)),
    }
}

async fn in_parts(bucket: &Bucket, source: impl Read, blob: Blob, stop: &mut Stop) -> Result<()> {
    let begun = bucket.store.put_multipart(&bucket.path(&blob.digest)).await;
    let mut upload = begun.map_err(|error| told(UPLOADING, &error))?;
    let mut lanes = JoinSet::new();
    let sent = tokio::select! {
        sent = send(&mut *upload, &mut lanes, source, blob) => sent,
        told = stop.told() => Err(told),
    };
    let ended = match sent {
        Ok(()) => upload.complete().await.map(drop).map_err(|error| told(UPLOADING, &error)),
        failed => failed,
    };
    settle(&mut lanes).await;
    // Parts that belong to nothing are paid for all the same.
    if ended.is_err()
        && let Err(error) = upload.abort().await
    {
        tracing::warn!(error = %told("removing parts from", &error), "an upload that failed left parts");
    }
    ended
}

async fn send(
    upload: &mut dyn MultipartUpload,
    lanes: &mut Lanes,
    mut source: impl Read,
    blob: Blob,
) -> Result<()> {
    let mut hash = Hash::default();
    loop {
        let bytes = part(&mut source, &mut hash).map_err(unreadable)?;
        if bytes.is_empty() {
            break;
        }
        while lanes.len() >= LANES {
            arrived(lanes).await?;
        }
        let sent: UploadPart = upload.put_part(PutPayload::from(bytes));
        lanes.spawn(sent);
    }
    while !lanes.is_empty() {
        arrived(lanes).await?;
    }
    compare(hash.blob(), Some(blob))
}

async fn arrived(lanes: &mut Lanes) -> Result<()> {
    match lanes.join_next().await {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => Err(told(UPLOADING, &error)),
        Some(Err(_ended)) => Err(Error::Blobs { doing: UPLOADING, problem: "a part was given up".into() }),
    }
}

/// Lets parts that are under way end: one that arrives after its upload was removed may stay (Amazon S3 API,
/// `AbortMultipartUpload`). What takes longer than [`SETTLE`] is dropped.
async fn settle(lanes: &mut Lanes) {
    let ended = async { while lanes.join_next().await.is_some() {} };
    if timeout(SETTLE, ended).await.is_err() {
        lanes.shutdown().await;
    }
}

/// That the person at the terminal, or the system, wants the program to end. Listened for from the start: who has listened
/// once is not ended by the signal any more.
struct Stop {
    int: Signal,
    term: Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(Error::io("waiting for", "signals"));
        Ok(Self { int: listen(SignalKind::interrupt())?, term: listen(SignalKind::terminate())? })
    }

    async fn told(&mut self) -> Error {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
        Error::Blobs { doing: UPLOADING, problem: "it was interrupted".into() }
    }
}

/// The next [`PART`] bytes, fewer at the end.
fn part(source: &mut impl Read, hash: &mut Hash) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(PART as u64).read_to_end(&mut bytes)?;
    hash.update(&bytes);
    Ok(bytes)
}

fn rewind(source: &mut impl Seek) -> io::Result<()> {
    source.seek(SeekFrom::Start(0)).map(drop)
}

fn unreadable(source: io::Error) -> Error {
    Error::Io { doing: "reading", what: "a file that was to be taken in".into(), source }
}
