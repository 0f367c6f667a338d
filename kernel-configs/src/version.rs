//! Versions of the kernel, as far as layers compare them.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// `6.12.118`; a part that is not written is 0, so `6.14` is the first kernel of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KernelVersion {
    /// The first number.
    pub major: u16,
    /// The second, with the first the series.
    pub minor: u16,
    /// The stable release within the series.
    pub patch: u16,
}

impl FromStr for KernelVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split('.').map(|part| part.parse::<u16>().map_err(drop));
        let major = numbers.next().ok_or(())??;
        let minor = numbers.next().ok_or(())??;
        let patch = numbers.next().unwrap_or(Ok(0))?;
        if numbers.next().is_some() { Err(()) } else { Ok(Self { major, minor, patch }) }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch == 0 { Ok(()) } else { write!(f, ".{}", self.patch) }
    }
}

impl KernelVersion {
    /// The version of a kernel source, from the first lines of its `Makefile`.
    pub fn of_makefile(text: &str) -> Option<Self> {
        let number = |name: &str| {
            let line = text
                .lines()
                .take(10)
                .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
            line?.trim().parse().ok()
        };
        Some(Self { major: number("VERSION")?, minor: number("PATCHLEVEL")?, patch: number("SUBLEVEL")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        let version = |text: &str| text.parse::<KernelVersion>();
        assert!(version("6.9") < version("6.12") && version("6.12") < version("6.12.1"));
        for wrong in ["", "6", "6.", "6.12.1.2", "6.x", "v6.1", "6.12-rc1"] {
            assert_eq!(version(wrong), Err(()), "{wrong}");
        }
        let makefile = "# SPDX\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 118\nEXTRAVERSION =\n";
        assert_eq!(KernelVersion::of_makefile(makefile), version("6.12.118").ok());
        assert_eq!(KernelVersion::of_makefile("VERSION = 6\n"), None);
    }
}
