//! Armour: binary documents as text that survives mail and clipboards.
//!
//! The strict form of RFC 7468 without headers: a begin line, Base64 (RFC 4648, section 4) in lines of 64 characters,
//! an end line, one line feed each and nothing before or after. One document has one armour, so that two files that
//! differ are different documents. [`tidy`] turns what mail programs make of it back into that form.

use core::fmt;

use base64ct::{Base64, Encoding};

/// Characters of a full line, and the bytes that they stand for.
const LINE: usize = 64;
const LINE_BYTES: usize = 48;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Why a text is not the armour that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmourError {
    /// There is nothing.
    Empty,
    /// More than such a document can have; it was not read.
    TooLong {
        /// Bytes that such an armour has at most.
        limit: usize,
    },
    /// It begins with a byte order mark.
    ByteOrderMark,
    /// Lines end with carriage returns.
    CarriageReturn,
    /// It does not begin with a begin line.
    NoBegin,
    /// It is a PEM file of something else.
    OtherType,
    /// The end line is missing or is of something else.
    NoEnd,
    /// There is text after the end line.
    TrailingText,
    /// There is a second document after the end line.
    SecondDocument,
    /// A line is not Base64 or has the wrong length. Lines count from 1.
    Line(usize),
}

impl fmt::Display for ArmourError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::TooLong { limit } => write!(f, "the file is longer than {limit} bytes"),
            Self::ByteOrderMark => f.write_str("the file begins with a byte order mark"),
            Self::CarriageReturn => f.write_str("the lines of the file end with carriage returns"),
            Self::NoBegin => f.write_str("the file does not begin with a line `-----BEGIN AEGIS …-----`"),
            Self::OtherType => f.write_str("the file holds a PEM block of another type"),
            Self::NoEnd => f.write_str("the file has no line `-----END AEGIS …-----`: its end is missing"),
            Self::TrailingText => f.write_str("there is text after the end line"),
            Self::SecondDocument => f.write_str("there is a second document in the file"),
            Self::Line(number) => {
                write!(f, "line {number} was changed: it is not {LINE} characters of Base64")
            }
        }
    }
}

impl core::error::Error for ArmourError {}

impl ArmourError {
    /// The next step for the person who has the file.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "download the license file again, or copy it again from the mail",
            Self::TooLong { .. } => "this is another file; a license file has a few lines of text",
            Self::ByteOrderMark | Self::CarriageReturn => {
                "an editor changed the file; `aegis-license install` accepts it and stores it without"
            }
            Self::NoBegin => "copy the whole block, from the BEGIN line to the END line, and nothing else",
            Self::OtherType => "name the file with the license, not one with a key or a certificate",
            Self::NoEnd => "copy the whole block again, up to and with the END line",
            Self::TrailingText => "remove what follows the END line",
            Self::SecondDocument => "put each document into a file of its own",
            Self::Line(_) => "download the license file again, or copy it again from the mail",
        }
    }
}

/// Bytes of the armour around a body of `length` bytes.
pub const fn armoured_size(label: &str, length: usize) -> usize {
    let lines = length.div_ceil(LINE_BYTES);
    let marks = BEGIN.len() + END.len() + 2 * (label.len() + DASHES.len() + 1);
    marks + length.div_ceil(3) * 4 + lines
}

/// Decodes the body of the armour with this label to the front of `buffer` and returns its length. Reads no more text
/// than fits.
///
/// # Errors
/// The first thing that is wrong, from the start of the text.
pub fn decode(label: &str, text: &[u8], buffer: &mut [u8]) -> Result<usize, ArmourError> {
    let limit = armoured_size(label, buffer.len());
    if text.is_empty() {
        return Err(ArmourError::Empty);
    }
    if text.len() > limit {
        return Err(ArmourError::TooLong { limit });
    }
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(ArmourError::ByteOrderMark);
    }
    if text.contains(&b'\r') {
        return Err(ArmourError::CarriageReturn);
    }
    let mut rest = text;
    let first = next_line(&mut rest).ok_or(ArmourError::NoBegin)?;
    match mark(BEGIN, first) {
        Some(found) if found == label.as_bytes() => {}
        Some(_) => return Err(ArmourError::OtherType),
        None => return Err(ArmourError::NoBegin),
    }
    let length = decode_lines(label, &mut rest, buffer)?;
    if rest.is_empty() {
        Ok(length)
    } else if rest.starts_with(BEGIN.as_bytes()) {
        Err(ArmourError::SecondDocument)
    } else {
        Err(ArmourError::TrailingText)
    }
}

/// Decodes up to the end line.
fn decode_lines(label: &str, rest: &mut &[u8], buffer: &mut [u8]) -> Result<usize, ArmourError> {
    let mut length = 0;
    // The begin line is the first.
    let mut number = 1;
    let mut short = false;
    loop {
        let line = next_line(rest).ok_or(ArmourError::NoEnd)?;
        number += 1;
        if line.first() == Some(&b'-') {
            return match mark(END, line) {
                Some(found) if found == label.as_bytes() => Ok(length),
                _ => Err(ArmourError::NoEnd),
            };
        }
        // Only the last line may be short, and none is empty.
        if short || line.is_empty() || line.len() > LINE {
            return Err(ArmourError::Line(number));
        }
        let room = buffer.get_mut(length..).unwrap_or_default();
        let decoded = Base64::decode(line, room).map_err(|_not_base64| ArmourError::Line(number))?.len();
        // So are lines with fewer characters, and a full one with padding.
        short = decoded < LINE_BYTES;
        length += decoded;
    }
}

/// Takes a line that ends with a line feed.
fn next_line<'t>(rest: &mut &'t [u8]) -> Option<&'t [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line)
}

