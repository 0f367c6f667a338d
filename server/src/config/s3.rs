//! Where buckets are, and the credentials that open them.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Place, Storage};
use crate::{
    Error, Result,
    downloads::{Access, Blobs, Settings},
    maintain,
};

/// Bytes of a file with credentials.
const CREDENTIALS: u64 = 16 * 1024;
/// Where systemd puts the credentials of a unit.
const DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where buckets are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// Scheme, host and port of the store; without one that of Amazon's region.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region, as the store names it.
    #[serde(default = "region")]
    pub region: String,
    /// A file with `aws_access_key_id = …` and `aws_secret_access_key = …`, for its owner alone, or `systemd:NAME` for a
    /// credential of the unit.
    pub credentials: String,
}

fn region() -> String {
    "us-east-1".into()
}

impl Storage {
    /// Without reading the credentials.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(endpoint) = self.s3.as_ref().and_then(|s3| s3.endpoint.as_deref()) {
            check_endpoint(endpoint)?;
        }
        match &self.blobs {
            Place::Bucket { .. } => self.s3().map(drop),
            Place::Folder(_) => Ok(()),
        }
    }

    fn s3(&self) -> Result<&S3> {
        self.s3.as_ref().ok_or_else(|| {
            let hint = "name a file with aws_access_key_id and aws_secret_access_key, or systemd:NAME";
            wrong("credentials", "is missing beside a bucket in storage.blobs".into(), hint)
        })
    }

    /// Where the files for download are; a bucket is not asked yet.
    ///
    /// # Errors
    /// [`Error::Config`], which names the key; [`Error::Io`] when folder or file cannot be used.
    pub fn open_blobs(&self) -> Result<Blobs> {
        let (name, prefix) = match &self.blobs {
            Place::Folder(folder) => return Blobs::in_folder(folder),
            Place::Bucket { name, prefix } => (name.clone(), prefix.clone()),
        };
        let s3 = self.s3()?;
        let access = access(&text(&s3.credentials)?)?;
        let (endpoint, region) = (s3.endpoint.clone(), s3.region.clone());
        Blobs::in_bucket(&Settings { name, prefix, endpoint, region, access })
    }

    /// A folder of this server's own data, which copies of the database are put into, and whose disk must not be full.
    pub fn folder(&self) -> PathBuf {
        let beside = match &self.blobs {
            Place::Folder(folder) => folder,
            Place::Bucket { .. } => maintain::embedded(&self.database).unwrap_or(&self.secret),
        };
        let parent = beside.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).to_owned()
    }
}

fn check_endpoint(endpoint: &str) -> Result<()> {
    let hint = "write such as https://s3.example.org, or an http address of this machine";
    let refused = |problem: &str| wrong("endpoint", format!("`{endpoint}` {problem}"), hint);
    let rest = protected(endpoint).map_err(refused)?;
    if rest.contains(['/', '?', '#', '@', ' ']) {
        return Err(refused("is not a scheme, a host and perhaps a port"));
    }
    Ok(())
}

/// What follows the scheme of an address whose traffic is protected: by TLS, or because it does not leave this machine.
///
/// # Errors
/// What it is instead.
pub(super) fn protected(address: &str) -> Result<&str, &'static str> {
    let (rest, plain) = match address.strip_prefix("https://") {
        Some(rest) => (rest, false),
        None => (address.strip_prefix("http://").ok_or("is no address of a server")?, true),
    };
    let host = rest.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    match (name, plain) {
        ("", _) => Err("names no host"),
        ("127.0.0.1" | "[::1]" | "localhost", true) | (_, false) => Ok(rest),
        _ => Err("is not protected on its way"),
    }
}

/// What the file or credential of the configuration has.
fn text(source: &str) -> Result<String> {
    let refused = |problem: &str, hint: String| {
        let problem = format!("names {source}, which {problem}");
        Error::Config { place: "storage.s3.credentials".into(), problem, hint }
    };
    let path = match source.strip_prefix("systemd:") {
        None => PathBuf::from(source),
        Some(name) => {
            let directory = env::var_os(DIRECTORY).ok_or_else(|| {
                refused("is not given to this process", format!("LoadCredential={name}:FILE in the unit"))
            })?;
            Path::new(&directory).join(name)
        }
    };
    let about = fs::metadata(&path).map_err(Error::io("reading", &path))?;
    // systemd guards its own files, with access lists that look like rights of a group.
    if !source.starts_with("systemd:") && about.permissions().mode() & 0o077 != 0 {
        return Err(refused("can be read by others than its owner", format!("chmod 600 {}", path.display())));
    }
    if about.len() > CREDENTIALS {
        return Err(refused("is too long for credentials", "name the file with the key alone".into()));
    }
    fs::read_to_string(&path).map_err(Error::io("reading", path))
}

