//! `aegis-installer flash` with a person who has not said everything yet: screens, or questions and answers in lines.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use aegis_core::edition::Edition;
use aegis_editions::Spec;
use aegis_hw::target::Named;

use super::{PathArgs, map::MapArgs};
use crate::{
    error::Error,
    flash::{
        dialog::run::{FullScreen, Lines, Setting, run},
        image::{Authority, ImageFile},
        plan::Wishes,
        receipt::{Destination, Receipts},
    },
    select,
    tui::theme::{Environment, Theme},
};

/// What the command line says already.
pub(super) struct Said {
    /// How many images are named.
    pub(super) images: usize,
    /// It says which devices, or that they are taken as they come.
    pub(super) device: bool,
    /// Devices to show, also those that are not shown by themselves.
    pub(super) devices: Vec<PathBuf>,
    pub(super) authority: Authority,
    pub(super) map: MapArgs,
    pub(super) wishes: Wishes,
    pub(super) wait_return: Option<u64>,
    pub(super) receipts: Option<Destination>,
    pub(super) save_answers: Option<PathBuf>,
    /// Lines are asked for.
    pub(super) linear: bool,
    /// Something was said that only makes sense when nobody is asked.
    pub(super) unattended: bool,
    /// Columns and rows of the terminal.
    pub(super) size: Option<(u16, u16)>,
}

/// Asks for the rest, writes, and returns the exit code. `images` looks at those that are named.
///
/// # Errors
/// When there is no terminal to ask at, when what is named cannot be used at all, and as [`run`].
pub(super) fn open(
    paths: &PathArgs,
    said: Said,
    images: impl FnOnce() -> Result<Vec<ImageFile>, Error>,
) -> Result<u8, Error> {
    let environment = Environment::read();
    let linear = said.linear || environment.term == "dumb";
    let terminal = io::stdin().is_terminal() && (linear || io::stdout().is_terminal());
    if said.unattended || !terminal {
        return Err(unasked(&said));
    }
    // A name that is of nothing is an error now, and not a device that has not come yet.
    for path in &said.devices {
        Named::resolve(path).map_err(Error::io("look at", path))?;
    }
    if said.images > 1 {
        let problem = format!("{} images, and questions are about one", said.images);
        return Err(Error::Usage { problem, next: "name one image, or for each image one device by --to" });
    }
    // That they cannot be written is told before anything is asked.
    said.receipts.as_ref().map(Receipts::open).transpose()?;
    let image = if said.images == 1 { images()?.pop() } else { None };
    let tree = paths.tree()?;
    let medium = select::medium_disks(&tree, &paths.state)?;
    let wanted = said.map.wanted(&paths.state);
    // What a desktop mounted by itself is shown, and unmounted after consent.
    let wishes = Wishes { unmount: true, ..said.wishes };
    let Said { devices: named, authority, wait_return, receipts, save_answers, size, .. } = said;
    let lock = paths.lock.clone();
    let setting = Setting {
        tree,
        medium,
        named,
        image,
        authority,
        wanted,
        wishes,
        wait_return,
        receipts,
        save_answers,
        lock,
    };
    if linear {
        return run(setting, &mut Lines::default());
    }
    let colour = Spec::load(Edition::Freemium).map(|spec| spec.colour.installer).unwrap_or_default();
    let mut face = FullScreen::open(size, Theme::choose(&environment, &colour))?;
    let code = run(setting, &mut face)?;
    face.close()?;
    Ok(code)
}

/// Something is to be asked, and nobody is there.
fn unasked(said: &Said) -> Error {
    let missing = match (said.images > 0, said.device) {
        (false, false) => "no image and no device is",
        (false, true) => "no image is",
        (true, false) => "no device is",
        (true, true) => "no answers are",
    };
    Error::Usage {
        problem: format!("{missing} given, and nobody can be asked"),
        next: "use `aegis-installer flash IMAGE --to DEVICE --serial SERIAL`, or a terminal",
    }
}