/// The label of a begin or end line.
fn mark<'t>(kind: &str, line: &'t [u8]) -> Option<&'t [u8]> {
    line.strip_prefix(kind.as_bytes())?.strip_suffix(DASHES.as_bytes())
}

/// Writes the armour of a body.
///
/// # Errors
/// Those of the writer.
pub fn encode(label: &str, body: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    writeln!(out, "{BEGIN}{label}{DASHES}")?;
    for chunk in body.chunks(LINE_BYTES) {
        let mut line = [0; LINE];
        let text = Base64::encode(chunk, &mut line).map_err(|_too_short| fmt::Error)?;
        writeln!(out, "{text}")?;
    }
    writeln!(out, "{END}{label}{DASHES}")
}

/// The strict form of what mail programs and editors make of an armour: without a byte order mark, carriage returns,
/// white space at the ends of lines, empty lines around it, and with its last line feed.
#[cfg(feature = "alloc")]
pub fn tidy(text: &str) -> alloc::string::String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.trim().lines().map(str::trim_end);
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use std::{format, string::String, vec, vec::Vec};

    use super::*;

    const LABEL: &str = "AEGIS LICENSE";

    fn armour(body: &[u8]) -> String {
        let mut text = String::new();
        encode(LABEL, body, &mut text).unwrap();
        text
    }

    fn read(text: &str) -> Result<Vec<u8>, ArmourError> {
        let mut buffer = [0; 1024];
        decode(LABEL, text.as_bytes(), &mut buffer).map(|length| buffer[..length].to_vec())
    }

    #[test]
    fn every_length_reads_back_and_has_the_size_that_is_said() {
        for length in 1..400 {
            let body: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let text = armour(&body);
            assert_eq!(text.len(), armoured_size(LABEL, length));
            let mut exact = vec![0; length];
            assert_eq!(decode(LABEL, text.as_bytes(), &mut exact), Ok(length));
            assert_eq!(exact, body);
            let mut small = vec![0; length - 1];
            assert!(decode(LABEL, text.as_bytes(), &mut small).is_err());
        }
    }

    #[test]
    fn each_fault_has_its_error() {
        let good = armour(&[7; 100]);
        let cases = [
            (String::new(), ArmourError::Empty),
            ("x".repeat(1 << 20), ArmourError::TooLong { limit: armoured_size(LABEL, 1024) }),
            (format!("\u{feff}{good}"), ArmourError::ByteOrderMark),
            (good.replace('\n', "\r\n"), ArmourError::CarriageReturn),
            (format!("Hello,\n{good}"), ArmourError::NoBegin),
            ("no line feed".into(), ArmourError::NoBegin),
            (format!("\n{good}"), ArmourError::NoBegin),
            (good.replace("AEGIS LICENSE", "CERTIFICATE"), ArmourError::OtherType),
            (good.replace("END AEGIS LICENSE", "END AEGIS REVOCATIONS"), ArmourError::NoEnd),
            (good[..good.len() - 2].into(), ArmourError::NoEnd),
            (good[..80].into(), ArmourError::NoEnd),
            (format!("{good} "), ArmourError::TrailingText),
            (format!("{good}\n"), ArmourError::TrailingText),
            (format!("{good}{good}"), ArmourError::SecondDocument),
            (good.replacen("Bwc", "B c", 1), ArmourError::Line(2)),
            (good.replacen("Bwc", "B=c", 1), ArmourError::Line(2)),
            (good.replacen("Bwc", "Bwwc", 1), ArmourError::Line(2)),
            (good.replacen("Bwc", "Bw", 1), ArmourError::Line(2)),
            (good.replacen("BwcHBwc", "Bwc", 1), ArmourError::Line(3)),
            (good.replace("=\n", "\n"), ArmourError::Line(4)),
            (good.replace("Bw==", "Bx=="), ArmourError::Line(4)),
            (good.replace("Bw==\n", "Bw==\n\n"), ArmourError::Line(5)),
            (good.replace("Bw==\n", "Bw==\nBwcH\n"), ArmourError::Line(5)),
        ];
        for (text, error) in cases {
            assert_eq!(read(&text), Err(error), "{}", &text[..text.len().min(300)]);
            assert!(!format!("{error}").is_empty() && !error.hint().is_empty());
        }
    }

    /// Lines are broken after 64 characters and nowhere else.
    #[test]
    fn other_breaks_of_lines_are_refused() {
        let full = armour(&[7; 96]);
        let line = "BwcH".repeat(16);
        let padded = format!("{}Bwc=", "BwcH".repeat(15));
        let cases = [
            (full.replacen(&format!("{line}\n"), &line, 1), 2),
            (full.replacen(&line, &format!("{line}\n"), 1), 3),
            (full.replace("-----END", "\n-----END"), 4),
            (full.replacen("-----\n", "-----\n\n", 1), 2),
            (full.replacen(&line, &padded, 1), 3),
            (full.replacen(&line, &line[..60], 1), 3),
        ];
        for (text, number) in cases {
            assert_eq!(read(&text), Err(ArmourError::Line(number)), "{text}");
        }
        let ends_padded = full.replace(&format!("{line}\n-----END"), &format!("{padded}\n-----END"));
        assert_eq!(read(&ends_padded), Ok(vec![7; 95]));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn tidy_undoes_what_mail_programs_do() {
        let good = armour(&[7; 100]);
        for form in [
            good.clone(),
            format!("\u{feff}{}", good.replace('\n', "\r\n")),
            format!("\n\n{}\n", good.trim_end()),
            good.replace('\n', "  \n"),
        ] {
            assert_eq!(tidy(&form), good);
        }
        assert_ne!(tidy(&format!("Hello,\n{good}")), good);
    }
}
