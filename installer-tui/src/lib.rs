//! Installs Aegis OS to a disk, by screens or by an answer file.
