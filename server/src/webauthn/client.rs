//! What the browser says of the page that asked: client data (WebAuthn, section 5.8.1).

use serde::Deserialize;

/// Bytes of client data at most; browsers write some hundred.
const LONGEST: usize = 4096;

/// The members that are looked at. Others may follow (section 5.8.1.3).
#[derive(Debug, Deserialize)]
pub(super) struct ClientData {
    /// `webauthn.create` or `webauthn.get`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The challenge in base64url.
    pub(super) challenge: String,
    /// Scheme, host and port of the page.
    pub(super) origin: String,
    /// Whether the page was within one of another origin.
    #[serde(default, rename = "crossOrigin")]
    pub(super) cross_origin: Option<bool>,
    /// The origin of that one.
    #[serde(default, rename = "topOrigin")]
    pub(super) top_origin: Option<String>,
}

impl ClientData {
    /// Reads the JSON; a member that is there twice is an error, as it is to nobody's good.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        // UTF-8 decode as section 7.1 step 5 means it takes a byte order mark away.
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let is_object = json.first() == Some(&b'{') && json.len() <= LONGEST;
        is_object.then(|| serde_json::from_slice(json).ok())?
    }
}
