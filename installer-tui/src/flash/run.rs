//! From a plan to written devices.

use std::io;

use aegis_hw::target;
use nix::mount::{MntFlags, umount2};

use super::{
    engine::{self, Options, Order, Target},
    outcome::{Event, Outcome},
    plan::FlashPlan,
};
use crate::error::Error;

/// Opens every device of the plan, proves that it is the chosen one, and writes the image to all of them.
///
/// # Errors
/// When a device cannot be opened or is another one; none was changed then.
pub fn run(plan: &FlashPlan, observer: &mut dyn FnMut(Event) -> bool) -> Result<Vec<Outcome>, Error> {
    // What was mounted last comes off first.
    for at in plan.unmount.iter().rev() {
        umount2(at.as_str(), MntFlags::UMOUNT_NOFOLLOW)
            .map_err(|code| Error::io("unmount", at)(io::Error::from(code)))?;
    }
    let mut targets: Vec<Box<Target>> = Vec::new();
    for target in &plan.targets {
        targets.push(target::open_direct(&target.path, &target.identity)?);
    }
    let options = Options { update: plan.update, expected: plan.image.content_digest() };
    Ok(engine::flash(&Order { image: &plan.image, targets: &targets, options }, observer))
}
