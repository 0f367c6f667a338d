//! Conditional requests, in the order of RFC 9110 section 13.2.2.

use axum::http::{HeaderMap, HeaderName, Method, header};

/// What names the state of a file.
#[derive(Clone, Debug)]
pub struct Validators {
    /// A strong entity tag, with its quotes.
    pub etag: String,
    /// When it was published, seconds since 1970.
    pub modified: i64,
}

/// What the conditions of a request make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is answered; `Range` counts only when the value is true.
    Go {
        /// Whether `Range` is honoured.
        ranges: bool,
    },
    /// 304: the client has it.
    NotModified,
    /// 412: the client has something else.
    Failed,
}

/// Evaluates the conditions of a GET or HEAD.
pub fn evaluate(method: &Method, headers: &HeaderMap, file: &Validators) -> Outcome {
    let dated = |name| date(headers, name);
    if headers.contains_key(header::IF_MATCH) {
        if !matches(headers, header::IF_MATCH, &file.etag, true) {
            return Outcome::Failed;
        }
    } else if dated(header::IF_UNMODIFIED_SINCE).is_some_and(|date| file.modified > date) {
        return Outcome::Failed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        if matches(headers, header::IF_NONE_MATCH, &file.etag, false) {
            return Outcome::NotModified;
        }
    } else if dated(header::IF_MODIFIED_SINCE).is_some_and(|date| file.modified <= date) {
        return Outcome::NotModified;
    }
    let ranges = method == Method::GET && headers.contains_key(header::RANGE) && if_range(headers, file);
    Outcome::Go { ranges }
}

/// Whether the part that is asked for belongs to what the client has. Anything but our strong tag or exactly our date is
/// another file: joining parts of two files makes a broken one.
fn if_range(headers: &HeaderMap, file: &Validators) -> bool {
    let mut values = headers.get_all(header::IF_RANGE).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) if value.as_bytes().starts_with(b"\"") => {
            value.as_bytes() == file.etag.as_bytes()
        }
        (Some(_), None) => date(headers, header::IF_RANGE) == Some(file.modified),
        _ => false,
    }
}

/// The date of a header that occurs once; a malformed one is as none.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let time = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Whether a list of tags names ours. A strong comparison does not accept weak tags.
fn matches(headers: &HeaderMap, name: HeaderName, etag: &str, strong: bool) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.trim() == "*"
            || list.split(',').map(str::trim).any(|tag| match tag.strip_prefix("W/") {
                Some(weak) => !strong && weak == etag,
                None => tag == etag,
            })
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn outcome(pairs: &[(&'static str, &str)]) -> Outcome {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let file = Validators { etag: "\"abc\"".into(), modified: 784_111_777 };
        evaluate(&Method::GET, &headers, &file)
    }

    const WHOLE: Outcome = Outcome::Go { ranges: false };
    const PART: Outcome = Outcome::Go { ranges: true };

    #[test]
    fn a_part_is_only_of_the_same_file() {
        let range = ("range", "bytes=0-1");
        assert_eq!(outcome(&[]), WHOLE);
        assert_eq!(outcome(&[range]), PART);
        assert_eq!(outcome(&[range, ("if-range", "\"abc\"")]), PART);
        assert_eq!(outcome(&[range, ("if-range", DATE)]), PART);
        for other in ["\"stale\"", "W/\"abc\"", "abc", "", EARLIER, LATER, "yesterday", "\"abc\", \"d\"", "*"]
        {
            assert_eq!(outcome(&[range, ("if-range", other)]), WHOLE, "{other}");
        }
        assert_eq!(outcome(&[range, ("if-range", "\"abc\""), ("if-range", "\"abc\"")]), WHOLE);
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for tags in ["\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\"", "\"x\",W/\"abc\""] {
            assert_eq!(
                outcome(&[("if-none-match", tags), ("range", "bytes=0-1")]),
                Outcome::NotModified,
                "{tags}"
            );
        }
        assert_eq!(outcome(&[("if-none-match", "\"x\"")]), WHOLE);
        // The tag outranks the date.
        assert_eq!(outcome(&[("if-none-match", "\"x\""), ("if-modified-since", LATER)]), WHOLE);
        assert_eq!(outcome(&[("if-modified-since", DATE)]), Outcome::NotModified);
        assert_eq!(outcome(&[("if-modified-since", EARLIER)]), WHOLE);
        assert_eq!(outcome(&[("if-modified-since", "nonsense")]), WHOLE);
    }

    #[test]
    fn what_the_client_expects_must_hold() {
        assert_eq!(outcome(&[("if-match", "\"abc\"")]), WHOLE);
        assert_eq!(outcome(&[("if-match", "*")]), WHOLE);
        assert_eq!(outcome(&[("if-match", "W/\"abc\"")]), Outcome::Failed);
        assert_eq!(outcome(&[("if-match", "\"x\""), ("if-none-match", "\"abc\"")]), Outcome::Failed);
        assert_eq!(outcome(&[("if-unmodified-since", EARLIER)]), Outcome::Failed);
        assert_eq!(outcome(&[("if-unmodified-since", DATE)]), WHOLE);
        assert_eq!(outcome(&[("if-match", "\"abc\""), ("if-unmodified-since", EARLIER)]), WHOLE);
    }
}
