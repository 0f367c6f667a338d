//! Disks and answers that the installer must not accept; nothing is written in any of these cases.

use aegis_tests::{TestResult, host::patience, shell::Shell};

use crate::answers::{CARRIER, DISK, FILE};

/// A change of the answer file by sed, the exit status that must follow, and what the message must say.
const CASES: [(&str, &str, i32, &str); 7] = [
    ("the medium itself", "s/^serial = .*/serial = \"AEGISMEDIUM\"/", 3, "this system runs from it"),
    ("a disk that is too small", "s/^serial = .*/serial = \"SMALL\"/", 3, "it is too small"),
    ("a disk that cannot be written", "s/^serial = .*/serial = \"LOCKED\"/", 3, "it is read-only"),
    ("a disk in use", "s/^serial = .*/serial = \"ANSWERS\"/", 3, "is mounted at /run/answers"),
    ("a disk that is not there", "s/^serial = .*/serial = \"NONE\"/", 3, "0 disks have serial `NONE`"),
    ("another edition", "s/^edition = .*/edition = \"gamer\"/", 2, "the medium holds server"),
    ("an unknown name", "s/^hostname/hostnme/", 2, "unknown field `hostnme`"),
];

/// Checks every case, and that a consent that names another disk is not enough.
pub(crate) fn check(shell: &mut Shell<'_>) -> TestResult {
    for (what, change, expected, message) in CASES {
        let command = format!(
            "sed '{change}' {FILE} >/tmp/refused.toml; aegis-installer install --answers /tmp/refused.toml --plan 2>&1"
        );
        let (status, output) = shell.status(&command, patience(120))?;
        assert_eq!(status, expected, "{what}: {output}");
        assert!(joined(&output).contains(message), "{what}: {output}");
    }
    let command = format!(
        "sed 's/^confirm = .*/confirm = \"OTHER\"/' {FILE} >/tmp/refused.toml; \
         aegis-installer install --answers /tmp/refused.toml 2>&1"
    );
    let (status, output) = shell.status(&command, patience(120))?;
    assert_eq!(status, 3, "{output}");
    assert!(joined(&output).contains(&format!("confirmed by `{DISK}`, not by `OTHER`")), "{output}");
    check_list(shell)
}

/// `devices --json` gives the same reasons.
fn check_list(shell: &mut Shell<'_>) -> TestResult {
    let list: serde_json::Value = serde_json::from_str(&shell.run("aegis-installer devices --json")?)
        .map_err(|error| aegis_tests::Failure::new(error.to_string()))?;
    let refused = |serial: &str| {
        let disk = list["disks"].as_array()?.iter().find(|entry| entry["confirm"] == serial)?;
        Some(
            disk["refused"].as_array()?.iter().map(|reason| reason["reason"].to_string()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(refused(DISK), Some(Vec::new()), "{list:#}");
    for (serial, reason) in [("AEGISMEDIUM", "medium"), ("LOCKED", "read-only"), (CARRIER, "in-use")] {
        let reasons = refused(serial).unwrap_or_default();
        assert!(reasons.iter().any(|found| found == &format!("{reason:?}")), "{serial}: {list:#}");
    }
    Ok(())
}

/// The text without the terminal's line breaks.
fn joined(output: &str) -> String {
    output.split_whitespace().collect::<Vec<_>>().join(" ")
}
