//! Access tokens: JWS compact serialisation (RFC 7515) with one header, one algorithm and one set of claims.
//!
//! Invariant: of the header nothing is interpreted. It is ours byte for byte, or the token is refused; so there is no
//! algorithm to choose, no key to name and no parameter to smuggle in.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

/// RFC 9068: `at+jwt`, so that no token for another purpose passes.
const HEADER: &[u8] = br#"{"alg":"EdDSA","typ":"at+jwt"}"#;
/// Longer ones are not ours.
const LONGEST: usize = 2048;
/// Seconds by which clocks of our processes may differ.
const LEEWAY: i64 = 30;

/// What a token says. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sub: String,
    /// The family of refresh tokens, with which the token ends.
    pub(super) fam: String,
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
}

/// A signed token.
pub(super) fn sign(key: &Ed25519KeyPair, claims: &Claims) -> Result<String, serde_json::Error> {
    let claims = BASE64URL_NOPAD.encode(&serde_json::to_vec(claims)?);
    let mut token = format!("{}.{claims}", BASE64URL_NOPAD.encode(HEADER));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    token.push_str(&BASE64URL_NOPAD.encode(signature.as_ref()));
    Ok(token)
}

/// The claims of a token that this key signed, for this issuer and audience, now; of anything else nothing.
pub(super) fn verify(
    key: &Ed25519KeyPair,
    token: &str,
    issuer: &str,
    audience: &str,
    now: i64,
) -> Option<Claims> {
    let (signed, signature) = (token.len() <= LONGEST).then(|| token.rsplit_once('.'))??;
    let (header, claims) = signed.split_once('.')?;
    if header != BASE64URL_NOPAD.encode(HEADER) {
        return None;
    }
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
    let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
    public.verify(signed.as_bytes(), &signature).ok()?;
    let claims: Claims = serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()?;
    let for_us = claims.iss == issuer && claims.aud == audience;
    let now_good = claims.nbf <= now.saturating_add(LEEWAY)
        && claims.iat <= now.saturating_add(LEEWAY)
        && now < claims.exp;
    (for_us && now_good).then_some(claims)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn good() -> Value {
        json!({"iss": "i", "aud": "a", "sub": "s", "fam": "f", "iat": NOW, "nbf": NOW, "exp": NOW + 600, "jti": "j"})
    }

    /// Signed by our key, whatever it says.
    fn token(header: &str, claims: &str) -> String {
        let signed = format!(
            "{}.{}",
            BASE64URL_NOPAD.encode(header.as_bytes()),
            BASE64URL_NOPAD.encode(claims.as_bytes())
        );
        let signature = key().sign(signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    fn taken(token: &str) -> bool {
        verify(&key(), token, "i", "a", NOW).is_some()
    }

    fn ours(claims: &str) -> String {
        token(std::str::from_utf8(HEADER).unwrap(), claims)
    }

    #[test]
    fn what_we_sign_we_take() {
        let claims: Claims = serde_json::from_value(good()).unwrap();
        let token = sign(&key(), &claims).unwrap();
        assert_eq!(verify(&key(), &token, "i", "a", NOW), Some(claims));
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        assert!(verify(&other, &token, "i", "a", NOW).is_none());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(!taken(&String::from_utf8(bytes).unwrap()), "byte {at}");
        }
    }

    #[test]
    fn alg_none_and_every_other_header() {
        let claims = good().to_string();
        assert!(taken(&ours(&claims)));
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"none","typ":"at+jwt"}"#,
            r#"{"alg":"HS256","typ":"at+jwt"}"#,
            r#"{"alg":"EdDSA","typ":"JWT"}"#,
            r#"{"alg":"EdDSA"}"#,
            r#"{"typ":"at+jwt","alg":"EdDSA"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","crit":["exp"]}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","kid":"../../dev/null"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","jku":"https://evil.example/keys"}"#,
            r#"{"alg":"EdDSA","typ":"at+jwt","jwk":{"kty":"OKP"}}"#,
        ] {
            assert!(!taken(&token(header, &claims)), "{header}");
        }
        let unsigned = ours(&claims);
        assert!(!taken(&unsigned[..=unsigned.rfind('.').unwrap()]), "no signature");
    }

    #[test]
    fn hs256_with_the_public_key_as_the_secret() {
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"at+jwt"}"#);
        for header in [header, BASE64URL_NOPAD.encode(HEADER)] {
            let signed = format!("{header}.{}", BASE64URL_NOPAD.encode(good().to_string().as_bytes()));
            let secret = hmac::Key::new(hmac::HMAC_SHA256, key().public_key().as_ref());
            let tag = hmac::sign(&secret, signed.as_bytes());
            assert!(!taken(&format!("{signed}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))));
        }
    }

    #[test]
    fn claims_of_the_wrong_kind_although_signed() {
        let changes = [
            ("exp", json!((NOW + 600).to_string())),
            ("exp", json!(NOW)),
            ("exp", Value::Null),
            ("exp", json!(1.5e9)),
            ("nbf", json!(NOW + 31)),
            ("nbf", json!(NOW.to_string())),
            ("iat", json!(NOW + 3600)),
            ("aud", json!(["a"])),
            ("aud", json!("b")),
            ("iss", json!("x")),
            ("sub", json!(1)),
            ("admin", json!(true)),
        ];
        for (name, value) in changes {
            let mut claims = good();
            claims[name] = value;
            assert!(!taken(&ours(&claims.to_string())), "{claims}");
        }
        for name in ["iss", "aud", "sub", "fam", "iat", "nbf", "exp", "jti"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(name);
            assert!(!taken(&ours(&claims.to_string())), "without {name}");
        }
        let good = good().to_string();
        for text in [
            good.replacen('{', r#"{"exp":1,"#, 1),
            good.replace(&(NOW + 600).to_string(), "1e400"),
            good.replace(&(NOW + 600).to_string(), "99999999999999999999"),
            format!("{good} {{}}"),
            "[]".into(),
            String::new(),
        ] {
            assert!(!taken(&ours(&text)), "{text}");
        }
    }

    #[test]
    fn other_spellings_of_a_good_token() {
        let token = ours(&good().to_string());
        for text in [
            format!("{token}="),
            format!(" {token}"),
            token.replacen('.', "..", 1),
            format!("{token}.x"),
            "..".into(),
        ] {
            assert!(!taken(&text), "{text}");
        }
        assert!(!taken(&"x".repeat(3000)));
    }
}
