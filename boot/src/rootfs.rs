//! The Debian root file system as a tar archive, by mmdebstrap, from the content store alone.

use std::{path::PathBuf, process::Command};

use crate::{
    cache::{Cache, Key},
    error::{Error, Result},
    host,
    lock::{Lock, Use},
    sources::SUITE,
    store::{PackageRequest, Store},
};

/// Documentation is dropped; copyright files are a duty and stay.
const DPKG_OPTIONS: [&str; 5] = [
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
];

/// Makes `base.tar`, or finds it made. The second value is true when it was found.
pub fn make(cache: &Cache, store: &Store, lock: &Lock, request: &PackageRequest) -> Result<(PathBuf, bool)> {
    let names: Vec<&str> = request.names(Use::Rootfs).collect();
    let mut key = Key::new("base").with(lock.epoch.to_le_bytes()).with(names.join(" "));
    for text in DPKG_OPTIONS.iter().copied().chain(request.architectures.iter().map(String::as_str)) {
        key = key.with(text);
    }
    for package in lock.uses(Use::Rootfs) {
        key = key.with(package.sha256.0);
    }
    cache.stage("base", key, |result| {
        let work = tempfile::Builder::new()
            .prefix("repository-")
            .tempdir_in(cache.directory("work")?)
            .map_err(Error::io("creating a directory for", "the package repository"))?;
        store.repository(lock.uses(Use::Rootfs), lock.epoch, work.path())?;
        let mut command = Command::new("mmdebstrap");
        command.env("SOURCE_DATE_EPOCH", lock.epoch.to_string()).env("TMPDIR", work.path());
        command.args(["--mode=auto", "--variant=essential", "--format=tar"]);
        command.arg(format!("--architectures={}", request.architectures.join(",")));
        command.arg(format!("--include={}", names.join(",")));
        command.arg("--aptopt=APT::Install-Recommends \"false\"");
        command.args(DPKG_OPTIONS.iter().map(|option| format!("--dpkgopt={option}")));
        command.arg(SUITE).arg(result);
        // The digests in this repository come from the lock and were checked against it a moment ago.
        command.arg(format!("deb [trusted=yes] copy:{} ./", work.path().display()));
        host::output(&mut command, "installing the packages of the edition").map(drop)
    })
}
