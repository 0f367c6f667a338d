//! A bucket of object storage that speaks S3, in which blobs have the names that they have in a folder.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aegis_core::hex::Digest;
use hyper::{Method, body::Bytes};
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    list::{PaginatedListOptions, PaginatedListStore},
    path::Path,
    signer::{SignedUrlOptions, Signer},
};
use tokio::time::timeout;

use super::{Blob, fault::told};
use crate::{Error, Result, downloads::Span};

/// How long a client may wait until the bucket answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// One request, with everything that it sends; a part of an upload has 8 MiB.
const REQUEST: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(3);
/// How long a signed address opens. It must only be begun in that time.
const OPENS: Duration = Duration::from_secs(300);
/// For how long it is believed that a file is there, so that not every redirect asks.
const BELIEVED: Duration = Duration::from_secs(30);

/// What opens a bucket.
#[derive(Clone)]
pub struct Access {
    /// Name of the key.
    pub id: String,
    /// The key.
    pub secret: String,
    /// What comes with a key that is for a time.
    pub token: Option<String>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

/// Where a bucket is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// What the names of its blobs begin with; may be empty.
    pub prefix: String,
    /// Scheme, host and port of the store; without one that of Amazon's region.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// Who asks.
    pub access: Access,
}

/// A bucket.
pub struct Bucket {
    pub(super) store: AmazonS3,
    prefix: Path,
    seen: Mutex<HashMap<Digest, Instant>>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.store)
    }
}

impl Bucket {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Config`] when the settings cannot be those of a bucket.
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let backoff = BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() };
        let retry = RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(20) };
        // The configuration allows `http` on this machine alone.
        let options = ClientOptions::new().with_allow_http(true).with_timeout(REQUEST);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.name)
            .with_region(&settings.region)
            .with_access_key_id(&settings.access.id)
            .with_secret_access_key(&settings.access.secret)
            .with_client_options(options.with_connect_timeout(CONNECT))
            .with_retry(retry);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(token) = &settings.access.token {
            builder = builder.with_token(token);
        }
        let wrong = |problem: String| Error::Config {
            place: "storage.blobs".into(),
            problem,
            hint: "write it as s3://BUCKET/PREFIX, and where the store is into [storage.s3]".into(),
        };
        let store = builder.build().map_err(|error| wrong(format!("cannot be used: {error}")))?;
        let prefix = Path::parse(&settings.prefix).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { store, prefix, seen: Mutex::default() })
    }

    /// Whether a blob is there as a whole.
    ///
    /// # Errors
    /// When the bucket does not answer, or has something else under this name.
    pub async fn has(&self, blob: &Blob) -> Result<bool> {
        let known = self.seen().get(&blob.digest).is_some_and(|seen| seen.elapsed() < BELIEVED);
        if known {
            return Ok(true);
        }
        let found = match self.in_time(self.store.head(&self.path(&blob.digest))).await {
            Ok(found) => found,
            Err(Found::Nothing) => return Ok(false),
            Err(Found::Fault(error)) => return Err(error),
        };
        same_size(blob, found.size)?;
        self.seen().insert(blob.digest, Instant::now());
        Ok(true)
    }

    /// A part of a blob; `None` when the blob is not there.
    ///
    /// # Errors
    /// When the bucket does not answer, or has something else under this name.
    pub async fn read(&self, blob: &Blob, span: Span) -> Result<Option<Bytes>> {
        let path = self.path(&blob.digest);
        let options = GetOptions { range: Some((span.first..span.last + 1).into()), ..GetOptions::default() };
        let read = async {
            let found = self.store.get_opts(&path, options).await?;
            let size = found.meta.size;
            found.bytes().await.map(|bytes| (size, bytes))
        };
        let (size, bytes) = match self.in_time(read).await {
            Ok(read) => read,
            Err(Found::Nothing) => return Ok(None),
            Err(Found::Fault(error)) => return Err(error),
        };
        same_size(blob, size)?;
        if bytes.len() as u64 != span.length() {
            return Err(Error::Blobs { doing: "reading", problem: "the answer is too short".into() });
        }
        Ok(Some(bytes))
    }

    /// An address that opens a blob for a few minutes, under a name and a type of content.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub async fn link(&self, blob: &Blob, disposition: &str, kind: &str) -> Result<String> {
        let asked = [("response-content-disposition", disposition), ("response-content-type", kind)];
        let options = SignedUrlOptions::new().with_query(asked);
        let signed = self.store.signed_url_opts(Method::GET, &self.path(&blob.digest), OPENS, &options).await;
        signed.map(Into::into).map_err(|error| told("signing an address of", &error))
    }

    /// Asks for the names of no blob, which shows address, bucket and credentials.
    pub(super) async fn probe(&self) -> Result<()> {
        let options = PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() };
        let asked = self.prefix.clone().join("probe").to_string();
        match self.in_time(self.store.list_paginated(Some(&asked), options)).await {
            Ok(_) => Ok(()),
            Err(Found::Nothing) => {
                Err(Error::Blobs { doing: "asking", problem: "the bucket is not there".into() })
            }
            Err(Found::Fault(error)) => Err(error),
        }
    }

    pub(super) fn path(&self, digest: &Digest) -> Path {
        super::path(digest).split('/').fold(self.prefix.clone(), Path::join)
    }

    async fn in_time<T>(&self, work: impl Future<Output = object_store::Result<T>>) -> Result<T, Found> {
        match timeout(PATIENCE, work).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(object_store::Error::NotFound { .. })) => Err(Found::Nothing),
            Ok(Err(error)) => Err(Found::Fault(told("asking", &error))),
            Err(_elapsed) => {
                let problem = "it does not answer in time".into();
                Err(Found::Fault(Error::Blobs { doing: "asking", problem }))
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Instant>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no answer.
enum Found {
    Nothing,
    Fault(Error),
}

/// A bucket that somebody else wrote to is not believed.
fn same_size(blob: &Blob, size: u64) -> Result<()> {
    if size == blob.size {
        return Ok(());
    }
    Err(Error::Corrupt {
        what: format!("the blob {} of the bucket", blob.digest),
        problem: format!("has {size} bytes instead of {}", blob.size),
    })
}
