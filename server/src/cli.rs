//! The command line.

mod account;
mod audit;
mod secret;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::{
    key::PublicKey,
    report::{self, exit},
};
use clap::{Args, Parser, Subcommand};
use serde_json::json;

use crate::{
    Clock, Error, Result, api,
    audit::{Entry, Log},
    config::{self, Config, Sources},
    downloads::{self, Catalogue, Links},
    maintain,
    secret::{Purpose, Secret},
    serve,
    store::{self, Store},
    watch::LogFilter,
};

/// Prints a line for a person or program. A reader that closed the pipe has what it wanted.
macro_rules! say {
    ($($part:tt)*) => {{ writeln!(std::io::stdout(), $($part)*).ok(); }};
}
use say;

/// The account that `demo` makes.
const DEMO_OWNER: &str = "owner@example.org";

/// Site, accounts, API and downloads of Aegis OS in one program
#[derive(Parser)]
#[command(name = "aegis-server", version, max_term_width = 80)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args)]
struct Common {
    /// Configuration [default: /etc/aegis-server/config.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One key of it, over file and environment
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Serves until it is ended by SIGTERM; SIGHUP reads the configuration again
    Serve,
    /// Shows the whole site on this machine, with data in a folder of its own
    Demo {
        /// Where the data is kept
        #[arg(long, value_name = "DIR", default_value = "target/aegis/demo")]
        data: PathBuf,
        /// Port on 127.0.0.1; 0 is any free one
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Publishes a directory that `aegis iso build` left
    Publish {
        /// The directory
        directory: PathBuf,
        /// Public keys of releases, such as release.pub.json
        #[arg(long, required = true, value_name = "FILE")]
        keys: Vec<PathBuf>,
    },
    /// Makes a link that opens one file for a time
    Link {
        /// Its path, as the site shows it
        path: String,
        /// How long it opens
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(i64).range(1..=8760))]
        hours: i64,
    },
    /// Brings the database's schema up to date; a copy is made first
    Migrate,
    /// Writes a copy of the database, while it is served
    Backup {
        /// The new file
        to: PathBuf,
    },
    /// Puts a copy in the place of the database; the former one is kept
    Restore {
        /// The copy
        from: PathBuf,
    },
    /// Reads the configuration and prints it, without secrets
    CheckConfig {
        /// Print the defaults instead
        #[arg(long)]
        defaults: bool,
    },
    /// Helps a person with an account, beside a running server
    #[command(subcommand)]
    Account(account::Verb),
    /// Checks the audit log, and copies it for others to check
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Prints the description of the API (OpenAPI 3.1)
    Openapi,
    /// Makes the secret that keys of this server are derived from, or rotates it
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Secret {
        #[command(subcommand)]
        verb: Option<secret::Verb>,
        /// The new file
        #[arg(required = true)]
        file: Option<PathBuf>,
    },
}

/// Parses the command line, does what it says, and returns the exit code.
///
/// # Errors
/// What the verb meets.
pub fn run() -> Result<u8> {
    let Cli { common, verb } = Cli::parse();
    let log = LogFilter::start();
    let json = common.json;
    match verb {
        Verb::CheckConfig { defaults: true } => {
            say!("{}\n\n{}", Config::default().to_string().trim_end(), config::OPTIONAL.trim_end());
            Ok(exit::OK)
        }
        Verb::Openapi => {
            say!("{}", api::openapi().trim_end());
            Ok(exit::OK)
        }
        Verb::Secret { verb: None, file: Some(file) } => {
            Secret::generate(&file)?;
            done(json, "secret", &file)
        }
        Verb::Demo { data, port } => {
            let config = serve::demo(&data, port)?;
            block_on(async {
                publish_builds(&config).await?;
                let origin = config.site.origin.clone();
                let shown = |started: &serve::Started| {
                    say!("open {origin}");
                    announce(started);
                };
                serve::run(|| Ok(config.clone()), Some(DEMO_OWNER), &log, shown).await
            })
        }
        verb => {
            let environment = std::env::vars_os();
            let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            };
            let environment = environment.filter_map(text).collect();
            let sources = Sources { file: common.config, environment, flags: common.set };
            if matches!(verb, Verb::Serve) {
                return block_on(serve::run(|| Config::read(&sources), None, &log, announce));
            }
            configured(verb, Config::read(&sources)?, json)
        }
    }
}

fn configured(verb: Verb, config: Config, json: bool) -> Result<u8> {
    match verb {
        Verb::CheckConfig { .. } => {
            say!("{}", config.to_string().trim_end());
            Ok(exit::OK)
        }
        Verb::Publish { directory, keys } => block_on(publish(&config, &directory, &keys, json)),
        Verb::Link { path, hours } => block_on(link(&config, &path, hours, json)),
        Verb::Migrate => block_on(async {
            let copies = serve::copies(&config);
            let store = store::migrate(&config.storage.database, &Clock::default(), &copies).await?;
            say!("{}: the schema is up to date", store.kind());
            Ok(exit::OK)
        }),
        Verb::Backup { to } => block_on(async {
            let store = store::open(&config.storage.database, &Clock::default()).await?;
            store.backup(&to).await?;
            note(&config, store, "database.backup").await;
            done(json, "backup", &to)
        }),
        Verb::Restore { from } => block_on(async {
            let (copies, clock) = (serve::copies(&config), Clock::default());
            let kept = maintain::restore(&config.storage.database, &from, &copies, &clock).await?;
            if let Some(kept) = kept {
                say!("the former database is kept as {}", kept.display());
            }
            // A copy may be of an older schema.
            let store = store::migrate(&config.storage.database, &clock, &copies).await?;
            note(&config, store, "database.restore").await;
            done(json, "restored", &from)
        }),
        Verb::Account(verb) => block_on(account::run(verb, &config, json)),
        Verb::Audit(verb) => block_on(audit::run(verb, &config, json)),
        Verb::Secret { verb: Some(verb), .. } => block_on(secret::run(&verb, &config, json)),
        // Done before the configuration is read.
        Verb::Serve | Verb::Demo { .. } | Verb::Openapi | Verb::Secret { .. } => Ok(exit::OK),
    }
}

