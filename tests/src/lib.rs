//! Whole-system tests of Aegis OS and their QEMU harness.
