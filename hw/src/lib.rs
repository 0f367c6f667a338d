//! Disks: inventory, partition plans and the one writer of disks.
