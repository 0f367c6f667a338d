//! The Nu Html Checker, which validator.w3.org runs, over pages as they came from the site.

use std::{cell::Cell, fs, process::Command};

use crate::tools;

/// A page with a fault, without which a validator that finds nothing would pass.
const FAULT: &str = "<!DOCTYPE html><html lang=en><title>A fault</title><p><div></div></p></html>";

/// Pages in a folder.
pub(crate) struct Pages {
    folder: tempfile::TempDir,
    number: Cell<u32>,
}

impl Pages {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), number: Cell::new(0) }
    }

    /// Keeps one, under a name that says where it was.
    pub(crate) fn keep(&self, at: &str, html: &str) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = at.chars().map(plain).take(100).collect();
        self.number.set(self.number.get() + 1);
        fs::write(self.folder.path().join(format!("{}{name}.html", self.number.get())), html).unwrap();
    }

    /// What the validator finds in them and in the style sheet, a line each.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        fs::write(self.folder.path().join("fault.html"), FAULT).unwrap();
        let css = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/site.css");
        fs::copy(css, self.folder.path().join("site.css")).unwrap();
        let mut java = Command::new("java");
        java.arg("-jar").arg(tools::path("vnu-jar-26.9.27/vnu.jar"));
        let output = java.args(["--also-check-css", "--stdout"]).arg(self.folder.path()).output();
        let output = output.expect("java is missing: install default-jre-headless, or run tests/setup");
        let said = String::from_utf8(output.stdout).unwrap();
        let (faults, mistakes): (Vec<_>, Vec<_>) =
            said.lines().partition(|line| line.contains("/fault.html\""));
        assert!(
            !faults.is_empty(),
            "the validator misses a fault: {said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        mistakes.into_iter().map(str::to_owned).collect()
    }
}
