//! The patterns of `modules.alias`: `*`, `?` and `[…]` as in fnmatch(3) without flags.

/// Whether the whole text matches the pattern. Linear in the text for each `*`: only the last one is retried.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Position after the last `*`, and the text position where its match ends at present.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        if let Some(next) = match_one(pattern, p, text[t]) {
            (p, t) = (next, t + 1);
            continue;
        }
        let Some((after_star, end)) = retry else { return false };
        (p, t) = (after_star, end + 1);
        retry = Some((after_star, end + 1));
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// The position after the pattern's element at `p` when the element matches `byte`.
fn match_one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => match_class(pattern, p, byte),
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// A class with ranges and `!` or `^`; a `[` that nothing closes stands for itself, and a first `]` is an element.
fn match_class(pattern: &[u8], open: usize, byte: u8) -> Option<usize> {
    let negated = matches!(pattern.get(open + 1), Some(b'!' | b'^'));
    let first = open + 1 + usize::from(negated);
    let Some(length) = pattern.iter().skip(first + 1).position(|b| *b == b']') else {
        return (byte == b'[').then_some(open + 1);
    };
    let close = first + 1 + length;
    (contains(&pattern[first..close], byte) != negated).then_some(close + 1)
}

fn contains(mut class: &[u8], byte: u8) -> bool {
    loop {
        class = match class {
            [low, b'-', high, ..] if (low..=high).contains(&&byte) => return true,
            [_, b'-', _, rest @ ..] => rest,
            [first, ..] if *first == byte => return true,
            [_, rest @ ..] => rest,
            [] => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} and {text}");
    }

    #[test]
    fn stars_and_question_marks() {
        check("", "", true);
        check("*", "", true);
        check("a*b*c", "aXbXbYc", true);
        check("a*b*c", "aXbXbY", false);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("*a", "aaaaaaaab", false);
    }

    #[test]
    fn classes() {
        check("a[0-9A-F]c", "aBc", true);
        check("a[0-9A-F]c", "aGc", false);
        check("a[!0-9]c", "aGc", true);
        check("a[!0-9]c", "a5c", false);
        check("[]x]", "]", true);
        check("[a-]", "-", true);
        check("[a-]", "b", false);
        check("[a-]z", "az", true);
        check("[abc", "[abc", true);
        check("[abc", "a", false);
    }

    #[test]
    fn device_aliases() {
        let usb = "usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*";
        check(usb, "usb:v0781p5581d0100dc00dsc00dp00ic08isc06ip50in00", true);
        check(usb, "usb:v046DpC31Cd0110dc00dsc00dp00ic03isc01ip01in00", false);
        check("pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", true);
        check("usb:v152Dp0567d011[4-7]dc*", "usb:v152Dp0567d0116dc00", true);
    }

    /// Every pattern is compared with a matcher that is too slow to be wrong, over all short texts.
    #[test]
    fn agrees_with_the_definition() {
        fn slow(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.first(), text.first()) {
                (None, None) => true,
                (Some(b'*'), _) => {
                    slow(&pattern[1..], text) || (!text.is_empty() && slow(pattern, &text[1..]))
                }
                (Some(b'?'), Some(_)) => slow(&pattern[1..], &text[1..]),
                (Some(p), Some(t)) if p == t => slow(&pattern[1..], &text[1..]),
                _ => false,
            }
        }
        let words = |alphabet: &[u8], length: u32| -> Vec<Vec<u8>> {
            (0..alphabet.len().pow(length))
                .map(|n| (0..length).map(|i| alphabet[n / alphabet.len().pow(i) % alphabet.len()]).collect())
                .collect()
        };
        for pattern in words(b"ab*?", 4) {
            for text in (0..5).flat_map(|length| words(b"ab", length)) {
                assert_eq!(matches(&pattern, &text), slow(&pattern, &text), "{pattern:?} {text:?}");
            }
        }
    }
}
