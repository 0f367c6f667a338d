//! The program when it is not PID 1.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aegis-init")).args(arguments).output().expect("the program starts")
}

#[test]
fn refuses_to_run_as_an_ordinary_program() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: aegis-init is the first program of a boot"), "{message}");
    assert!(message.contains("\n  next: "), "{message}");
}

#[test]
fn tells_its_version() {
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, format!("aegis-init {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
}
