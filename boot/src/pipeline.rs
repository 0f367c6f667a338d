//! `aegis iso build`: from a specification to a signed ISO, stage by stage.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_core::{
    channel::Channel,
    hex::{Digest, Hex},
    key::{KeyRole, PublicKey},
    manifest::{Image, ImageKind, Manifest, path},
    ranges::Ranges,
    version::Version,
};
use aegis_editions::Spec;

use crate::{
    cache::Cache,
    error::{Error, Result},
    esp, host, image, initramfs, iso,
    kernel::{
        Kernel,
        own::{LAYERS, OwnKernel},
        workshop::Origin,
    },
    keys::{self, Signer},
    loader,
    lock::{self, Lock, Use},
    overlay, programs,
    progress::Progress,
    ranges, release, rootfs,
    sources::{self, Source},
    store::{self, PackageRequest, Store, Wanted},
    tools::{self, Tools},
};

/// A resolved request: everything that a build depends on.
pub struct Request {
    /// The edition.
    pub spec: Spec,
    /// Version of the release.
    pub version: Version,
    /// Channel of the release.
    pub channel: Channel,
    /// Where the outputs go.
    pub out: PathBuf,
    /// The cache directory.
    pub cache: PathBuf,
    /// The project's directory, for overlays and locks.
    pub workspace: PathBuf,
    /// The directory that cargo built our own programs into.
    pub binaries: PathBuf,
    /// The directory of the keys.
    pub keys: PathBuf,
    /// Build exactly what this lock says.
    pub locked: Option<PathBuf>,
    /// Use no network.
    pub offline: bool,
    /// Refuse development keys.
    pub release: bool,
    /// Package sources in place of the machine's own.
    pub mirror: Option<String>,
    /// Security updates for `mirror`.
    pub security_mirror: Option<String>,
    /// How the image is made.
    pub image: image::Options,
    /// The kernel.
    pub kernel: KernelChoice,
}

/// Which kernel a medium has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum KernelChoice {
    /// Debian's, signed by Debian
    #[default]
    Debian,
    /// The edition's own, from kernel-configs, signed by our key
    Edition,
}

/// What a build left.
#[derive(Clone, Debug)]
pub struct Built {
    /// The ISO.
    pub iso: PathBuf,
    /// The manifest of the medium.
    pub manifest: Manifest,
}

/// Stages of a build, for the progress.
pub const STAGES: usize = 9;

/// Builds an ISO. Nothing appears in the output directory before everything is done.
pub fn build(request: &Request, progress: &mut Progress) -> Result<Built> {
    host::require_tools()?;
    // Cheap refusals come before minutes of work.
    let signer = Signer::open(&request.keys, KeyRole::Release, request.release, keys::now())?;
    let init = programs::built(&request.binaries, programs::INIT)?;
    let cache = Cache::new(request.cache.clone());
    let store = Store::open(&cache)?;
    let packages = package_request(&request.spec, request.kernel);
    let own = own_kernel(&cache, request, progress)?;

    progress.stage("resolve");
    let origin = Packages {
        locked: request.locked.as_deref(),
        offline: request.offline,
        mirror: request.mirror.as_deref(),
        security_mirror: request.security_mirror.as_deref(),
    };
    let (lock, sources) = resolve(&store, &packages, &origin)?;
    progress.done(false, &format!("{} packages", lock.packages.len()));

    progress.stage("packages");
    store.fetch(&lock, &packages, &sources, request.offline, progress)?;
    programs::check(&request.binaries, &lock)?;
    progress.done(false, "all in the content store");

    progress.stage("tools");
    let (tools, cached) = Tools::prepare(&cache, &store, &lock)?;
    progress.done(cached, &format!("of Debian {}", lock.suite));

    progress.stage("kernel");
    let (kernel, cached) = match &own {
        Some(own) => own.unpack(&cache, &tools)?,
        None => Kernel::prepare(&cache, &store, &lock, &tools)?,
    };
    progress.done(cached, &kernel.release);

    progress.stage("initramfs");
    let ring = [signer.public().clone(), license_key(request)?];
    let (initramfs, cached) = initramfs::make(
        &cache,
        &tools,
        &kernel,
        &init,
        &ring,
        own.as_ref().map(|own| own.drivers.as_path()),
    )?;
    progress.done(cached, &size(&initramfs)?);

    progress.stage("rootfs");
    let (base, cached) = rootfs::make(&cache, &store, &lock, &packages)?;
    progress.done(cached, &size(&base)?);

    progress.stage("image");
    let layer =
        overlay::layer(&request.spec, request.version, &request.workspace, &request.binaries, &kernel)?;
    let (image_path, image, cached) =
        image::make(&cache, &tools, &base, &layer, lock.epoch, request.image, progress)?;
    check_fits(&request.spec, &image)?;
    progress.done(cached, &format!("{}, {}", image.kind.id(), size(&image_path)?));

    progress.stage("iso");
    let work = cache.directory("work")?;
    let work = tempfile::Builder::new()
        .prefix("iso-")
        .tempdir_in(&work)
        .map_err(Error::io("creating a directory in", work))?;
    let parts = Parts { image: &image_path, description: image, initramfs: &initramfs, kernel: &kernel };
    let (file, manifest) = medium(request, &lock, &tools, &parts, &signer, work.path())?;
    progress.done(false, &size(&file)?);

    progress.stage("release");
    let iso = publish(request, &lock, &manifest, &signer, &file, work.path())?;
    progress.done(false, &iso.display().to_string());
    Ok(Built { iso, manifest })
}

