//! What `passkey.js` and clients of the API send of an authenticator's answer, in the names of WebAuthn's own JSON (section 5.1).

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use crate::accounts::Denied;

/// Names of transports that are kept (section 5.8.4), and their bytes.
const TRANSPORTS: usize = 8;
const LONGEST_TRANSPORT: usize = 20;

/// Bytes in base64url.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Base64Url(pub(super) Vec<u8>);

impl TryFrom<String> for Base64Url {
    type Error = data_encoding::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64URL_NOPAD.decode(text.as_bytes()).map(Self)
    }
}

impl PartialSchema for Base64Url {
    /// The one spelling of each sequence of bytes, without `=` at its end (RFC 4648, section 5).
    fn schema() -> RefOr<Schema> {
        let one = "[A-Za-z0-9_-]";
        let last = format!("{one}[AQgw]|{one}{{2}}[AEIMQUYcgkosw048]");
        let pattern = format!("^({one}{{4}})*({last})?$");
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
    }
}

impl ToSchema for Base64Url {}

/// That a passkey was made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Attestation {
    #[serde(rename = "clientDataJSON")]
    pub(super) client_data: Base64Url,
    pub(super) attestation_object: Base64Url,
    transports: Vec<String>,
}

/// That a passkey was used: of a `PublicKeyCredential` and its response what is looked at, bytes in base64url.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = PasskeyAssertion)]
pub struct Assertion {
    /// The id of the passkey.
    pub(super) id: Base64Url,
    #[serde(rename = "clientDataJSON")]
    pub(super) client_data: Base64Url,
    pub(super) authenticator_data: Base64Url,
    pub(super) signature: Base64Url,
    /// Whose it is. Authenticators may leave it out where the passkey was named in the options.
    pub(super) user_handle: Option<Base64Url>,
}

impl Assertion {
    /// Reads what a form brings.
    ///
    /// # Errors
    /// [`Denied::Passkey`] for anything else.
    pub fn parse(json: &str) -> Result<Self, Denied> {
        parse(json)
    }
}

/// Reads an answer.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Denied> {
    serde_json::from_str(json).map_err(|_unreadable| Denied::Passkey)
}

impl Attestation {
    /// How the authenticator is reached, as words of letters; a hint for browsers, believed by nobody.
    pub(super) fn transports(&self) -> String {
        let plain = |text: &&String| {
            (1..=LONGEST_TRANSPORT).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        self.transports
            .iter()
            .filter(plain)
            .take(TRANSPORTS)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_words() {
        let of = |transports: &str| {
            let json = format!(r#"{{"clientDataJSON":"","attestationObject":"","transports":{transports}}}"#);
            parse::<Attestation>(&json).map(|answer| answer.transports())
        };
        assert_eq!(of(r#"["usb","smart-card"]"#).unwrap(), "usb smart-card");
        assert_eq!(of(r#"["","A","a b","ü","hybrid"]"#).unwrap(), "hybrid");
        assert_eq!(of(&format!("[{}]", vec![r#""nfc""#; 50].join(","))).unwrap().matches("nfc").count(), 8);
        assert!(of(r#""usb""#).is_err());
    }

    #[test]
    fn other_shapes_and_spellings_are_none() {
        let good = r#"{"id":"AA","clientDataJSON":"","authenticatorData":"","signature":""}"#;
        assert!(parse::<Assertion>(good).is_ok());
        for bad in [
            good.replace("AA", "AA=="),
            good.replace("AA", "AB"),
            good.replace("AA", "+/"),
            good.replace(r#""signature":"""#, r#""signature":"","signature":"""#),
            good.replace(r#""signature":"""#, r#""signature":"","extra":"""#),
            good.replace(r#","signature":"""#, ""),
            String::new(),
        ] {
            assert!(parse::<Assertion>(&bad).is_err(), "{bad}");
        }
    }
}
