//! A license from the operator's desk to a machine that it is bound to, and over a restart.

use std::{path::PathBuf, process::Command};

use aegis_tests::{Error, Failure, TestResult, host, shell::Shell};
use serde_json::Value;

/// Features of a machine that is asked for them; exit status 1 is the answer that there is no license.
fn status(shell: &mut Shell<'_>) -> Result<(i32, Value), Failure> {
    let (status, text) = shell.status("aegis-license status --json", host::patience(60))?;
    let answer = serde_json::from_str(&text);
    Ok((status, answer.map_err(|error| Failure::new(format!("{text:?} is no answer: {error}")))?))
}

/// A new machine has no license; it asks for one, and gets it from the keys that signed its medium.
pub(crate) fn install(shell: &mut Shell<'_>) -> TestResult {
    let (code, before) = status(shell)?;
    assert_eq!((code, &before["verdict"]), (1, &"unknown".into()), "{before}");
    let request = shell.run("sudo -n aegis-license request")?;
    for line in issue(&request)?.lines() {
        shell.run(&format!("echo '{line}' >>license"))?;
    }
    shell.run("sudo -n aegis-license install license")?;
    let (code, after) = status(shell)?;
    assert_eq!((code, &after["verdict"]), (0, &"valid".into()), "{after}");
    let granted = |answer: &Value| answer["flags"].as_array().map(Vec::len).unwrap_or_default();
    assert!(granted(&after) > granted(&before), "{before} {after}");
    Ok(())
}

/// The operator issues a license for the machine that wrote the request.
fn issue(request: &str) -> Result<String, Failure> {
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    let at = |name: &str| -> PathBuf { directory.path().join(name) };
    std::fs::write(at("request"), request).map_err(Error::io("write", at("request")))?;
    let mut command = Command::new(host::target_directory().join("release/aegis"));
    command.args(["license", "issue", "--edition", "server", "--kind", "annual"]);
    command.arg("--machine").arg(at("request")).arg("--out").arg(at("license"));
    let output = command.output().map_err(Error::io("start", "aegis"))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(std::fs::read_to_string(at("license")).map_err(Error::io("read", at("license")))?)
}

/// After a restart, PID 1 of the initramfs has judged the license before the system started.
pub(crate) fn check(shell: &mut Shell<'_>) -> TestResult {
    let (code, answer) = status(shell)?;
    assert_eq!((code, &answer["verdict"]), (0, &"valid".into()), "{answer}");
    let boot = shell.run("cat /run/aegis/boot.json")?;
    assert!(boot.contains("\"license\":{\"verdict\":\"valid\""), "{boot}");
    let granted = shell.run("cat /run/aegis/entitlements.json")?;
    assert!(granted.contains("\"verdict\":\"valid\""), "{granted}");
    Ok(())
}
