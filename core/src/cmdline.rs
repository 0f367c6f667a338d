//! The `aegis.*` parameters of the kernel's command line: one parser, one printer.
//!
//! | parameter | meaning |
//! |---|---|
//! | `aegis.medium=ID` | boot the live medium whose signed manifest has this id |
//! | `aegis.install=ID` | boot the installed system with this id |
//! | `aegis.slot=a\|b` | slot of the installed system; default `a` |
//! | `aegis.check=verity\|full` | `full` hashes the whole image before it is used; default `verity`, which checks what is read |
//! | `aegis.wait=SECONDS` | longest wait for a device, 1 to 600; default 60 |
//! | `aegis.fail=menu\|reboot` | after a failure: the rescue menu (default) or a reboot after ten seconds |
//! | `aegis.persistence=off` | a live system keeps nothing, even where its stick has a partition for that |
//! | `aegis.rescue` | the rescue menu before anything is mounted |
//!
//! Exactly one of `aegis.medium` and `aegis.install` is needed. An unknown `aegis.*` parameter is reported and
//! ignored, so that an older initramfs boots with a newer loader. As everywhere in the kernel, the last
//! value wins and text after ` -- ` belongs to init.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use crate::{install::InstallId, manifest::MediumId, slot::Slot};

/// What to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A live medium.
    Medium(MediumId),
    /// An installed system.
    Installed {
        /// Which installation.
        id: InstallId,
        /// Which slot.
        slot: Slot,
    },
}

/// How much of the image is checked before it is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Each block when it is read, by dm-verity.
    #[default]
    Verity,
    /// Every byte before the first is used, then as `Verity`.
    Full,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The rescue menu waits for a person.
    #[default]
    Menu,
    /// The machine restarts after ten seconds, so that a boot counter can act.
    Reboot,
}

/// The parsed parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootParams {
    /// What to boot.
    pub target: Target,
    /// How much to check first.
    pub check: Check,
    /// Longest wait for a device, in seconds.
    pub wait: u16,
    /// What follows a failure.
    pub on_failure: OnFailure,
    /// Show the rescue menu first.
    pub rescue: bool,
    /// A live system uses the partition of its stick that keeps what is changed.
    pub persistence: bool,
}

/// Why the command line names nothing to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CmdlineError {
    /// Neither `aegis.medium` nor `aegis.install` is there.
    NoTarget,
    /// Both are there.
    TwoTargets,
    /// A parameter has a value that it cannot have.
    Value {
        /// Name of the parameter.
        name: &'static str,
        /// The value found.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
}

impl fmt::Display for CmdlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget => f.write_str("the command line has neither aegis.medium= nor aegis.install="),
            Self::TwoTargets => f.write_str("the command line has both aegis.medium= and aegis.install="),
            Self::Value { name, value, expected } => write!(f, "{name}={value} is not {expected}"),
        }
    }
}

impl core::error::Error for CmdlineError {}

/// Longest wait for a device by default, in seconds.
pub const DEFAULT_WAIT: u16 = 60;

impl BootParams {
    /// The defaults for a target.
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            check: Check::Verity,
            wait: DEFAULT_WAIT,
            on_failure: OnFailure::Menu,
            rescue: false,
            persistence: true,
        }
    }

    /// Parses `/proc/cmdline`. The second value lists `aegis.*` words that are not known.
    pub fn parse(cmdline: &str) -> Result<(Self, Vec<String>), CmdlineError> {
        let mut raw = Raw::default();
        let mut unknown = Vec::new();
        for word in cmdline.split_ascii_whitespace().take_while(|word| *word != "--") {
            let Some(rest) = word.strip_prefix("aegis.") else { continue };
            let (name, value) = rest.split_once('=').map_or((rest, None), |(n, v)| (n, Some(v)));
            if !raw.set(name, value)? {
                unknown.push(word.to_string());
            }
        }
        let target = match (raw.medium, raw.install) {
            (Some(id), None) => Target::Medium(id),
            (None, Some(id)) => Target::Installed { id, slot: raw.slot.unwrap_or(Slot::A) },
            (Some(_), Some(_)) => return Err(CmdlineError::TwoTargets),
            (None, None) => return Err(CmdlineError::NoTarget),
        };
        let params = Self {
            target,
            check: raw.check,
            wait: raw.wait.unwrap_or(DEFAULT_WAIT),
            on_failure: raw.on_failure,
            rescue: raw.rescue,
            persistence: !raw.persistence_off,
        };
        Ok((params, unknown))
    }
}