/// What an edition asks of the archives.
pub fn package_request(spec: &Spec, kernel: KernelChoice) -> PackageRequest {
    let tools = tools::PACKAGES.iter().map(|name| (*name).to_owned()).collect();
    let mut wanted = vec![
        Wanted { uses: Use::Rootfs, names: spec.packages.clone(), only: &[] },
        Wanted { uses: Use::Tools, names: tools, only: &[] },
    ];
    if kernel == KernelChoice::Debian {
        let names = vec![spec.kernel.package.clone()];
        wanted.push(Wanted { uses: Use::Kernel, names, only: &["linux-image-"] });
    }
    PackageRequest {
        edition: Some(spec.id),
        components: spec.components.clone(),
        architectures: spec.architectures.clone(),
        suites: Vec::new(),
        wanted,
    }
}

/// Where the packages of a build come from.
#[derive(Clone, Copy, Debug)]
pub struct Packages<'a> {
    /// Build exactly what this lock says.
    pub locked: Option<&'a Path>,
    /// Use no network.
    pub offline: bool,
    /// Package sources in place of the machine's own.
    pub mirror: Option<&'a str>,
    /// Security updates for `mirror`.
    pub security_mirror: Option<&'a str>,
}

/// The edition's own kernel, built or found built, when the request wants it.
fn own_kernel(cache: &Cache, request: &Request, progress: &mut Progress) -> Result<Option<OwnKernel>> {
    if request.kernel == KernelChoice::Debian {
        return Ok(None);
    }
    let origin = Origin {
        offline: request.offline,
        mirror: request.mirror.clone(),
        security_mirror: request.security_mirror.clone(),
        ..Origin::default()
    };
    let layers = request.workspace.join(LAYERS);
    let key = keys::kernel(&request.keys, request.release)?;
    OwnKernel::make(cache, &origin, &layers, &request.spec, &key, progress).map(Some)
}

/// The lock to build from, and where its packages can be had; offline, no source is asked for anything.
pub fn resolve(
    store: &Store,
    request: &PackageRequest,
    options: &Packages<'_>,
) -> Result<(Lock, Vec<Source>)> {
    let sources = sources::detect(options.mirror, options.security_mirror);
    let (edition, digest) = (request.edition, request.digest());
    if let Some(path) = options.locked {
        let lock = Lock::read(path, edition, digest)?;
        return Ok((lock, if options.offline { Vec::new() } else { sources? }));
    }
    if options.offline {
        return Ok((Lock::read(&store.last_resolved(request), edition, digest)?, Vec::new()));
    }
    let sources = sources?;
    Ok((store.resolve(request, &sources)?, sources))
}

/// The key that licenses of this release are signed with.
fn license_key(request: &Request) -> Result<PublicKey> {
    let key = keys::public(&request.keys, KeyRole::License)?;
    if request.release && key.development { Err(Error::DevelopmentKey(key.id)) } else { Ok(key) }
}