/// Writes an act of the operator into the audit log. What was done stays done when the log cannot be written, as with a
/// full disk or without the secret: then a line on standard error says so.
async fn note(config: &Config, store: Arc<dyn Store>, act: &str) {
    let noted = async {
        let signer = serve::signer(config, &Secret::read(&config.storage.secret)?)?;
        let entry = Entry::new(Clock::default().now(), "operator", act, "database");
        Log::new(store, signer).append(&[entry]).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(error = report::render(&error), act, "not in the audit log");
    }
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Error::io("starting", "the threads of the server"))?.block_on(work)
}

fn done(json: bool, what: &str, path: &Path) -> Result<u8> {
    if json {
        say!("{}", json!({ "done": what, "file": path }));
    } else {
        say!("{what}: {}", path.display());
    }
    Ok(exit::OK)
}

/// What `serve` and `demo` print when they are ready.
fn announce(started: &serve::Started) {
    for address in &started.public {
        say!("serving {}://{address}", started.scheme);
    }
    if let Some(address) = started.watch {
        say!("health and metrics: http://{address}");
    }
    for address in &started.redirect {
        say!("sending on from http://{address}");
    }
    if let Some((address, password)) = &started.owner {
        say!("sign in at /account as {address}, once, with the password {password}");
    }
}

async fn publish(config: &Config, directory: &Path, keys: &[PathBuf], json: bool) -> Result<u8> {
    let keys: Vec<_> = keys.iter().map(|path| read_keys(path)).collect::<Result<Vec<_>>>()?.concat();
    let clock = Clock::default();
    let store = store::open(&config.storage.database, &clock).await?;
    let blobs = config.storage.open_blobs()?;
    let files = downloads::publish(&*store, &blobs, &clock, directory, &keys).await?;
    let signer = serve::signer(config, &Secret::read(&config.storage.secret)?)?;
    let entries = files.iter().filter(|file| file.is_image()).map(|file| {
        let entry = Entry::new(clock.now(), "operator", "release.publish", file.edition.id());
        entry.with("version", file.version.as_str()).with("sha256", file.blob.digest.to_string().as_str())
    });
    Log::new(store, signer).append(&entries.collect::<Vec<_>>()).await?;
    for file in &files {
        if json {
            say!(
                "{}",
                json!({ "path": file.path(), "size": file.blob.size, "sha256": file.blob.digest.to_string() })
            );
        } else {
            say!("{} {} bytes", file.path(), file.blob.size);
        }
    }
    Ok(exit::OK)
}

/// Publishes the media that were built in this folder, so that a demonstration has something to download.
async fn publish_builds(config: &Config) -> Result<()> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let keys = home.join(".config/aegis/keys/release.pub.json");
    let (Ok(keys), Ok(builds)) = (read_keys(&keys), std::fs::read_dir("target/aegis")) else { return Ok(()) };
    let clock = Clock::default();
    let store = store::open(&config.storage.database, &clock).await?;
    let blobs = config.storage.open_blobs()?;
    for build in builds.flatten().map(|entry| entry.path()).filter(|path| path.join("manifest.json").exists())
    {
        match downloads::publish(&*store, &blobs, &clock, &build, &keys).await {
            Ok(files) => say!("{} files of {} can be downloaded", files.len(), build.display()),
            // Rebuilt since, or by other keys: the demonstration goes on without it.
            Err(error) => eprintln!("{}", report::render(&error)),
        }
    }
    Ok(())
}

async fn link(config: &Config, path: &str, hours: i64, json: bool) -> Result<u8> {
    let clock = Clock::default();
    let store = store::open(&config.storage.database, &clock).await?;
    let catalogue = Arc::new(Catalogue::default());
    catalogue.refresh(&*store).await?;
    if catalogue.at(path).is_none() {
        return Err(Error::Config {
            place: path.to_owned(),
            problem: "is no published file".into(),
            hint: "give a path as `aegis-server publish` prints it, such as /download/gamer/1.0.0/NAME"
                .into(),
        });
    }
    let secret = Secret::read(&config.storage.secret)?;
    let signed = Links::new(&secret.key(Purpose::Links, clock.now())?).sign(path, clock.now() + hours * 3600);
    let link = format!("{}{signed}", config.site.origin);
    if json {
        say!("{}", json!({ "link": link }));
    } else {
        say!("{link}");
    }
    Ok(exit::OK)
}

/// A public key, or an array of them.
fn read_keys(path: &Path) -> Result<Vec<PublicKey>> {
    let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
    let many =
        serde_json::from_slice(&bytes).or_else(|_one| serde_json::from_slice(&bytes).map(|key| vec![key]));
    many.map_err(|error| Error::Config {
        place: path.display().to_string(),
        problem: format!("is no public key: {error}"),
        hint: "give release.pub.json, which `aegis keys generate` makes".into(),
    })
}
