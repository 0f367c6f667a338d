//! `Range`, as RFC 9110 section 14 says.

/// Spans that one answer has at most; who asks for more gets the whole file. A client that asks for hundreds of tiny spans
/// of a file would get more bytes than the file has.
const MOST: usize = 8;

/// A part of a file, both ends included; `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}

impl Span {
    /// Bytes of it; at least 1.
    pub const fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What a `Range` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Everything: the header is absent, in another unit, malformed, or unreasonable. All of these are ignored.
    Whole,
    /// These spans, in the order in which they were asked for, each within the file, none touching another.
    Spans(Vec<Span>),
    /// Well formed, and no part of it is in the file.
    Nothing,
}

/// Reads the header's value for a file of `size` bytes.
pub fn parse(header: &str, size: u64) -> Asked {
    let Some((unit, set)) = header.split_once('=') else { return Asked::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Asked::Whole;
    }
    let mut spans: Vec<Span> = Vec::new();
    let mut any = false;
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()) {
        any = true;
        match span(spec, size) {
            Err(Malformed) => return Asked::Whole,
            Ok(None) => {}
            Ok(Some(span)) => spans.push(span),
        }
        if spans.len() > MOST {
            return Asked::Whole;
        }
    }
    match (any, spans.is_empty()) {
        (false, _) => Asked::Whole,
        (true, true) => Asked::Nothing,
        (true, false) if overlap(&spans) => Asked::Whole,
        (true, false) => Asked::Spans(spans),
    }
}

struct Malformed;

/// One `first-last`, `first-` or `-length`; `None` when it lies outside of the file.
fn span(spec: &str, size: u64) -> Result<Option<Span>, Malformed> {
    let (first, last) = spec.split_once('-').ok_or(Malformed)?;
    if first.is_empty() {
        let length = number(last)?;
        return Ok(
            (length > 0 && size > 0).then(|| Span { first: size.saturating_sub(length), last: size - 1 })
        );
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return Err(Malformed);
    }
    Ok((first < size).then(|| Span { first, last: last.min(size - 1) }))
}

/// Digits alone; what does not fit is as good as the largest number.
fn number(text: &str) -> Result<u64, Malformed> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// Whether two of them share a byte or touch: nobody needs that, and it multiplies what is sent.
fn overlap(spans: &[Span]) -> bool {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable_by_key(|span| span.first);
    sorted.windows(2).any(|pair| pair[1].first <= pair[0].last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(header: &str, size: u64) -> Vec<(u64, u64)> {
        match parse(header, size) {
            Asked::Spans(spans) => spans.iter().map(|span| (span.first, span.last)).collect(),
            other => panic!("{header}: {other:?}"),
        }
    }

    #[test]
    fn spans_are_cut_to_the_file() {
        for (header, expected) in [
            ("bytes=0-0", (0, 0)),
            ("bytes=0-", (0, 1023)),
            ("bytes=-1", (1023, 1023)),
            ("bytes=-5000", (0, 1023)),
            ("bytes=1000-9999", (1000, 1023)),
            ("bytes=0-18446744073709551616", (0, 1023)),
            ("bytes=5-99999999999999999999999999", (5, 1023)),
            ("BYTES = 1-2", (1, 2)),
            ("bytes=, ,1-2,", (1, 2)),
        ] {
            assert_eq!(spans(header, 1024), [expected], "{header}");
        }
        assert_eq!(spans("bytes=0-0,10-19", 1024), [(0, 0), (10, 19)]);
        assert_eq!(spans("bytes=10-19, 0-0", 1024), [(10, 19), (0, 0)]);
        assert_eq!(spans("bytes=2000-,3-4", 1024), [(3, 4)]);
    }

    #[test]
    fn what_is_malformed_or_unreasonable_is_ignored() {
        let many = format!(
            "bytes={}",
            (0..500).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect::<Vec<_>>().join(",")
        );
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "items=0-1",
            "bytes=abc",
            "bytes=5-1",
            "bytes=1",
            "bytes=--1",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1- 2",
            "bytes=0x1-2",
            "bytes=0-1,1-2",
            "bytes=0-1,2-3",
            "bytes=0-,-1",
            "bytes=١-٢",
            &many,
        ] {
            assert_eq!(parse(header, 1024), Asked::Whole, "{header}");
        }
    }

    #[test]
    fn what_lies_outside_of_the_file_is_refused() {
        for header in ["bytes=-0", "bytes=1024-", "bytes=1024-2000,-0", "bytes=18446744073709551616-"] {
            assert_eq!(parse(header, 1024), Asked::Nothing, "{header}");
        }
        assert_eq!(parse("bytes=0-", 0), Asked::Nothing);
        assert_eq!(parse("bytes=-1", 0), Asked::Nothing);
    }

    #[test]
    fn no_header_asks_for_more_than_the_file_has() {
        // Every text of up to five of these, which is where the grammar's corners are.
        let parts = ["0", "-", ",", "9", "18446744073709551615"];
        for number in 0..parts.len().pow(6) {
            let text: String = (0..6).map(|n| parts[number / parts.len().pow(n) % parts.len()]).collect();
            for size in [0, 1, 10] {
                if let Asked::Spans(spans) = parse(&format!("bytes={text}"), size) {
                    assert!(spans.iter().all(|span| span.first <= span.last && span.last < size));
                    assert!(spans.iter().map(|span| span.length()).sum::<u64>() <= size);
                }
            }
        }
    }
}
