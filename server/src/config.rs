//! The configuration: one TOML file, then environment variables, then flags, each over the one before.
//!
//! `AEGIS_SERVER__LISTEN__PUBLIC` and `--set listen.public=…` name the same key. A key that nobody knows is an error, and a
//! value of the wrong type is never replaced by a default.

mod downloads;
mod following;
mod mail;
mod overlay;
mod place;
mod s3;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, downloads as files, engine, limits::address::Network, watch::LogFilter};
pub use downloads::{Downloads, Mirror};
pub use mail::{Mail, Smtp};
pub use place::Place;
pub use s3::S3;

/// What is not set by default, as comments of TOML.
pub const OPTIONAL: &str = include_str!("config/optional.toml");

/// Where the file is looked for without `--config`.
pub const DEFAULT_FILE: &str = "/etc/aegis-server/config.toml";

/// Where data is, unless it is told otherwise.
const STATE: &str = "/var/lib/aegis-server";

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Sockets.
    pub listen: Listen,
    /// Certificates; without them the public sockets speak plain HTTP.
    pub tls: Option<Tls>,
    /// What the site says of itself.
    pub site: Site,
    /// Where data is.
    pub storage: Storage,
    /// How files are sent.
    pub downloads: Downloads,
    /// How letters go out.
    pub mail: Mail,
    /// Bounds.
    pub limits: Bounds,
    /// The log on standard error.
    pub log: Log,
    /// Traces.
    pub otel: Otel,
}

/// Sockets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// For everyone: addresses with ports, or `systemd:NAME`.
    pub public: Vec<String>,
    /// For plain HTTP, as `public`: every request is sent on to the same path of `site.origin`, which must be `https`.
    pub redirect: Vec<String>,
    /// The folder from which `redirect` answers ACME's challenges (`.well-known/acme-challenge/TOKEN`), so that
    /// certificates can be renewed; what ACME clients call webroot.
    pub acme_webroot: Option<PathBuf>,
    /// For health and metrics; never reachable from outside. Empty: nowhere.
    pub watch: String,
    /// Networks of proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<String>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            public: vec!["127.0.0.1:8080".into()],
            redirect: Vec::new(),
            acme_webroot: None,
            watch: "127.0.0.1:9180".into(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// Certificates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Seconds for which browsers ask for TLS alone after they were here (RFC 6797); 0 ends that.
    #[serde(default = "year")]
    pub hsts_seconds: u64,
}

const fn year() -> u64 {
    365 * 24 * 3600
}

/// What the site says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// Scheme, host and port under which people reach it, without a slash at the end. Passkeys belong to this host for ever,
    /// and need a name with TLS, or `localhost`.
    pub origin: String,
    /// Who runs it, on the legal pages.
    pub operator: String,
    /// Where that person or company can be written to.
    pub contact: String,
    /// Its postal address, one line.
    pub address: String,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            origin: "http://localhost:8080".into(),
            operator: "The operator of this server".into(),
            contact: "postmaster@localhost".into(),
            address: "not given".into(),
        }
    }
}

/// Where data is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `sqlite:PATH` or `postgres://…`. A password in it is masked wherever the configuration is printed.
    pub database: String,
    /// Files for download: a folder, or `s3://BUCKET/PREFIX`.
    pub blobs: Place,
    /// Where buckets are, and who asks for them.
    pub s3: Option<S3>,
    /// A file with 64 hexadecimal digits that keys of this server are derived from.
    pub secret: PathBuf,
}

impl Default for Storage {
    fn default() -> Self {
        let state = Path::new(STATE);
        Self {
            database: format!("sqlite:{}", state.join("aegis.db").display()),
            blobs: Place::Folder(state.join("blobs")),
            s3: None,
            secret: state.join("secret"),
        }
    }
}

