//! No license is judged.

use aegis_core::key::PublicKey;
use serde::Serialize;

use crate::search::Found;

/// There is none.
#[derive(Debug, Serialize)]
pub(crate) enum License {}

/// Nothing.
pub(crate) fn judge(_found: &Found, _keys: &[PublicKey]) -> Option<License> {
    None
}
