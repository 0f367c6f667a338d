//! What is laid over the Debian root file system: the edition's overlays, derived files, our own programs, the
//! kernel's modules.

use std::{fs, path::Path};

use aegis_core::{edition::Edition, version::Version};
use aegis_editions::{Spec, licensing::Licensing, spec::Desktop};

use aegis_kernel_configs::contract;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    programs,
    tarmerge::{Layer, Node},
};

/// Overlays below the workspace, one directory each.
pub const DIRECTORY: &str = "buildroot-external/board/aegis/rootfs-overlay";

/// Directories that people write to; the root file system is read-only, so they live in /var.
const WRITABLE: &[(&str, &str)] =
    &[("mnt", "var/mnt"), ("opt", "var/opt"), ("srv", "var/srv"), ("usr/local", "../var/usrlocal")];

/// Everything that is laid over the base of an edition.
pub fn layer(
    spec: &Spec,
    version: Version,
    workspace: &Path,
    binaries: &Path,
    kernel: &Kernel,
) -> Result<Layer> {
    let mut layer = Layer::new();
    tree(&kernel.modules(), &format!("usr/lib/modules/{}", kernel.release), &mut layer)?;
    // Links into a source tree that the image does not have.
    layer.retain(|path, _| !path.ends_with("/build") && !path.ends_with("/source"));
    let contract = kernel.root.join(contract::PATH);
    if contract.is_file() {
        layer.insert(contract::PATH.into(), Node::File { source: contract, mode: 0o644 });
    }
    for name in &spec.overlays {
        tree(&workspace.join(DIRECTORY).join(name), "", &mut layer)?;
    }
    for program in programs::IMAGE {
        let source = programs::built(binaries, *program)?;
        layer.insert(format!("usr/bin/{}", program.name), Node::File { source, mode: 0o755 });
    }
    derived(spec, version, &mut layer);
    let inclusions = Licensing::load().map_err(Error::Spec)?.inclusions();
    let licensed_by: Vec<Edition> = inclusions.licensed_by(spec.id).collect();
    let content = serde_json::to_string(&licensed_by).unwrap_or_default() + "\n";
    layer.insert("usr/lib/aegis/licensed-by.json".into(), Node::Text { content, mode: 0o644 });
    Ok(layer)
}

/// Files that follow from the specification.
fn derived(spec: &Spec, version: Version, layer: &mut Layer) {
    let mut text = |path: &str, content: String| {
        layer.insert(path.to_owned(), Node::Text { content, mode: 0o644 });
    };
    text("usr/lib/os-release", os_release(spec, version));
    text("usr/lib/aegis/edition.json", serde_json::to_string_pretty(spec).unwrap_or_default() + "\n");
    text("etc/hostname", "aegis\n".into());
    // Empty, not absent: systemd then makes one for this boot and does not take it for a first boot.
    text("etc/machine-id", String::new());
    text(
        "etc/apt/sources.list",
        "# The root file system is read-only; updates replace it as a whole.\n".into(),
    );
    text("etc/issue", format!("Aegis OS {} {version} \\n \\l\n\n", spec.name));
    for (path, target) in WRITABLE {
        layer.insert((*path).into(), Node::Symlink { target: (*target).into() });
    }
    for path in
        ["var/mnt", "var/opt", "var/srv", "var/usrlocal/bin", "var/usrlocal/lib", "var/usrlocal/share"]
    {
        layer.insert(path.into(), Node::Directory { mode: 0o755 });
    }
    for unit in &spec.services.mask {
        let target = "/dev/null".into();
        layer.insert(format!("etc/systemd/system/{unit}"), Node::Symlink { target });
    }
    let target = if spec.desktop == Desktop::None { "multi-user.target" } else { "graphical.target" };
    let link = Node::Symlink { target: target.to_owned() };
    layer.insert("usr/lib/systemd/system/default.target".into(), link);
    for unit in &spec.services.enable {
        enable(unit, "multi-user.target", layer);
    }
    for (unit, target) in installable(layer) {
        enable(&unit, &target, layer);
    }
}

/// Starts a unit with another one. Units of Debian's packages that matter to the boot are enabled by their
/// packages; a second link from the ordinary target does no harm.
fn enable(unit: &str, target: &str, layer: &mut Layer) {
    let link = Node::Symlink { target: format!("/usr/lib/systemd/system/{unit}") };
    layer.insert(format!("etc/systemd/system/{target}.wants/{unit}"), link);
}

/// The units of our overlays that say what starts them.
fn installable(layer: &Layer) -> Vec<(String, String)> {
    let unit = |(path, node): (&String, &Node)| {
        let name = path.strip_prefix("usr/lib/systemd/system/")?;
        let Node::File { source, .. } = node else { return None };
        let text = fs::read_to_string(source).ok()?;
        let target = text.lines().find_map(|line| line.strip_prefix("WantedBy="))?.trim().to_owned();
        Some((name.to_owned(), target))
    };
    layer.iter().filter_map(unit).collect()
}

/// os-release(5).
fn os_release(spec: &Spec, version: Version) -> String {
    format!(
        "NAME=\"Aegis OS\"\nPRETTY_NAME=\"Aegis OS {name} {version}\"\nID=aegis\nID_LIKE=debian\n\
         VERSION_ID=\"{version}\"\nVARIANT=\"{name}\"\nVARIANT_ID={id}\n",
        name = spec.name,
        id = spec.id
    )
}

/// Adds a directory tree. Only the executable bit of a file counts: a checkout keeps no other, and a
/// person's umask must not reach the image.
fn tree(directory: &Path, prefix: &str, layer: &mut Layer) -> Result<()> {
    let entries = fs::read_dir(directory).map_err(Error::io("reading", directory))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("reading", directory))?;
        let source = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = fs::symlink_metadata(&source).map_err(Error::io("reading", &source))?;
        if kind.is_symlink() {
            let target = fs::read_link(&source).map_err(Error::io("reading", &source))?;
            layer.insert(path, Node::Symlink { target: target.to_string_lossy().into_owned() });
        } else if kind.is_dir() {
            layer.insert(path.clone(), Node::Directory { mode: 0o755 });
            tree(&source, &path, layer)?;
        } else if !path.ends_with(".gitkeep") {
            use std::os::unix::fs::PermissionsExt;
            let mode = if kind.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            layer.insert(path, Node::File { source, mode });
        }
    }
    Ok(())
}