/// Bounds of connections and requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one address at a time.
    pub connections_per_address: usize,
    /// Seconds for a TLS handshake.
    pub handshake_seconds: u64,
    /// Seconds until the header of the next request is there.
    pub header_seconds: u64,
    /// Seconds without a byte in either direction.
    pub idle_seconds: u64,
    /// Bytes a second that a client must take.
    pub slowest_bytes_per_second: u64,
    /// Bytes of a header.
    pub header_bytes: usize,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Seconds for what is being answered when the server ends.
    pub drain_seconds: u64,
    /// Downloads of one address at a time.
    pub downloads_per_address: usize,
    /// Requests of one address for pages and routes of accounts in a minute; at least 1.
    pub accounts_per_minute: u32,
    /// Requests of one address for the rest of the API in an hour; at least 1.
    pub api_per_hour: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        let limits = engine::Limits::default();
        Self {
            connections: limits.connections,
            connections_per_address: limits.per_address,
            handshake_seconds: limits.handshake.as_secs(),
            header_seconds: limits.header.as_secs(),
            idle_seconds: limits.idle.as_secs(),
            slowest_bytes_per_second: limits.slowest,
            header_bytes: limits.header_bytes,
            body_bytes: 64 * 1024,
            drain_seconds: limits.drain.as_secs(),
            downloads_per_address: 4,
            accounts_per_minute: 120,
            api_per_hour: 600,
        }
    }
}

impl Bounds {
    /// As the engine takes them.
    pub fn engine(&self) -> engine::Limits {
        engine::Limits {
            connections: self.connections,
            per_address: self.connections_per_address,
            handshake: Duration::from_secs(self.handshake_seconds),
            header: Duration::from_secs(self.header_seconds),
            idle: Duration::from_secs(self.idle_seconds),
            slowest: self.slowest_bytes_per_second,
            header_bytes: self.header_bytes,
            drain: Duration::from_secs(self.drain_seconds),
            ..engine::Limits::default()
        }
    }
}

/// The log on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Which lines: a level, and levels by target, such as `info,access=off`. The variable `RUST_LOG` outranks it.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info,object_store=warn".into() }
    }
}

/// Traces of requests for OpenTelemetry; only in a program that was built with the feature `otel`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otel {
    /// A collector that takes OTLP over plain HTTP, on this machine or a network of one's own: `http://127.0.0.1:4318`.
    pub endpoint: Option<String>,
}

impl Otel {
    fn check(&self) -> Result<()> {
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        let host = endpoint.strip_prefix("http://");
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@', ' '])) {
            return Err(wrong("otel.endpoint", format!("`{endpoint}` is not http://HOST:PORT")));
        }
        if cfg!(not(feature = "otel")) {
            let hint = "leave it out, or build with: cargo build --release -p aegis-server --features otel";
            let problem = "is set, and this program was built without the feature `otel`";
            return Err(Error::Config {
                place: "otel.endpoint".into(),
                problem: problem.into(),
                hint: hint.into(),
            });
        }
        Ok(())
    }
}

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file; without it [`DEFAULT_FILE`], which may be missing.
    pub file: Option<PathBuf>,
    /// Environment variables, name and value.
    pub environment: Vec<(String, String)>,
    /// `key=value`, from flags.
    pub flags: Vec<String>,
}

impl Config {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Names file, variable or flag, and the key.
    pub fn read(sources: &Sources) -> Result<Self> {
        let (place, config): (_, Self) = overlay::read(sources)?;
        match config.check() {
            Err(Error::Config { place: key, problem, hint }) => {
                Err(Error::Config { place: format!("{place}: {key}"), problem, hint })
            }
            checked => checked.map(|()| config),
        }
    }

