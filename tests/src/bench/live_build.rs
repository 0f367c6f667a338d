//! Debian's live-build on the server edition's packages and overlays.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use aegis_boot::{
    lock::Use,
    overlay, programs,
    sources::{self, Archive, SUITE},
};

use super::{Bench, measure};
use crate::error::Error;

/// A configured directory of live-build with every package in its cache.
pub struct LiveBuild {
    directory: PathBuf,
    /// Its version.
    pub version: String,
}

/// Whether this process may do what live-build does: mount, and change the root directory.
pub fn is_possible() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

impl LiveBuild {
    /// Configures it and, the first time, lets it build once, which fills its cache of packages.
    pub fn prepare(bench: &Bench) -> Result<Self, Error> {
        let found =
            env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|path| path.join("lb").is_file());
        if !found {
            return Err(Error::Missing { what: "lb".to_owned(), package: "live-build" });
        }
        let directory = bench.work.join("live-build");
        fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let mut version = measure::run("lb", Command::new("lb").arg("--version"))?;
        version.truncate(version.trim_end().len());
        let built = Self { directory, version };
        built.lb(&configuration()?)?;
        built.lay_out(bench)?;
        if !built.directory.join("cache/packages.chroot").exists() {
            built.clean()?;
            built.lb(&["build".to_owned()])?;
        }
        Ok(built)
    }

    /// The package list and the overlays of the edition, and our programs.
    fn lay_out(&self, bench: &Bench) -> Result<(), Error> {
        let list = self.directory.join("config/package-lists/aegis.list.chroot");
        let names: Vec<&str> = bench.packages.names(Use::Rootfs).collect();
        fs::write(&list, names.join("\n") + "\n").map_err(Error::io("write", &list))?;
        let includes = self.includes();
        for name in &bench.spec.overlays {
            let source = bench.workspace.join(overlay::DIRECTORY).join(name).join(".");
            let mut copy = Command::new("cp");
            copy.arg("-a").args(["--no-preserve=ownership"]).arg(source).arg(&includes);
            measure::run("cp", &mut copy)?;
        }
        let directory = includes.join("usr/bin");
        fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        for program in programs::IMAGE {
            let source = programs::path(&bench.binaries, *program);
            fs::copy(&source, directory.join(program.name)).map_err(Error::io("copy", source))?;
        }
        Ok(())
    }

    fn includes(&self) -> PathBuf {
        self.directory.join("config/includes.chroot")
    }

    /// Builds with nothing but the packages in its cache.
    pub fn cold(&self) -> Result<f64, Error> {
        self.clean()?;
        measure::timed(|| self.lb(&["build".to_owned()])).map(|(_, seconds)| seconds)
    }

    /// Builds again after one file of the overlay was changed, with the least that takes it in: the step that lays
    /// the overlay over the finished root file system, and the binary stage.
    pub fn changed(&self, content: &str) -> Result<f64, Error> {
        write_changed(&self.includes(), content)?;
        measure::timed(|| {
            for step in ["clean --binary", "chroot_includes_after_packages --force", "binary"] {
                self.lb(&step.split(' ').map(str::to_owned).collect::<Vec<_>>())?;
            }
            Ok(())
        })
        .map(|(_, seconds)| seconds)
    }

    /// Bytes of the ISO.
    pub fn size(&self) -> Result<u64, Error> {
        let iso = self.directory.join("live-image-amd64.hybrid.iso");
        Ok(fs::metadata(&iso).map_err(Error::io("read", &iso))?.len())
    }

    /// Removes everything but the configuration and the packages. Cleaning takes away the mark that it is configured, too.
    fn clean(&self) -> Result<(), Error> {
        self.lb(&["clean".to_owned()])?;
        self.lb(&configuration()?)?;
        let stages = self.directory.join("cache/bootstrap");
        if stages.exists() {
            fs::remove_dir_all(&stages).map_err(Error::io("remove", &stages))?;
        }
        Ok(())
    }

    fn lb(&self, arguments: &[String]) -> Result<(), Error> {
        measure::run("lb", Command::new("lb").args(arguments).current_dir(&self.directory)).map(drop)
    }
}

/// Puts the file that changes from build to build into an overlay.
pub fn write_changed(overlay: &Path, content: &str) -> Result<(), Error> {
    let file = overlay.join("etc/aegis-bench");
    fs::write(&file, content).map_err(Error::io("write", &file))
}

/// The words of `lb config`: what our ISO has, and nothing that it lacks.
fn configuration() -> Result<Vec<String>, Error> {
    let sources = sources::detect(None, None)?;
    let uri =
        |archive| sources.iter().find(|source| source.archive == archive).map(|source| source.uri.as_str());
    let debian = uri(Archive::Debian).unwrap_or_default();
    let security = uri(Archive::Security);
    let mut words = vec!["config".to_owned(), "noauto".to_owned()];
    let mut option = |name: &str, value: &str| words.extend([format!("--{name}"), value.to_owned()]);
    for (name, value) in [
        ("mode", "debian"),
        ("distribution", SUITE),
        ("architectures", "amd64"),
        ("archive-areas", "main non-free-firmware"),
        ("binary-images", "iso-hybrid"),
        ("linux-flavours", "amd64"),
        ("initramfs", "live-boot"),
        ("debian-installer", "none"),
        ("memtest", "none"),
        ("checksums", "sha256"),
        ("cache-stages", "bootstrap"),
        // The compression of our image.
        ("chroot-squashfs-compression-type", "zstd"),
        ("chroot-squashfs-compression-level", "15"),
    ] {
        option(name, value);
    }
    for name in [
        "apt-recommends",
        "apt-indices",
        "apt-source-archives",
        "firmware-chroot",
        "firmware-binary",
        "win32-loader",
        "backports",
        "zsync",
        "source",
        "cache-indices",
    ] {
        option(name, "false");
    }
    for name in ["cache", "cache-packages", "updates"] {
        option(name, "true");
    }
    for part in ["bootstrap", "chroot", "binary"] {
        option(&format!("mirror-{part}"), debian);
    }
    option("security", if security.is_some() { "true" } else { "false" });
    for part in ["chroot", "binary"] {
        security.into_iter().for_each(|uri| option(&format!("mirror-{part}-security"), uri));
    }
    Ok(words)
}
