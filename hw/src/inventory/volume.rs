//! Block devices that are no disks of their own.

use serde::Serialize;

use super::{
    block::{Block, Blocks, Kind},
    content::{self, Content},
    disk::DeviceNumber,
    usage::Usage,
};
use crate::{tree::Tree, units::Bytes};

/// A device that is made from others, from a file or from memory, or an optical drive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// The kernel's name, such as `dm-0`.
    pub name: String,
    /// The name that people know it by, such as `vg-home`; the kernel's where there is no other.
    pub label: String,
    /// Number of its node.
    pub device: Option<DeviceNumber>,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// Size.
    pub size: Bytes,
    /// Cannot be written.
    pub read_only: bool,
    /// What is on it.
    pub content: Option<Content>,
    /// Devices directly below it, by their kernel names.
    pub below: Vec<String>,
    /// Devices directly above it.
    pub above: Vec<String>,
    /// Disks that it is on in the end.
    pub disks: Vec<String>,
    /// Where it is mounted.
    pub mounts: Vec<String>,
    /// It is used as swap space.
    pub swap: bool,
}

/// Unit of `size` in sysfs.
const SYSFS_SECTOR: u64 = 512;

pub(super) fn read(
    tree: &Tree,
    blocks: &Blocks,
    usage: &Usage,
    content: &content::Reader<'_>,
) -> Vec<Volume> {
    let volumes =
        blocks.all.iter().filter(|block| !matches!(block.kind, Kind::Disk | Kind::Hidden | Kind::Other));
    volumes.filter_map(|block| volume(tree, blocks, block, usage, content)).collect()
}

fn volume(
    tree: &Tree,
    blocks: &Blocks,
    block: &Block,
    usage: &Usage,
    content: &content::Reader<'_>,
) -> Option<Volume> {
    let number = |file: &str| tree.number(&format!("{}/{file}", block.directory));
    // The kernel keeps loop and RAM devices that nobody uses.
    let unused = matches!(block.kind, Kind::Loop { file: None } | Kind::Memory) && block.holders.is_empty();
    let (mounts, swap) = usage.direct(&block.name);
    if unused && mounts.is_empty() && !swap {
        return None;
    }
    let size = Bytes(number("size").unwrap_or(0).saturating_mul(SYSFS_SECTOR));
    let disks = blocks.disks_of(&block.name, usage);
    Some(Volume {
        label: blocks.label(&block.name),
        device: block.device,
        kind: block.kind.clone(),
        size,
        read_only: number("ro") == Some(1),
        content: content.of(block.device, &block.name, size).content,
        below: blocks.below(&block.name, usage),
        above: blocks.above(&block.name, usage),
        disks: disks.into_iter().filter(|name| *name != block.name).collect(),
        name: block.name.clone(),
        mounts,
        swap,
    })
}
