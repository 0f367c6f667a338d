//! The specification of each edition and everything derived from it.
