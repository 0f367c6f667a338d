//! Headers that keep a browser from doing what no page asks of it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// What pages may load: style and pictures of their own. There is no script, and nothing is inline.
const CONTENT: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                       frame-ancestors 'none'; base-uri 'none'";

/// The same for a page with a script of ours, which asks this site alone and makes no code of texts.
const SCRIPTED: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
                        form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
                        require-trusted-types-for 'script'";

/// In the extensions of an answer: it is a page with a script.
#[derive(Clone, Copy, Debug)]
pub struct Scripted;

/// Devices and sensors that no page uses.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
                           magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()";

/// Sets the headers that every HTML answer has.
pub fn security_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT),
        // For browsers from before `frame-ancestors`.
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // `no-referrer` would make browsers send `Origin: null` with forms, and those are checked by their origin.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Lets a page load the script, after [`security_headers`].
pub(super) fn allow_script(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SCRIPTED));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_inline_and_nothing_from_elsewhere() {
        let mut headers = HeaderMap::new();
        security_headers(&mut headers);
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        for word in ["unsafe", "data:", "http", "*", "script-src"] {
            assert!(!policy.contains(word), "{word}");
        }
        assert_eq!(headers.len(), 7);
    }
    #[test]
    fn a_page_with_a_script_loads_no_other() {
        let mut headers = HeaderMap::new();
        security_headers(&mut headers);
        let without = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        allow_script(&mut headers);
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(without.split("; ").all(|part| policy.contains(part)));
        for word in ["unsafe", "data:", "http", "*", "nonce", "strict-dynamic"] {
            assert!(!policy.contains(word), "{word}");
        }
        assert_eq!(policy.matches("'self'").count(), 5);
    }
}
