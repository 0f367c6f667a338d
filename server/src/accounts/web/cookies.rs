//! The cookies: of the session, of a device that was signed in before, and of a visitor's forms.

use axum::http::{HeaderMap, HeaderValue, header};

use super::read;
use crate::accounts::{Accounts, Secret, Started};

/// One of our cookies.
#[derive(Clone, Copy)]
pub(super) enum Cookie {
    Session,
    Device,
    Visitor,
}

/// Seconds that a browser keeps the cookie of a device.
const DEVICE: i64 = 180 * 24 * 3600;

impl Accounts {
    /// With TLS the name has a prefix by which browsers refuse it from anybody but this very host (RFC 6265bis).
    fn cookie_name(&self, cookie: Cookie) -> &'static str {
        match (cookie, self.secure()) {
            (Cookie::Session, true) => "__Host-aegis",
            (Cookie::Session, false) => "aegis",
            (Cookie::Device, true) => "__Host-aegis-device",
            (Cookie::Device, false) => "aegis-device",
            (Cookie::Visitor, true) => "__Host-aegis-visitor",
            (Cookie::Visitor, false) => "aegis-visitor",
        }
    }

    pub(super) fn cookie_in(&self, headers: &HeaderMap, cookie: Cookie) -> Option<Secret> {
        read::cookie(headers, self.cookie_name(cookie))
    }

    /// Sets a cookie; `None` removes it.
    pub(super) fn set_cookie(&self, headers: &mut HeaderMap, cookie: Cookie, value: Option<&Secret>) {
        let (name, secure) = (self.cookie_name(cookie), if self.secure() { "; Secure" } else { "" });
        let age = match (value, cookie) {
            (None, _) => "; Max-Age=0".into(),
            (Some(_), Cookie::Session) => format!("; Max-Age={}", self.settings.absolute),
            (Some(_), Cookie::Device) => format!("; Max-Age={DEVICE}"),
            (Some(_), Cookie::Visitor) => String::new(),
        };
        let value = value.map_or("", Secret::reveal);
        let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}");
        // Names and base64url fit a header.
        if let Ok(line) = HeaderValue::from_str(&line) {
            headers.append(header::SET_COOKIE, line);
        }
    }

    /// The cookies of a session that begins.
    pub(super) fn set_started(&self, headers: &mut HeaderMap, started: &Started) {
        self.set_cookie(headers, Cookie::Session, Some(&started.session));
        if started.device.is_some() {
            self.set_cookie(headers, Cookie::Device, started.device.as_ref());
        }
    }
}
