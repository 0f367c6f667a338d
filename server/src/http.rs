//! What all answers share: problems, request numbers, headers.

mod problem;

pub use problem::{Code, Problem};
