//! Several plans that are written at the same time, and what is done about devices that come and go meanwhile.

use std::fmt;

use serde::Serialize;

use super::{
    auto::Auto,
    plan::{FlashPlan, check_confirmation, refused},
};
use crate::{error::Error, plan::TargetDisk};

/// Everything that one run writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// One for each image; each device is in one of them.
    pub writes: Vec<FlashPlan>,
    /// Blank sticks that are taken as they are plugged in; they get the first image, which is the only one then.
    pub auto: Option<Auto>,
    /// Seconds for which a device that was pulled out is waited for.
    pub wait_return: Option<u64>,
}

impl Batch {
    /// Puts plans together.
    ///
    /// # Errors
    /// When two of them have the same device, or one writes over the image of another.
    pub fn new(writes: Vec<FlashPlan>, auto: Option<Auto>, wait_return: Option<u64>) -> Result<Self, Error> {
        let images = writes.iter().map(|plan| &plan.image.path);
        let images: Vec<_> = images.filter_map(|path| path.canonicalize().ok()).collect();
        for (number, plan) in writes.iter().enumerate() {
            for target in &plan.targets {
                let others = writes[..number].iter().flat_map(|plan| &plan.targets);
                if others.into_iter().any(|other| other.path == target.path) {
                    return Err(refused(target, "it is named twice".into(), "name each device once"));
                }
                if images.contains(&target.path) {
                    return Err(refused(target, "it is an image".into(), "choose another device"));
                }
            }
        }
        Ok(Self { writes, auto, wait_return })
    }

    /// The devices that are known before, in order.
    pub fn targets(&self) -> Vec<&TargetDisk> {
        self.writes.iter().flat_map(|plan| &plan.targets).collect()
    }

    /// What has to be typed before anything is written, with what it allows.
    pub fn questions(&self) -> Vec<(String, String)> {
        let devices = self.targets().into_iter().map(|target| {
            let what = format!("erase {}", target.path.display());
            (target.token.clone(), what)
        });
        let auto = self.auto.iter().map(|auto| (auto.consent(), format!("erase {auto}")));
        devices.chain(auto).collect()
    }

    /// Demands that exactly the devices that will be erased were named, and [`Auto::consent`] where sticks are taken.
    ///
    /// # Errors
    /// [`Error::Confirmation`] with the first one that was not named, or the first name that is of none.
    pub fn check_confirmation(&self, typed: &[String]) -> Result<(), Error> {
        let mut typed = typed.to_vec();
        if let Some(auto) = &self.auto {
            let consent = auto.consent();
            let Some(at) = typed.iter().position(|word| *word == consent) else {
                return Err(Error::Confirmation { expected: consent, found: typed.join(", ") });
            };
            typed.remove(at);
        }
        check_confirmation(&self.targets(), &typed)
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.writes.iter().try_for_each(|plan| plan.fmt(f))?;
        if let Some(auto) = &self.auto {
            writeln!(f, "Taken      {auto}")?;
            writeln!(f, "           confirmed by `{}`", auto.consent())?;
        }
        match self.wait_return {
            Some(seconds) => writeln!(f, "A device that is pulled out is waited for, {seconds} s."),
            None => Ok(()),
        }
    }
}
