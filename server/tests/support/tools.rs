//! What `tests/setup` fetches for tests.

use std::path::PathBuf;

/// The path of something fetched.
pub(crate) fn path(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/aegis").join(name);
    assert!(path.exists(), "{} is missing: run tests/setup site, and tests/setup probes", path.display());
    path
}