/// Reads the section `[default]` of a file as Amazon's tools have it; without sections the whole file.
fn access(text: &str) -> Result<Access> {
    let mut chosen = true;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if line.starts_with('[') {
            chosen = line == "[default]";
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| chosen) else { continue };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match name.trim() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    match (id, secret) {
        (Some(id), Some(secret)) => Ok(Access { id, secret, token }),
        _ => Err(wrong(
            "credentials",
            "names a file that lacks aws_access_key_id or aws_secret_access_key".into(),
            "write both, each in a line of its own: NAME = VALUE",
        )),
    }
}

fn wrong(key: &str, problem: String, hint: &str) -> Error {
    Error::Config { place: format!("storage.s3.{key}"), problem, hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use aegis_core::report::{Hint, render};

    use super::*;
    use crate::config::{Config, OPTIONAL};

    #[test]
    fn credentials_are_those_of_the_default_section_and_never_shown() {
        let key = "aws_access_key_id = AKIA\naws_secret_access_key=s=cret\n";
        for text in
            [key.to_owned(), format!("[other]\naws_access_key_id = no\n[default]\n# a\n{key}region = x\n")]
        {
            let access = access(&text).unwrap();
            assert_eq!(
                (access.id.as_str(), access.secret.as_str(), &access.token),
                ("AKIA", "s=cret", &None)
            );
            assert!(!format!("{access:?}").contains("cret"));
        }
        assert_eq!(access(&format!("{key}aws_session_token = t")).unwrap().token.unwrap(), "t");
        for text in [
            "",
            "aws_access_key_id = a",
            &format!("[other]\n{key}"),
            "aws_access_key_id=a\naws_secret_access_key=",
        ] {
            let told = render(&access(text).unwrap_err());
            assert!(told.contains("storage.s3.credentials") && told.contains("next:"), "{told}");
        }
    }

    #[test]
    fn a_bucket_needs_credentials_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut storage =
            Storage { blobs: Place::try_from("s3://aegis/a".to_owned()).unwrap(), ..Storage::default() };
        let told = render(&storage.check().unwrap_err());
        assert!(told.contains("storage.s3.credentials: is missing") && told.contains("next:"), "{told}");
        assert!(storage.open_blobs().is_err());
        let credentials = path.display().to_string();
        storage.s3 = Some(S3 { endpoint: None, region: region(), credentials });
        storage.check().unwrap();
        assert!(matches!(storage.open_blobs(), Err(Error::Io { .. })));
        fs::write(&path, "aws_access_key_id=a\naws_secret_access_key=b\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(storage.open_blobs().unwrap_err().hint().unwrap().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(storage.open_blobs().unwrap(), Blobs::Bucket(_)));
    }

    #[test]
    fn only_a_store_on_this_machine_may_be_unprotected() {
        for good in [
            "https://s3.example.org",
            "https://s3.example.org:8443",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
        ] {
            check_endpoint(good).unwrap();
        }
        for bad in [
            "s3.example.org",
            "https://",
            "https://a/b",
            "https://me@a",
            "http://s3.example.org",
            "http://127.0.0.1.example",
        ] {
            let error = check_endpoint(bad).unwrap_err();
            assert!(error.to_string().contains("storage.s3.endpoint"), "{error}");
        }
    }

    #[test]
    fn what_is_printed_as_optional_can_be_set() {
        let lines = OPTIONAL.lines().filter_map(|line| line.strip_prefix("# "));
        let text: String =
            lines.filter(|line| !line.ends_with(':')).map(|line| format!("{line}\n")).collect();
        let config: Config = toml::from_str(&text).unwrap();
        config.check().unwrap();
        assert!(config.tls.is_some() && config.mail.smtp.is_some() && config.storage.s3.is_some());
        assert_eq!(config.downloads.mirrors.len(), 1);
    }
}
