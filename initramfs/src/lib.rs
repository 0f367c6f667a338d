//! PID 1 of the Aegis OS initramfs.
