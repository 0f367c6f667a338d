//! The content of the data partition, put together in a temporary directory.

mod copy;

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    path::{Path, PathBuf},
};

use aegis_hw::Bytes;
use nix::sys::statvfs::statvfs;

use super::Context;
use crate::{
    config::{Content, Entry},
    error::Error,
    plan::InstallPlan,
    progress::Meter,
};

/// The directory; removed when dropped.
#[derive(Debug)]
pub(super) struct Staged(tempfile::TempDir);

impl Staged {
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Room for directories and the written files, beside what is copied.
const SPARE: u64 = 4 << 20;

/// Puts everything together.
pub(super) fn stage(
    plan: &InstallPlan,
    context: Context<'_>,
    meter: &mut Meter<'_>,
) -> Result<Staged, Error> {
    let image = &context.source.paths.image_root;
    check_space(image, context.staging)?;
    let staged = tempfile::Builder::new().prefix("aegis-data-").tempdir_in(context.staging);
    let staged = Staged(staged.map_err(Error::io("make a directory in", context.staging))?);
    let root = staged.path();
    // mke2fs takes the permissions of the partition's root directory from here.
    set_mode(root, 0o755)?;
    directory(&root.join("etc"), 0o755)?;
    copy::directory(&image.join("etc"), &root.join("etc/upper"))?;
    directory(&root.join("etc/work"), 0o700)?;
    for entry in &plan.config.etc {
        write_entry(entry, &root.join("etc/upper"), &image.join("etc"), (0, entry.group))?;
    }
    directory(&root.join("home"), 0o755)?;
    home(plan, image, &root.join("home").join(&plan.user), meter)?;
    copy::tree(&image.join("var"), &root.join("var"), None, meter)?;
    copy::tree(&image.join("root"), &root.join("root"), None, meter)?;
    Ok(staged)
}

/// What is copied must fit: a half-filled /var would install a broken system.
fn check_space(image: &Path, staging: &Path) -> Result<(), Error> {
    let mut needed = SPARE;
    for part in ["var", "root", "etc/skel"] {
        needed += copy::size(&image.join(part))?;
    }
    let space = statvfs(staging).map_err(|error| Error::io("look at", staging)(error.into()))?;
    let free = space.blocks_available() * space.fragment_size();
    if free < needed {
        return Err(Error::Staging { path: staging.into(), needed: Bytes(needed), free: Bytes(free) });
    }
    Ok(())
}

/// The first user's home directory: a copy of /etc/skel that belongs to the user.
fn home(plan: &InstallPlan, image: &Path, home: &Path, meter: &mut Meter<'_>) -> Result<(), Error> {
    let owner = (plan.config.user_id, plan.config.user_id);
    let skel = image.join("etc/skel");
    if skel.is_dir() {
        copy::tree(&skel, home, Some(owner), meter)?;
    } else {
        directory(home, 0o700)?;
    }
    set_mode(home, 0o700)?;
    own(home, owner)?;
    for entry in &plan.config.home {
        let template = home.join(".none");
        write_entry(entry, home, &template, owner)?;
        for above in Path::new(&entry.path).ancestors().skip(1).filter(|p| *p != Path::new("")) {
            set_mode(&home.join(above), 0o700)?;
            own(&home.join(above), owner)?;
        }
    }
    Ok(())
}

/// Writes one file below `root`. Directories above it are made like those of `template`, because a
/// directory of an overlay's upper layer hides the permissions of the one below.
fn write_entry(entry: &Entry, root: &Path, template: &Path, owner: (u32, u32)) -> Result<(), Error> {
    let path = root.join(&entry.path);
    let mut above: Vec<&Path> = Path::new(&entry.path).ancestors().skip(1).collect();
    above.reverse();
    for part in above {
        if root.join(part).symlink_metadata().is_err() {
            match template.join(part).is_dir() {
                true => copy::directory(&template.join(part), &root.join(part))?,
                false => directory(&root.join(part), 0o755)?,
            }
        }
    }
    match &entry.content {
        Content::File(bytes) => {
            fs::write(&path, bytes).map_err(Error::io("write", &path))?;
            set_mode(&path, entry.mode)?;
        }
        Content::Link(to) => symlink(to, &path).map_err(Error::io("make a link at", &path))?,
    }
    lchown(&path, Some(owner.0), Some(owner.1)).map_err(Error::io("change the owner of", &path))
}

fn directory(path: &Path, mode: u32) -> Result<(), Error> {
    fs::create_dir(path).map_err(Error::io("make", path))?;
    set_mode(path, mode)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::io("change the permissions of", path))
}

fn own(path: &Path, (user, group): (u32, u32)) -> Result<(), Error> {
    chown(path, Some(user), Some(group)).map_err(Error::io("change the owner of", path))
}

/// A path and its metadata, without following a link.
fn look(path: &Path) -> Result<fs::Metadata, Error> {
    path.symlink_metadata().map_err(Error::io("look at", path))
}

/// Number of bytes that a file takes.
fn occupied(data: &fs::Metadata) -> u64 {
    // Every file takes at least a page of memory.
    data.size().next_multiple_of(4096).max(4096)
}

/// Names in a directory, sorted, as paths.
fn entries(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let list = fs::read_dir(path).and_then(|list| list.map(|e| e.map(|e| e.path())).collect());
    let mut list: Vec<PathBuf> = list.map_err(Error::io("list", path))?;
    list.sort();
    Ok(list)
}
