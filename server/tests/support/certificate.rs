//! Certificates that sign themselves.

use std::{path::Path, process::Command};

/// Makes one of a name and of 127.0.0.1: `NAME.pem`, and its key `NAME.key`.
pub(crate) fn certificate(directory: &Path, name: &str) {
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:false"]);
    command.arg("-keyout").arg(directory.join(format!("{name}.key")));
    command.arg("-out").arg(directory.join(format!("{name}.pem")));
    let made = command.output().expect("openssl is installed by tests/setup");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
