//! Answer files for unattended installations, and the disk that carries them into a machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_tests::{
    Error, iso,
    vm::{Bus, Drive, Writes},
};

/// Serial number of the disk that is installed to.
pub(crate) const DISK: &str = "AEGISDISK1";
/// The first user.
pub(crate) const USER: &str = "ada";
/// The first user's password.
pub(crate) const PASSWORD: &str = "correct-horse-9";
/// Serial number of the disk that carries the answers.
pub(crate) const CARRIER: &str = "ANSWERS";

/// An answer file.
pub(crate) fn text(edition: &str, hostname: &str, layout: &str) -> String {
    format!(
        "edition = \"{edition}\"\nlanguage = \"C.UTF-8\"\ntimezone = \"Europe/Berlin\"\n\
         hostname = \"{hostname}\"\nconfirm = \"{DISK}\"\n\
         [keyboard]\nlayout = \"{layout}\"\n\
         [disk]\nserial = \"{DISK}\"\n\
         [user]\nname = \"{USER}\"\nfull_name = \"Ada Lovelace\"\npassword = \"{PASSWORD}\"\n"
    )
}

/// Makes an ISO image with the answers in `answers.toml`; returns its path.
pub(crate) fn carrier(directory: &Path, answers: &str) -> Result<PathBuf, Error> {
    let (tree, image) = (directory.join("answers"), directory.join("answers.iso"));
    fs::create_dir_all(&tree).map_err(Error::io("create", &tree))?;
    let file = tree.join("answers.toml");
    fs::write(&file, answers).map_err(Error::io("write", file))?;
    iso::make(&tree, "ANSWERS", &image, &[])?;
    Ok(image)
}

/// The carrier as a read-only disk.
pub(crate) fn drive(image: &Path) -> Drive {
    Drive::disk(image, Bus::Virtio, CARRIER).writes(Writes::Refused)
}

/// A shell command that mounts the carrier.
pub(crate) const MOUNT: &str =
    "mkdir -p /run/answers && mount -o ro /dev/disk/by-id/virtio-ANSWERS /run/answers";

/// Where [`MOUNT`] puts the answer file.
pub(crate) const FILE: &str = "/run/answers/answers.toml";