#[derive(Default)]
struct Raw {
    medium: Option<MediumId>,
    install: Option<InstallId>,
    slot: Option<Slot>,
    check: Check,
    wait: Option<u16>,
    on_failure: OnFailure,
    rescue: bool,
    persistence_off: bool,
}

impl Raw {
    /// `Ok(false)` for a name that is not known.
    fn set(&mut self, name: &str, value: Option<&str>) -> Result<bool, CmdlineError> {
        let text = value.unwrap_or_default();
        let bad = |name, expected| CmdlineError::Value { name, value: text.to_string(), expected };
        const ID: &str = "a number of 32 hexadecimal digits";
        match name {
            "medium" => self.medium = Some(MediumId::parse(text).ok_or_else(|| bad("aegis.medium", ID))?),
            "install" => self.install = Some(InstallId::parse(text).ok_or_else(|| bad("aegis.install", ID))?),
            "slot" => self.slot = Some(Slot::parse(text).ok_or_else(|| bad("aegis.slot", "a or b"))?),
            "check" => {
                self.check = match text {
                    "verity" => Check::Verity,
                    "full" => Check::Full,
                    _ => return Err(bad("aegis.check", "verity or full")),
                }
            }
            "wait" => {
                let seconds = text.parse().ok().filter(|s| (1..=600).contains(s));
                self.wait = Some(seconds.ok_or_else(|| bad("aegis.wait", "a number from 1 to 600"))?);
            }
            "fail" => {
                self.on_failure = match text {
                    "menu" => OnFailure::Menu,
                    "reboot" => OnFailure::Reboot,
                    _ => return Err(bad("aegis.fail", "menu or reboot")),
                }
            }
            "persistence" => {
                self.persistence_off = match text {
                    "on" => false,
                    "off" => true,
                    _ => return Err(bad("aegis.persistence", "on or off")),
                }
            }
            "rescue" if value.is_none() => self.rescue = true,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl fmt::Display for BootParams {
    /// The words for a kernel command line; defaults are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Medium(id) => write!(f, "aegis.medium={id}")?,
            Target::Installed { id, slot } => write!(f, "aegis.install={id} aegis.slot={slot}")?,
        }
        if self.check == Check::Full {
            f.write_str(" aegis.check=full")?;
        }
        if self.wait != DEFAULT_WAIT {
            write!(f, " aegis.wait={}", self.wait)?;
        }
        if self.on_failure == OnFailure::Reboot {
            f.write_str(" aegis.fail=reboot")?;
        }
        if self.rescue {
            f.write_str(" aegis.rescue")?;
        }
        if !self.persistence {
            f.write_str(" aegis.persistence=off")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn prints_what_it_parses() {
        for text in [
            format!("aegis.medium={ID}"),
            format!("aegis.medium={ID} aegis.rescue aegis.persistence=off"),
            format!(
                "aegis.install={ID} aegis.slot=b aegis.check=full aegis.wait=5 aegis.fail=reboot aegis.rescue"
            ),
        ] {
            let (params, unknown) = BootParams::parse(&text).unwrap();
            assert_eq!(params.to_string(), text);
            assert!(unknown.is_empty());
        }
    }

    #[test]
    fn last_value_wins_and_init_arguments_are_ignored() {
        let text = format!("quiet aegis.medium={ID} aegis.wait=5 aegis.wait=7 aegis.new=1 -- aegis.slot=x");
        let (params, unknown) = BootParams::parse(&text).unwrap();
        assert_eq!(params.wait, 7);
        assert_eq!(unknown, ["aegis.new=1"]);
    }

    #[test]
    fn wrong_values_are_named() {
        let message = |text: &str| BootParams::parse(text).unwrap_err().to_string();
        assert_eq!(message("quiet"), "the command line has neither aegis.medium= nor aegis.install=");
        assert_eq!(
            message(&format!("aegis.medium={ID} aegis.install={ID}")),
            "the command line has both aegis.medium= and aegis.install="
        );
        assert_eq!(message("aegis.medium=12"), "aegis.medium=12 is not a number of 32 hexadecimal digits");
        assert_eq!(message("aegis.slot=c"), "aegis.slot=c is not a or b");
        assert_eq!(message("aegis.wait=601"), "aegis.wait=601 is not a number from 1 to 600");
        assert_eq!(message("aegis.persistence=yes"), "aegis.persistence=yes is not on or off");
        assert_eq!(message("aegis.check"), "aegis.check= is not verity or full");
    }
}
