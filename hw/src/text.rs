//! Text that devices report.

pub use aegis_core::text::{Shown, is_plain};

/// Text that a device reported: runs of white space become one space, the ends are trimmed; `None` when nothing is left.
pub fn reported(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let words: Vec<&str> =
        text.split(|c: char| c == '\0' || c.is_whitespace()).filter(|w| !w.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_text_is_trimmed() {
        assert_eq!(reported(b"  WDC   WD10\0\0\n").as_deref(), Some("WDC WD10"));
        assert_eq!(reported(b" \0\n"), None);
    }
}
