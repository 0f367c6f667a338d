//! Times and programs.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use crate::error::Error;

/// The middle value; of an even number, the mean of the two in the middle. Zero of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// What `work` returns, and how many seconds it took.
pub fn timed<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<(T, f64), Error> {
    let start = Instant::now();
    let result = work()?;
    Ok((result, start.elapsed().as_secs_f64()))
}

/// Runs `work` once, or three times when it takes less than `short` seconds; the median in seconds.
pub fn repeated(short: f64, mut work: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    let mut times = vec![timed(&mut work)?.1];
    if times[0] < short {
        times.push(timed(&mut work)?.1);
        times.push(timed(&mut work)?.1);
    }
    Ok(median(&times))
}

/// Runs a program to its end without input and returns its standard output; `name` is for errors.
pub fn run(name: &'static str, command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_owned();
    let output = command
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("start", &program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    Err(Error::Program { name, output: lines[lines.len().saturating_sub(15)..].join("\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 10.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 30.0]), 3.0);
    }

    #[test]
    fn a_failure_carries_the_reason() {
        let error = run("sh", Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "sh failed: why");
    }
}