fn check_fits(spec: &Spec, image: &Image) -> Result<()> {
    let slot = u64::from(spec.disk.slot_mib) << 20;
    let trailer = aegis_core::slot::TRAILER_SIZE as u64;
    if image.size + trailer <= slot { Ok(()) } else { Err(Error::ImageTooLarge { size: image.size, slot }) }
}

struct Parts<'a> {
    image: &'a Path,
    description: Image,
    initramfs: &'a Path,
    kernel: &'a Kernel,
}

/// Lays out the medium's tree, signs its manifest, and makes the ISO.
fn medium(
    request: &Request,
    lock: &Lock,
    tools: &Tools,
    parts: &Parts<'_>,
    signer: &Signer,
    work: &Path,
) -> Result<(PathBuf, Manifest)> {
    let tree = work.join("tree");
    place(tools, parts, &tree)?;
    loader::bios_disk(tools, &create(&tree, path::BIOS_CORE)?)?;
    let mut manifest = Manifest {
        format: Manifest::FORMAT,
        id: Hex([0; 16]),
        edition: request.spec.id,
        version: request.version,
        channel: request.channel,
        epoch: lock.epoch,
        kernel: parts.kernel.release.clone(),
        image: parts.description.clone(),
        files: release::describe_tree(&tree)?,
        inputs: release::inputs(lock, &program_digests(&request.binaries)?, parts.kernel),
    };
    // The loader's files carry the id, so the id names everything but them.
    manifest.id = release::medium_id(&manifest);
    let title = format!("Aegis OS {} {}", request.spec.name, request.version);
    write(&tree, &loader::marker(manifest.id), title.as_bytes())?;
    write(&tree, "boot/grub/grub.cfg", loader::menu(&title, manifest.id).as_bytes())?;
    let esp = work.join("esp.img");
    make_esp(tools, &manifest, &esp)?;
    manifest.files = release::describe_tree(&tree)?;
    let bytes = manifest.to_bytes();
    write(&tree, path::MANIFEST, &bytes)?;
    write(&tree, path::SIGNATURE, &signer.sign(&bytes)?)?;
    let bios = work.join("eltorito.img");
    loader::bios_medium(tools, manifest.id, &bios)?;
    let target = create(&tree, release::BIOS_IMAGE)?;
    fs::rename(&bios, &target).map_err(Error::io("renaming", bios))?;
    let file = work.join("medium.iso");
    let identity = aegis_core::crypto::Sha256::of(&bytes);
    let layout =
        iso::Layout { tree: &tree, esp: &esp, title: &title, epoch: lock.epoch, identity: &identity };
    iso::make(tools, &layout, &file)?;
    Ok((file, manifest))
}

/// Links or copies the large parts into the tree.
fn place(tools: &Tools, parts: &Parts<'_>, tree: &Path) -> Result<()> {
    let shim = tools.file("usr/lib/shim/shimx64.efi.signed");
    let mok = tools.file("usr/lib/shim/mmx64.efi.signed");
    let grub = tools.file("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed");
    let kernel = parts.kernel.image();
    let sector = tools.file("usr/lib/grub/i386-pc/boot.img");
    for (from, to) in [
        (parts.image, path::IMAGE),
        (parts.initramfs, path::INITRAMFS),
        (kernel.as_path(), path::KERNEL),
        (sector.as_path(), path::BIOS_BOOT_SECTOR),
        (shim.as_path(), path::SHIM),
        (mok.as_path(), path::MOK_MANAGER),
        (grub.as_path(), path::GRUB_EFI),
    ] {
        let to = create(tree, to)?;
        if fs::hard_link(from, &to).is_err() {
            fs::copy(from, &to).map_err(Error::io("copying", from))?;
        }
    }
    Ok(())
}

/// The path below `tree`, with its directory created.
fn create(tree: &Path, name: &str) -> Result<PathBuf> {
    let path = tree.join(name);
    let directory = path.parent().unwrap_or(tree);
    fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
    Ok(path)
}

fn write(tree: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = create(tree, name)?;
    fs::write(&path, bytes).map_err(Error::io("writing", path))
}

