//! Ctrl-C, where that is not a signal that can be waited for.

use std::io;

use aegis_hw::Interrupts;

/// Whether somebody asked for the end.
pub(super) struct Asked(Interrupts);

impl Asked {
    /// From now on Ctrl-C no longer ends the program.
    pub(super) fn take() -> io::Result<Self> {
        Interrupts::take().map(Self)
    }

    /// Whether it was asked.
    pub(super) fn now(&self) -> bool {
        self.0.came()
    }
}
