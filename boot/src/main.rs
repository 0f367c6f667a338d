//! Builds, signs, verifies and runs media of Aegis OS.

fn main() {}