/// The FAT image for UEFI. The GRUB for removable media looks for its configuration in `/boot/grub`.
fn make_esp(tools: &Tools, manifest: &Manifest, out: &Path) -> Result<()> {
    let shim = esp::read(&tools.file("usr/lib/shim/shimx64.efi.signed"))?;
    let mok = esp::read(&tools.file("usr/lib/shim/mmx64.efi.signed"))?;
    let grub = esp::read(&tools.file("usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"))?;
    let config = loader::bootstrap(manifest.id);
    let volume = manifest.id.0[..4].iter().fold(0, |id: u32, byte| id << 8 | u32::from(*byte));
    let files: [(&str, &[u8]); 4] = [
        ("EFI/BOOT/BOOTX64.EFI", &shim),
        ("EFI/BOOT/grubx64.efi", &grub),
        ("EFI/BOOT/mmx64.efi", &mok),
        ("boot/grub/grub.cfg", config.as_bytes()),
    ];
    esp::make(&files, volume, out)
}

fn program_digests(binaries: &Path) -> Result<Vec<(&'static str, Digest)>> {
    let all = programs::IMAGE.iter().chain([&programs::INIT]);
    all.map(|one| Ok((one.name, store::digest_of(&programs::path(binaries, *one))?))).collect()
}

/// Puts the complete release into the output directory, the ISO last.
fn publish(
    request: &Request,
    lock: &Lock,
    manifest: &Manifest,
    signer: &Signer,
    iso: &Path,
    work: &Path,
) -> Result<PathBuf> {
    let stem = format!("aegis-{}-{}", request.spec.id, request.version);
    let staging = work.join("release");
    fs::create_dir(&staging).map_err(Error::io("creating", &staging))?;
    let iso_name = format!("{stem}.iso");
    fs::rename(iso, staging.join(&iso_name)).map_err(Error::io("renaming", iso))?;
    write(&staging, &format!("{stem}.lock.json"), lock.to_text().as_bytes())?;
    write(&staging, &format!("{stem}.spdx.json"), release::sbom(lock, &stem).as_bytes())?;
    let ranges = ranges::of_iso(&staging.join(&iso_name), manifest)?.to_bytes();
    let ranges_name = format!("{iso_name}{}", aegis_core::ranges::SUFFIX);
    write(&staging, &format!("{ranges_name}.sig"), &signer.detached(&Ranges::message(&ranges))?)?;
    write(&staging, &ranges_name, &ranges)?;
    release::finish(&staging, manifest, signer)?;
    fs::create_dir_all(&request.out).map_err(Error::io("creating", &request.out))?;
    // A directory beside the final names: renaming within it is atomic on any file system.
    let near = tempfile::Builder::new()
        .prefix(".partial-")
        .tempdir_in(&request.out)
        .map_err(Error::io("creating a directory in", &request.out))?;
    let mut names: Vec<String> = release::names_in(&staging)?;
    names.sort_by_key(|name| *name == iso_name);
    for name in &names {
        move_file(&staging.join(name), &near.path().join(name))?;
    }
    for name in &names {
        let (from, to) = (near.path().join(name), request.out.join(name));
        fs::rename(&from, &to).map_err(Error::io("renaming", from))?;
    }
    Ok(request.out.join(iso_name))
}

/// Renames, or copies where the cache is on another file system.
fn move_file(from: &Path, to: &Path) -> Result<()> {
    if fs::rename(from, to).is_err() {
        fs::copy(from, to).map_err(Error::io("copying", from))?;
    }
    let file = fs::File::open(to).map_err(Error::io("opening", to))?;
    file.sync_all().map_err(Error::io("writing", to))
}

fn size(path: &Path) -> Result<String> {
    let bytes = fs::metadata(path).map_err(Error::io("reading", path))?.len();
    Ok(format!("{:.1} MB", bytes as f64 / 1e6))
}

/// The lock that `--locked` uses when none is named.
pub fn default_lock(workspace: &Path, spec: &Spec) -> PathBuf {
    lock::committed_path(workspace, spec.id)
}

/// Level of zstd for builds that are not releases: a change is in the ISO ten times sooner, and the image is some
/// percent larger.
const DRAFT_LEVEL: u8 = 3;

/// The image that a specification asks for, unless the request says otherwise.
pub fn image_options(
    spec: &Spec,
    kind: Option<ImageKind>,
    level: Option<u8>,
    release: bool,
) -> image::Options {
    let usual = if release { spec.image.compression } else { DRAFT_LEVEL };
    image::Options { kind: kind.unwrap_or(spec.image.kind), level: level.unwrap_or(usual) }
}
