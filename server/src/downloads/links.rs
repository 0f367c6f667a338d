//! Links that open one file until a time.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;

use crate::{clock::TOLERANCE, secret::Dated};

/// What is signed begins with this, so that no other text of this server passes for a link.
const DOMAIN: &str = "aegis-server download v1";

/// Seconds that a link opens, at most: a year. One that opens for longer was made by a clock that was ahead.
const LONGEST: i64 = 8760 * 3600;

/// Signs and checks links.
pub struct Links {
    key: hmac::Key,
    /// Keys whose links are taken too, each before a time in seconds since 1970.
    others: Vec<(hmac::Key, i64)>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}

impl Links {
    /// Links of a secret of 32 bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), others: Vec::new() }
    }

    /// Takes links of other secrets too, each as long as its time says.
    #[must_use]
    pub fn with(mut self, others: &[Dated]) -> Self {
        let key = |one: &Dated| (hmac::Key::new(hmac::HMAC_SHA256, &one.key), one.until);
        self.others.extend(others.iter().map(key));
        self
    }

    /// The path with a query that opens it before `expires`, seconds since 1970.
    pub fn sign(&self, path: &str, expires: i64) -> String {
        let tag = hmac::sign(&self.key, message(path, expires).as_bytes());
        format!("{path}?expires={expires}&signature={}", HEXLOWER.encode(tag.as_ref()))
    }

    /// Whether the query opens the path at a time.
    pub fn opens(&self, path: &str, query: &str, now: i64) -> bool {
        let read = || {
            let (expires, signature) = query.strip_prefix("expires=")?.split_once("&signature=")?;
            let signature = HEXLOWER.decode(signature.as_bytes()).ok()?;
            Some((expires.parse::<i64>().ok()?, signature))
        };
        let Some((expires, signature)) = read() else { return false };
        // The text of the number is ours again, so that each link has one form.
        let message = message(path, expires);
        let signed = |key| hmac::verify(key, message.as_bytes(), &signature).is_ok();
        let mut others = self.others.iter().filter(|(_, until)| now < *until);
        let lasts = (1..=LONGEST + TOLERANCE).contains(&expires.saturating_sub(now));
        lasts && (signed(&self.key) || others.any(|(key, _)| signed(key)))
    }
}

fn message(path: &str, expires: i64) -> String {
    format!("{DOMAIN}\n{path}\n{expires}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_its_file_in_its_time() {
        let links = Links::new(&[7; 32]);
        let (path, link) = ("/download/gamer/1.0.0/a.iso", links.sign("/download/gamer/1.0.0/a.iso", 1000));
        let query = link.split_once('?').unwrap().1;
        assert!(links.opens(path, query, 999));
        assert!(!links.opens(path, query, 1000));
        assert!(!links.opens(path, query, 1000 - LONGEST - TOLERANCE - 1), "the clock was put back");
        assert!(!links.opens("/download/gamer/1.0.0/b.iso", query, 999));
        assert!(!links.opens(path, &query.replace("1000", "2000"), 999));
        assert!(!Links::new(&[8; 32]).opens(path, query, 999));
        for place in 0..query.len() {
            let mut changed = query.as_bytes().to_vec();
            changed[place] ^= 1;
            assert!(!links.opens(path, &String::from_utf8_lossy(&changed), 999), "{place}");
            assert!(!links.opens(path, &query[..place], 999));
        }
        assert!(!links.opens(path, &format!("{query}&x=1"), 999));
    }

    #[test]
    fn links_of_a_former_secret_are_taken_in_its_time() {
        let path = "/download/gamer/1.0.0/a.iso";
        let link = Links::new(&[7; 32]).sign(path, 1000);
        let query = link.split_once('?').unwrap().1;
        let links = Links::new(&[8; 32]).with(&[Dated { key: [7; 32], from: 0, until: 500 }]);
        assert!(links.opens(path, query, 499) && !links.opens(path, query, 500));
        assert!(!Links::new(&[7; 32]).opens(path, links.sign(path, 1000).split_once('?').unwrap().1, 499));
    }
}