    /// What the public sockets are.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn public(&self) -> Result<Vec<engine::Address>> {
        sockets("listen.public", &self.listen.public)
    }

    /// What the sockets for plain HTTP beside TLS are.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn redirect(&self) -> Result<Vec<engine::Address>> {
        sockets("listen.redirect", &self.listen.redirect)
    }

    /// The socket for health and metrics.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn watch(&self) -> Result<Option<SocketAddr>> {
        let text = &self.listen.watch;
        if text.is_empty() {
            return Ok(None);
        }
        let address = text.parse().map_err(|_wrong| format!("`{text}` is not an address with a port"));
        address.map(Some).map_err(|problem| wrong("listen.watch", problem))
    }

    /// The networks of proxies.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn proxies(&self) -> Result<Vec<Network>> {
        let read = |text: &String| {
            text.parse().map_err(|_wrong| {
                let problem = format!("`{text}` is no address and no network, such as 10.0.0.0/8");
                wrong("listen.trusted_proxies", problem)
            })
        };
        self.listen.trusted_proxies.iter().map(read).collect()
    }

    /// How files are sent.
    ///
    /// # Errors
    /// When a mirror cannot be one.
    pub fn sending(&self) -> Result<files::Sending> {
        let (mirrors, at_a_time) = (self.downloads.mirrors()?, self.limits.downloads_per_address);
        Ok(files::Sending { redirect: self.downloads.redirect, mirrors, at_a_time })
    }

    fn check(&self) -> Result<()> {
        self.watch()?;
        self.proxies()?;
        self.mail.check()?;
        self.storage.check()?;
        self.sending()?;
        self.otel.check()?;
        LogFilter::check(&self.log.filter).map_err(|problem| wrong("log.filter", problem))?;
        if self.public()?.is_empty() {
            return Err(wrong("listen.public", "is empty".into()));
        }
        let origin = &self.site.origin;
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@', ' '])) {
            return Err(wrong(
                "site.origin",
                format!("`{origin}` is not a scheme, a host and perhaps a port"),
            ));
        }
        if !self.redirect()?.is_empty() && !origin.starts_with("https://") {
            let problem = format!("would lead to `{origin}` (site.origin), which is not https");
            return Err(wrong("listen.redirect", problem));
        }
        if self.listen.acme_webroot.is_some() && self.listen.redirect.is_empty() {
            return Err(wrong("listen.acme_webroot", "is read for listen.redirect, which is empty".into()));
        }
        let bounds = &self.limits;
        let nothing = [
            ("connections", bounds.connections),
            ("connections_per_address", bounds.connections_per_address),
            ("downloads_per_address", bounds.downloads_per_address),
            ("accounts_per_minute", bounds.accounts_per_minute as usize),
            ("api_per_hour", bounds.api_per_hour as usize),
        ];
        if let Some((name, _)) = nothing.into_iter().find(|(_, value)| *value == 0) {
            return Err(wrong(&format!("limits.{name}"), "is 0, so that nobody could be served".into()));
        }
        if bounds.connections > 1_000_000 {
            return Err(wrong("limits.connections", format!("is {}, more than 1000000", bounds.connections)));
        }
        if !(8192..=1_048_576).contains(&bounds.header_bytes) {
            return Err(wrong(
                "limits.header_bytes",
                format!("is {}, not 8192 to 1048576", bounds.header_bytes),
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Config {
    /// As TOML, with a password of the database masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.clone();
        shown.storage.database = masked(&self.storage.database);
        f.write_str(&toml::to_string_pretty(&shown).map_err(|_unprintable| fmt::Error)?)
    }
}

/// A database's address without its password.
pub fn masked(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.rsplit_once('@')?;
        let (name, _password) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:***@{host}"))
    });
    parts.unwrap_or_else(|| url.to_owned())
}

fn sockets(key: &str, texts: &[String]) -> Result<Vec<engine::Address>> {
    texts.iter().map(|text| text.parse().map_err(|problem| wrong(key, problem))).collect()
}

fn wrong(key: &str, problem: String) -> Error {
    let hint = "`aegis-server check-config --defaults` prints every key with its default".into();
    Error::Config { place: key.to_owned(), problem, hint }
}
