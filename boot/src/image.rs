//! The root image: a compressed read-only file system, then its dm-verity tree.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{BufReader, Read, Write},
    path::{Path, PathBuf},
    process::Command,
};

use aegis_core::{
    hex::Digest,
    manifest::{Image, ImageKind},
    verity,
};

use crate::{
    cache::{Cache, Key},
    error::{Error, Result},
    host,
    progress::Progress,
    tarmerge::{self, Layer},
    tools::Tools,
};

/// How the image is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The file system.
    pub kind: ImageKind,
    /// Level of zstd.
    pub level: u8,
}

/// Content of the base that does not belong into an image: what is unique to a machine, what the build left
/// behind, and what changes from build to build.
pub fn dropped(path: &str) -> bool {
    const PREFIXES: [&str; 13] = [
        "dev/",
        "run/",
        "tmp/",
        "proc/",
        "sys/",
        "mnt/",
        "opt/",
        "srv/",
        "usr/local/",
        "var/cache/apt/",
        "var/lib/apt/lists/",
        "var/log/apt/",
        "etc/ssh/ssh_host_",
    ];
    const PATHS: [&str; 11] = [
        "etc/apt/apt.conf.d/99mmdebstrap",
        "etc/apt/sources.list",
        "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
        "etc/hostname",
        "etc/machine-id",
        "etc/resolv.conf",
        "var/cache/debconf/config.dat-old",
        "var/cache/debconf/templates.dat-old",
        "var/cache/ldconfig/aux-cache",
        "var/lib/dpkg/status-old",
        "var/lib/systemd/random-seed",
    ];
    let log = path.strip_prefix("var/log/").is_some_and(|name| name.ends_with(".log"));
    log || PATHS.contains(&path) || PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// AppArmor profiles that confine nothing: those that only name a program, for kernels that forbid user namespaces
/// to unnamed ones, which Debian's does not, and those that only complain. Loading them takes most of the time
/// of a small system's start.
fn void_profiles(base: &Path) -> Result<BTreeSet<String>> {
    let reading = |source| Error::Io { doing: "reading", path: base.into(), source };
    let mut archive = tar::Archive::new(BufReader::new(File::open(base).map_err(reading)?));
    let mut found = BTreeSet::new();
    for entry in archive.entries_with_seek().map_err(reading)? {
        let mut entry = entry.map_err(reading)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let profile = path.strip_prefix("etc/apparmor.d/").is_some_and(|name| !name.contains('/'));
        if !profile || !entry.header().entry_type().is_file() {
            continue;
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text).map_err(reading)?;
        let text = String::from_utf8_lossy(&text);
        let mut profiles = text.lines().filter(|line| line.starts_with("profile ")).peekable();
        let idle = |line: &str| line.contains("flags=(unconfined") || line.contains("flags=(complain");
        if profiles.peek().is_some() && profiles.all(idle) {
            found.insert(path);
        }
    }
    Ok(found)
}

/// Makes `root.img` of `base` and `layer`, or finds it made.
pub fn make(
    cache: &Cache,
    tools: &Tools,
    base: &Path,
    layer: &Layer,
    epoch: u64,
    options: Options,
    progress: &mut Progress,
) -> Result<(PathBuf, Image, bool)> {
    let base_name = base.file_name().unwrap_or_default();
    let key = Key::new("image-3")
        .with(base_name.as_encoded_bytes())
        .with(tarmerge::digest(layer)?.0)
        .with(epoch.to_le_bytes())
        .with(options.kind.id())
        .with([options.level]);
    let salt = key.clone().with("salt").finish();
    let (directory, cached) = cache.stage("image", key, |directory| {
        fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
        let path = directory.join("root.img");
        compress(tools, base, layer, epoch, options, &path, progress)?;
        let image = seal(&path, options.kind, salt)?;
        let description = serde_json::to_vec(&image).unwrap_or_default();
        let file = directory.join("image.json");
        fs::write(&file, description).map_err(Error::io("writing", file))
    })?;
    let file = directory.join("image.json");
    let text = fs::read(&file).map_err(Error::io("reading", &file))?;
    let image = serde_json::from_slice(&text).map_err(|error| Error::Io {
        doing: "reading",
        path: file,
        source: error.into(),
    })?;
    Ok((directory.join("root.img"), image, cached))
}

/// Writes the archive that an image is made of: the base without what does not belong into an image, and the layer.
/// `copied` is told how many bytes of the base were read.
pub fn archive(
    base: &Path,
    layer: &Layer,
    epoch: u64,
    out: &mut dyn Write,
    copied: impl FnMut(u64),
) -> Result<()> {
    let void = void_profiles(base)?;
    let dropped = |path: &str| dropped(path) || void.contains(path);
    tarmerge::merge(base, layer, dropped, epoch, out, copied)
}

fn compress(
    tools: &Tools,
    base: &Path,
    layer: &Layer,
    epoch: u64,
    options: Options,
    path: &Path,
    progress: &mut Progress,
) -> Result<()> {
    let total = fs::metadata(base).map_err(Error::io("reading", base))?.len();
    let mut write = |pipe: &mut dyn Write| {
        let mut pipe = std::io::BufWriter::with_capacity(1 << 20, pipe);
        archive(base, layer, epoch, &mut pipe, |done| progress.bytes(done, total))?;
        pipe.flush().map_err(Error::io("writing to", "the image program"))
    };
    match options.kind {
        ImageKind::Squashfs => {
            let mut command = squashfs(tools, options.level, path);
            command.env("SOURCE_DATE_EPOCH", epoch.to_string());
            host::feed(&mut command, "making the SquashFS image", write).map(drop)
        }
        ImageKind::Erofs => {
            // mkfs.erofs seeks in its input, so the archive has to be a file.
            let archive = path.with_extension("tar");
            let mut file = File::create(&archive).map_err(Error::io("creating", &archive))?;
            write(&mut file)?;
            let mut command = erofs(tools, options.level, epoch, path, &archive);
            host::output(&mut command, "making the EROFS image")?;
            fs::remove_file(&archive).map_err(Error::io("removing", archive))
        }
    }
}

fn squashfs(tools: &Tools, level: u8, path: &Path) -> Command {
    let mut command = tools.command("usr/bin/sqfstar");
    command.args(["-quiet", "-no-progress", "-comp", "zstd", "-Xcompression-level", &level.to_string()]);
    command.args(["-b", "256K"]);
    // The archive does not describe the root itself; without these it would be the building user's, open to everyone.
    command.args(["-root-mode", "755", "-root-uid", "0", "-root-gid", "0"]).arg(path);
    command
}

fn erofs(tools: &Tools, level: u8, epoch: u64, path: &Path, archive: &Path) -> Command {
    let mut command = tools.command("usr/bin/mkfs.erofs");
    command.arg("--quiet").arg("--tar=f").arg(format!("-zzstd,level={level}")).arg("-C65536");
    command.args(["-Eall-fragments", "-U", "00000000-0000-0000-0000-000000000000"]);
    command.arg(format!("-T{epoch}")).arg(path).arg(archive);
    command
}

/// Pads a file system image to whole blocks and appends its verity tree.
pub fn seal(path: &Path, kind: ImageKind, salt: Digest) -> Result<Image> {
    let io = |doing| Error::io(doing, path);
    let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(io("opening"))?;
    let length = file.metadata().map_err(io("reading"))?.len();
    let block = verity::BLOCK as u64;
    let data_size = length.next_multiple_of(block);
    let padding = vec![0; usize::try_from(data_size - length).unwrap_or(0)];
    file.write_all(&padding).map_err(io("writing"))?;
    let mut builder = verity::TreeBuilder::new(&salt);
    let mut buffer = vec![0; 256 * verity::BLOCK];
    let mut left = data_size;
    let mut reader = File::open(path).map_err(io("opening"))?;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        reader.read_exact(&mut buffer[..n]).map_err(io("reading"))?;
        builder.push(&buffer[..n]);
        left -= n as u64;
    }
    let (root_hash, tree) = builder.finish();
    file.write_all(&tree).map_err(io("writing"))?;
    Ok(Image { kind, data_size, size: data_size + tree.len() as u64, salt, root_hash })
}
