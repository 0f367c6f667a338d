//! The kernel's Kconfig files, read as far as questions about symbols need it.
