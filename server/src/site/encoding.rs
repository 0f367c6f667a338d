//! Which content coding an answer gets (RFC 9110, 12.5.3), and whether the client has it already (13.1.2).

use axum::http::{HeaderMap, header};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// `br`
    Brotli,
    /// `gzip`
    Gzip,
    /// None.
    Identity,
}

/// Weights in thousandths, as far as the header gives them.
#[derive(Clone, Copy, Debug, Default)]
struct Weights {
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    other: Option<u16>,
}

impl Weights {
    /// Reads every `Accept-Encoding`; `None` when there is none. A part that is malformed counts as absent.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::ACCEPT_ENCODING).iter().peekable();
        values.peek()?;
        let mut weights = Self::default();
        for part in values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
            let (name, weight) =
                part.split_once(';').map_or((part, Some(1000)), |(name, q)| (name, weight(q)));
            let Some(weight) = weight else { continue };
            let place = match name.trim().to_ascii_lowercase().as_str() {
                "br" => &mut weights.brotli,
                "gzip" | "x-gzip" => &mut weights.gzip,
                "identity" => &mut weights.identity,
                "*" => &mut weights.other,
                _ => continue,
            };
            *place = Some(weight);
        }
        Some(weights)
    }
}

/// Reads `q=0.5` to 500.
fn weight(text: &str) -> Option<u16> {
    let (name, value) = text.trim().split_once('=')?;
    if !name.trim_end().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.trim_start().split_once('.').unwrap_or((value.trim_start(), ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// The coding that the client likes best of those that there are; of equals the smallest. `None` when it refuses all.
pub(super) fn choose(headers: &HeaderMap, brotli: bool, gzip: bool) -> Option<Coding> {
    let Some(weights) = Weights::read(headers) else { return Some(Coding::Identity) };
    let coded = |there: bool, weight: Option<u16>| {
        if there { weight.or(weights.other).unwrap_or(0) } else { 0 }
    };
    // Without a word about it, plain is acceptable, and less wanted than what was named.
    let refused = weights.other == Some(0) && weights.identity.is_none();
    let (plain, wanted) = (weights.identity.unwrap_or(0), weights.identity.is_none() && !refused);
    let best = [
        (Coding::Brotli, coded(brotli, weights.brotli)),
        (Coding::Gzip, coded(gzip, weights.gzip)),
        (Coding::Identity, plain),
    ]
    .into_iter()
    .filter(|(_, weight)| *weight > 0)
    .rev()
    .max_by_key(|(_, weight)| *weight)
    .map(|(coding, _)| coding);
    best.or(wanted.then_some(Coding::Identity))
}

/// Whether `If-None-Match` names this entity tag, compared weakly.
pub(super) fn has(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    values.filter_map(|value| value.to_str().ok()).any(|value| names(value, etag))
}

fn names(list: &str, etag: &str) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut rest = list.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        // An entity tag may hold a comma, and never a quote.
        let Some(end) = tag.strip_prefix('"').and_then(|inner| inner.find('"')) else { return false };
        let (tag, after) = tag.split_at(end + 2);
        if tag == etag {
            return true;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_client_decides() {
        use Coding::{Brotli, Gzip, Identity};
        for (value, expected) in [
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("gzip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("GZIP;Q=0.5", Some(Gzip)),
            ("br;q=0.5, gzip;q=0.8", Some(Gzip)),
            ("br;q=0.5, gzip;q=0.5", Some(Brotli)),
            ("br ; q = 0.001", Some(Brotli)),
            ("br;q=0, gzip;q=0", Some(Identity)),
            ("*", Some(Brotli)),
            ("br;q=0, *", Some(Gzip)),
            ("*;q=0.2, gzip;q=0.3", Some(Gzip)),
            ("identity", Some(Identity)),
            ("identity;q=0.5, gzip;q=1.0", Some(Gzip)),
            ("identity;q=1, gzip;q=0.5", Some(Identity)),
            ("identity;q=0.5, br;q=0.5", Some(Brotli)),
            ("identity;q=0", None),
            ("*;q=0", None),
            ("*;q=0, identity;q=0.1", Some(Identity)),
            ("gzip, *;q=0", Some(Gzip)),
            ("identity;q=0, gzip", Some(Gzip)),
            ("", Some(Identity)),
            ("deflate", Some(Identity)),
            // Malformed parts count as absent.
            ("br;q=2, gzip", Some(Gzip)),
            ("br;q=1.001, gzip", Some(Gzip)),
            ("br;q=-1, gzip;q=0.1", Some(Gzip)),
            ("br;q=0.0001, gzip", Some(Gzip)),
            ("br;level=9, gzip", Some(Gzip)),
            ("br;q=, gzip", Some(Gzip)),
            (",,;,br", Some(Brotli)),
        ] {
            assert_eq!(choose(&accepting(&[value]), true, true), expected, "{value}");
        }
        assert_eq!(choose(&accepting(&[]), true, true), Some(Identity));
        assert_eq!(choose(&accepting(&["br;q=0.1", "gzip;q=0.9"]), true, true), Some(Gzip));
    }

    #[test]
    fn only_what_is_there_is_chosen() {
        assert_eq!(choose(&accepting(&["br, gzip;q=0.1"]), false, true), Some(Coding::Gzip));
        assert_eq!(choose(&accepting(&["br, gzip"]), false, false), Some(Coding::Identity));
        assert_eq!(choose(&accepting(&["br, identity;q=0"]), false, false), None);
    }

    #[test]
    fn tags_are_compared_weakly_and_whole() {
        for (list, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", W/\"a\"", true),
            (" ,\t\"b\",,\"a\" ", true),
            ("\"b,c\",\"a\"", true),
            ("*", true),
            ("\"b, \"a\"", false),
            ("\"*\"", false),
            ("a", false),
            ("w/\"a\"", false),
            ("\"A\"", false),
            ("\"aa\"", false),
            ("\"a", false),
            ("", false),
            ("\"b\" x, \"a\"", false),
        ] {
            assert_eq!(names(list, "\"a\""), expected, "{list}");
        }
    }
}
