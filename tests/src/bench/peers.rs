//! The peers' initramfs archives, made by their own programs in fresh Debian trees for the kernel of our ISO.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use aegis_boot::sources::{self, Archive, KEYRING, SUITE};

use super::{Bench, measure};
use crate::error::Error;

/// A peer: how it is installed, what it is told, and how its archive is made.
#[derive(Clone, Copy)]
pub struct Peer {
    /// Name in the report.
    pub name: &'static str,
    /// Name in paths.
    pub id: &'static str,
    /// Packages beside the kernel and zstd.
    packages: &'static [&'static str],
    /// Shell commands that make `/out/default.img` and `/out/zstd19.img` for the kernel `$1`.
    script: &'static str,
    /// What its archive needs on the command line to boot the medium of the benchmark.
    pub parameters: &'static str,
}

/// The peers. Both are generic, as an archive on a medium has to be.
pub const PEERS: [Peer; 2] = [
    Peer {
        name: "initramfs-tools + live-boot",
        id: "live-boot",
        packages: &[
            "systemd-sysv",
            "udev",
            "busybox",
            "initramfs-tools",
            "live-boot",
            "live-boot-initramfs-tools",
        ],
        script: "mkinitramfs -o /out/default.img $1\n\
                 printf 'COMPRESS=zstd\\nCOMPRESSLEVEL=19\\n' >/etc/initramfs-tools/conf.d/level\n\
                 mkinitramfs -o /out/zstd19.img $1",
        parameters: "boot=live components",
    },
    Peer {
        name: "dracut (dmsquash-live)",
        id: "dracut",
        packages: &["systemd-sysv", "udev", "dracut", "dracut-live"],
        script: "dracut --quiet --no-hostonly --add dmsquash-live --kver $1 /out/default.img\n\
                 dracut --quiet --no-hostonly --add dmsquash-live --compress 'zstd -19 -T1' --kver $1 /out/zstd19.img",
        parameters: "root=live:CDLABEL=AEGISBENCH rd.live.image rd.live.overlay.overlayfs=1",
    },
];

/// What a peer made.
pub struct Archives {
    /// With the compression that it uses unasked.
    pub default: PathBuf,
    /// With zstd at level 19.
    pub zstd19: PathBuf,
    /// Name and version of its packages.
    pub versions: String,
}

impl Peer {
    /// Makes the archives, or finds them made for this kernel.
    pub fn prepare(&self, bench: &Bench) -> Result<Archives, Error> {
        let directory = bench.work.join("peers").join(format!("{}-{}", self.id, bench.kernel.release));
        if !directory.join("versions").exists() {
            self.make(bench, &directory)?;
        }
        let versions = directory.join("versions");
        let text = fs::read_to_string(&versions).map_err(Error::io("read", &versions))?;
        Ok(Archives {
            default: directory.join("default.img"),
            zstd19: directory.join("zstd19.img"),
            versions: text.lines().collect::<Vec<_>>().join(", "),
        })
    }

    fn make(&self, bench: &Bench, directory: &Path) -> Result<(), Error> {
        fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        let scratch = bench.empty("peers/scratch")?;
        let list = scratch.join("sources.list");
        fs::write(&list, source_list()?).map_err(Error::io("write", &list))?;
        // `versions` is written last: it is what says that the archives are whole.
        let script = format!(
            "set -eu\nmkdir /out\n{}\ndpkg-query -f '${{Package}} ${{Version}}\\n' -W {} zstd >/out/versions\n",
            self.script,
            self.packages.join(" ")
        );
        let file = scratch.join("make");
        fs::write(&file, script).map_err(Error::io("write", &file))?;
        let release = &bench.kernel.release;
        let mut command = Command::new("mmdebstrap");
        command.args([
            "--quiet",
            "--variant=apt",
            "--format=null",
            "--aptopt=APT::Install-Recommends \"false\"",
        ]);
        command.arg(format!("--include=linux-image-{release},zstd,{}", self.packages.join(",")));
        command.arg(format!("--customize-hook=upload '{}' /make", file.display()));
        command.arg(format!("--customize-hook=chroot \"$1\" sh /make '{release}'"));
        command.arg(format!("--customize-hook=sync-out /out '{}'", directory.display()));
        command.arg(SUITE).arg("/dev/null").arg(list);
        measure::run("mmdebstrap", &mut command).map(drop)
    }
}

/// The sources of this machine, as apt reads them, for the release that the product is built from.
pub fn source_list() -> Result<String, Error> {
    let mut text = String::new();
    for source in sources::detect(None, None)? {
        let suites: &[&str] = match source.archive {
            Archive::Debian => &["", "-updates"],
            Archive::Security => &["-security"],
        };
        for suite in suites {
            writeln!(text, "deb [signed-by={KEYRING}] {} {SUITE}{suite} main", source.uri).ok();
        }
    }
    Ok(text)
}
