//! The two ways in which a device is written: by threads, and by the ring of its target.

use super::{
    Target,
    sick::{Memory, WithRing},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Threads,
    Ring,
}

impl Way {
    pub(crate) fn target(self, device: &Memory) -> Box<Target> {
        match self {
            Self::Threads => Box::new(device.clone()),
            Self::Ring => Box::new(WithRing(device.clone())),
        }
    }
}

/// Makes two tests of each function that takes a [`Way`].
macro_rules! both_ways {
    ($($name:ident)*) => {
        mod threads {
            $( #[test] fn $name() { super::$name(crate::ways::Way::Threads); } )*
        }
        mod ring_of_target {
            $( #[test] fn $name() { super::$name(crate::ways::Way::Ring); } )*
        }
    };
}
pub(crate) use both_ways;
