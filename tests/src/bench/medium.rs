//! The media of the benchmarks that boot: one small root image at the place where each initramfs looks for it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use aegis_boot::{
    image, initramfs,
    kernel::Kernel,
    keys::{self, Signer},
    programs, release,
};
use aegis_core::{
    channel::Channel,
    hex::Hex,
    key::{KeyRole, PublicKey},
    manifest::{ImageKind, Manifest, path},
    version::Version,
};
use tempfile::TempDir;

use super::{Bench, measure};
use crate::{
    error::Error,
    host::{self, patience},
    vm::{Bus, DirectBoot, Drive, Machine},
};

/// The volume's label, which dracut looks for.
const LABEL: &str = "AEGISBENCH";
/// Where the peers look for the image.
const PLACES: [&str; 2] = ["live/filesystem.squashfs", "LiveOS/squashfs.img"];

/// A medium that every kernel and initramfs of a comparison boots.
pub struct Medium {
    iso: PathBuf,
    ring: [PublicKey; 1],
    /// What our archive needs on the command line.
    pub parameters: String,
}

/// What is in the image that is booted.
pub struct Root<'a> {
    /// Its first program, a file below `tests/src/bench`, which `rustc` alone makes.
    pub program: &'a str,
    /// Files that lie in it beside the program.
    pub tree: Option<&'a Path>,
}

/// When a boot reached its two ends, in seconds since the kernel's start.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// The kernel started PID 1.
    pub init: f64,
    /// The new root's first program ran.
    pub root: f64,
}

impl Medium {
    /// Makes image, key, manifest and ISO. aegis-init starts a medium with the kernel of its manifest only.
    pub fn make(bench: &Bench, contents: &Root<'_>, kernel: &Kernel) -> Result<Self, Error> {
        let directory = bench.empty(&format!("medium-{}", kernel.release))?;
        let tree = directory.join("tree");
        for name in ["aegis", "live", "LiveOS"] {
            create(&tree.join(name))?;
        }
        let root = tree.join(path::IMAGE);
        squash(bench, &directory, contents, &root)?;
        for place in PLACES {
            let copy = tree.join(place);
            fs::copy(&root, &copy).map_err(Error::io("create", copy))?;
        }
        let salt = aegis_core::crypto::Sha256::of(b"benchmark");
        let image = image::seal(&root, ImageKind::Squashfs, salt)?;
        let keys_directory = directory.join("keys");
        keys::generate(&keys_directory, true, 1, keys::now())?;
        let signer = Signer::open(&keys_directory, KeyRole::Release, false, keys::now())?;
        let mut manifest = Manifest {
            format: Manifest::FORMAT,
            id: Hex([0; 16]),
            edition: bench.spec.id,
            version: Version::CURRENT,
            channel: Channel::Stable,
            epoch: bench.lock.epoch,
            kernel: kernel.release.clone(),
            image,
            files: release::describe_tree(&tree)?,
            inputs: BTreeMap::new(),
        };
        manifest.id = release::medium_id(&manifest);
        let bytes = manifest.to_bytes();
        write(&tree.join(path::SIGNATURE), &signer.sign(&bytes)?)?;
        write(&tree.join(path::MANIFEST), &bytes)?;
        let iso = directory.join("medium.iso");
        crate::iso::make(&tree, LABEL, &iso, &[])?;
        let ring = [signer.public().clone()];
        Ok(Self { iso, ring, parameters: format!("aegis.medium={}", manifest.id) })
    }

    /// Our archive for a kernel, with the key that signed the medium.
    pub fn initramfs(&self, bench: &Bench, kernel: &Kernel) -> Result<PathBuf, Error> {
        let init = programs::path(&bench.binaries, programs::INIT);
        Ok(initramfs::make(&bench.cache, &bench.tools, kernel, &init, &self.ring, None)?.0)
    }

    /// Boots the medium once with a kernel and an initramfs.
    pub fn boot(
        &self,
        bench: &Bench,
        name: &str,
        (kernel, archive): (&Kernel, &Path),
        bus: Bus,
        parameters: &str,
    ) -> Result<Boot, Error> {
        let line = self.run(bench, name, (kernel, archive), bus, parameters)?;
        let times: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        match times[..] {
            [init, root] => Ok(Boot { init: init / 1e6, root: root / 1e6 }),
            _ => Err(Error::Format { what: format!("the boot of {name}"), problem: line }),
        }
    }

    /// What the program in the image says between `BENCH` and `END`.
    pub fn run(
        &self,
        bench: &Bench,
        name: &str,
        (kernel, archive): (&Kernel, &Path),
        bus: Bus,
        parameters: &str,
    ) -> Result<String, Error> {
        let directory = TempDir::new_in(&bench.work).map_err(Error::io("create", &bench.work))?;
        for (from, to) in [(kernel.image(), "vmlinuz"), (archive.to_path_buf(), "initrd.img")] {
            fs::copy(&from, directory.path().join(to)).map_err(Error::io("copy", &from))?;
        }
        // An emulator that a busy host starves fails the kernel's check of its timer.
        let append = format!("console=ttyS0 quiet panic=-1 no_timer_check {parameters}");
        let machine = Machine::new(&format!("bench-{name}"))
            .memory_mib(2048)
            .cpus(2)
            .drive(Drive::medium(&self.iso, bus))
            .direct(DirectBoot { directory: Arc::new(directory), append });
        let mut vm = machine.start()?;
        vm.serial.expect("BENCH ", patience(600))?;
        let line = vm.serial.expect(" END", patience(10))?;
        vm.cut_power()?;
        Ok(line)
    }
}

/// A root file system with a program as its init, and what the peers ask of a root.
fn squash(bench: &Bench, directory: &Path, contents: &Root<'_>, image: &Path) -> Result<(), Error> {
    let root = directory.join("root");
    if let Some(tree) = contents.tree {
        let mut copy = Command::new("cp");
        measure::run("cp", copy.args(["--archive", "--no-target-directory"]).arg(tree).arg(&root))?;
    }
    for name in ["dev", "proc", "sys", "run", "tmp", "etc", "var", "usr/bin", "usr/sbin", "usr/lib"] {
        create(&root.join(name))?;
    }
    for (link, target) in
        [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
    {
        let link = root.join(link);
        if link.is_symlink() {
            continue;
        }
        std::os::unix::fs::symlink(target, &link).map_err(Error::io("create", link))?;
    }
    write(&root.join("usr/lib/os-release"), b"ID=aegis-bench\nNAME=\"Aegis OS benchmark\"\n")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench").join(contents.program);
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition",
        "2024",
        "--target",
        "x86_64-unknown-linux-musl",
        "-Copt-level=2",
        "-Cstrip=symbols",
    ]);
    rustc.arg("-Dwarnings").arg("-o").arg(root.join("usr/sbin/init")).arg(source);
    measure::run("rustc", &mut rustc)?;
    let mut command = bench.tools.command("usr/bin/mksquashfs");
    command.arg(&root).arg(image).args(["-quiet", "-no-progress", "-all-root", "-comp", "zstd"]);
    measure::run("mksquashfs", &mut command).map(drop)
}

fn create(directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(Error::io("create", directory))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(file, bytes).map_err(Error::io("write", file))
}

/// The emulator's version, for the report.
pub fn emulator() -> Result<String, Error> {
    let text = host::output_of("qemu-system-x86_64", ["--version"])?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
