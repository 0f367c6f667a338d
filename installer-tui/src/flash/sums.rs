//! Files of digests, such as `SHA256SUMS`, in every form that people publish.
//!
//! Understood are the lines of coreutils (`DIGEST  name`, `DIGEST *name`, the escaped form with a leading backslash), of BSD
//! (`SHA256 (name) = DIGEST`), of OpenSSL (`SHA256(name)= DIGEST`, `SHA2-256(…)`), and a digest alone, as in `image.iso.sha256`; with comments,
//! empty lines, CRLF, a byte order mark, `./` before names, and within an OpenPGP clear-signed message, whose signature is not
//! looked at.

use std::fmt;

/// An algorithm, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5: broken, never used to decide.
    Md5,
    /// SHA-1: broken, never used to decide.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// By the number of hexadecimal digits.
    fn of_length(digits: usize) -> Option<Self> {
        Some(match digits {
            32 => Self::Md5,
            40 => Self::Sha1,
            64 => Self::Sha256,
            128 => Self::Sha512,
            _ => return None,
        })
    }

    /// By the name that BSD and OpenSSL write.
    fn of_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "MD5" => Self::Md5,
            "SHA1" => Self::Sha1,
            "SHA256" | "SHA2-256" => Self::Sha256,
            "SHA512" | "SHA2-512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Whether a file with this digest is the file that was meant, also when somebody wants it to look so.
    pub fn is_strong(self) -> bool {
        self >= Self::Sha256
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// One line of a file of digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// What computed it.
    pub algorithm: Algorithm,
    /// In lower case.
    pub digest: String,
    /// The file's name, without directories; `None` for a digest alone.
    pub name: Option<String>,
}

/// Longest file of digests that is read: those of large archives have thousands of lines.
pub const LIMIT: usize = 16 << 20;

/// The digests in a text; lines that are none are passed over.
pub fn parse(text: &[u8]) -> Vec<Sum> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{feff}');
    text.lines().take_while(|line| !line.starts_with("-----BEGIN PGP SIGNATURE")).filter_map(line).collect()
}

fn line(line: &str) -> Option<Sum> {
    let line = line.trim_end_matches(['\r', ' ', '\t']).trim_start();
    // A clear-signed message escapes lines that begin with a dash.
    let line = line.strip_prefix("- ").unwrap_or(line);
    if line.starts_with('#') {
        return None;
    }
    tagged(line).or_else(|| plain(line))
}

/// `SHA256 (name) = DIGEST`.
fn tagged(line: &str) -> Option<Sum> {
    let (before, after) = line.rsplit_once('=')?;
    let (algorithm, name) = before.trim_end().strip_suffix(')')?.split_once('(')?;
    let algorithm = Algorithm::of_name(algorithm.trim())?;
    let digest = hexadecimal(after.trim())?;
    (Algorithm::of_length(digest.len()) == Some(algorithm)).then(|| Sum {
        algorithm,
        digest,
        name: Some(base_name(name)),
    })
}

/// `DIGEST  name`, `DIGEST *name`, or a digest alone.
fn plain(line: &str) -> Option<Sum> {
    let (escaped, line) = line.strip_prefix('\\').map_or((false, line), |rest| (true, rest));
    let (digest, name) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let digest = hexadecimal(digest)?;
    let algorithm = Algorithm::of_length(digest.len())?;
    let name = name.trim_start();
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = if escaped { name.replace("\\n", "\n").replace("\\\\", "\\") } else { name.to_owned() };
    Some(Sum { algorithm, digest, name: (!name.is_empty()).then(|| base_name(&name)) })
}

fn base_name(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned()
}

fn hexadecimal(text: &str) -> Option<String> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

/// What a file of digests says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The strongest digest of the file.
    One(Sum),
    /// It does not name the file.
    Missing,
    /// It names the file twice, with different digests of one kind.
    Contradiction,
}

/// The strongest digest of a file. A digest alone counts only when it is the only one of its kind.
pub fn find(sums: &[Sum], name: &str) -> Found {
    let named: Vec<&Sum> = sums.iter().filter(|sum| sum.name.as_deref() == Some(name)).collect();
    let candidates = if named.is_empty() && sums.iter().all(|sum| sum.name.is_none()) {
        sums.iter().collect()
    } else {
        named
    };
    let Some(best) = candidates.iter().max_by_key(|sum| sum.algorithm) else { return Found::Missing };
    let same = |sum: &&&Sum| sum.algorithm == best.algorithm;
    if candidates.iter().filter(same).any(|sum| sum.digest != best.digest) {
        return Found::Contradiction;
    }
    Found::One((*best).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const B: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

    fn one(text: &str, name: &str) -> Option<(Algorithm, String)> {
        match find(&parse(text.as_bytes()), name) {
            Found::One(sum) => Some((sum.algorithm, sum.digest)),
            _ => None,
        }
    }

    #[test]
    fn every_common_form() {
        let upper = A.to_uppercase();
        for text in [
            format!("{A}  a.iso\n"),
            format!("{A} *a.iso\n"),
            format!("{A}  ./a.iso\n"),
            format!("{A}  dir/sub/a.iso\n"),
            format!("{A}\ta.iso"),
            format!("\u{feff}{A}  a.iso\r\n"),
            format!("\\{A}  a.iso\n"),
            format!("# comment\n\n{B}  b.iso\n{A}  a.iso\n"),
            format!("SHA256 (a.iso) = {A}\n"),
            format!("SHA256(a.iso)= {A}\n"),
            format!("SHA2-256(./a.iso)= {upper}\n"),
            format!("{A}\n"),
            upper.clone(),
            format!(
                "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{A}  a.iso\n-----BEGIN PGP SIGNATURE-----\n\n{B}  a.iso\n"
            ),
        ] {
            assert_eq!(one(&text, "a.iso"), Some((Algorithm::Sha256, A.into())), "{text:?}");
        }
    }

    #[test]
    fn the_strongest_counts_whatever_the_order() {
        let (md5, sha512) = ("0".repeat(32), "1".repeat(128));
        for lines in [[&md5, A, &sha512], [&sha512, A, &md5]] {
            let text: String = lines.iter().map(|digest| format!("{digest}  a.iso\n")).collect();
            assert_eq!(one(&text, "a.iso"), Some((Algorithm::Sha512, sha512.clone())));
        }
        assert!(!Algorithm::Sha1.is_strong() && Algorithm::Sha256.is_strong());
    }

    #[test]
    fn what_is_not_named_is_missing() {
        for text in ["", "\n\n", "hello world\n", &format!("{A}  b.iso\n"), &format!("{A}x  a.iso\n")] {
            assert_eq!(find(&parse(text.as_bytes()), "a.iso"), Found::Missing, "{text:?}");
        }
        // A digest alone among named ones could be of anything.
        assert_eq!(find(&parse(format!("{A}\n{B}  b.iso\n").as_bytes()), "a.iso"), Found::Missing);
        assert_eq!(find(&parse(format!("MD5 (a.iso) = {A}\n").as_bytes()), "a.iso"), Found::Missing);
    }

    #[test]
    fn contradictions_are_told() {
        let text = format!("{A}  a.iso\n{B}  x/a.iso\n");
        assert_eq!(find(&parse(text.as_bytes()), "a.iso"), Found::Contradiction);
        let text = format!("{A}  a.iso\n{A}  x/a.iso\n");
        assert!(matches!(find(&parse(text.as_bytes()), "a.iso"), Found::One(_)));
        assert_eq!(find(&parse(format!("{A}\n{B}\n").as_bytes()), "a.iso"), Found::Contradiction);
    }

    #[test]
    fn broken_text_is_passed_over() {
        let mut text = vec![0xff, 0xfe, b'\n', 0, b'\n'];
        text.extend(format!("{A}  a.iso\n").bytes());
        assert!(matches!(find(&parse(&text), "a.iso"), Found::One(_)));
    }
}
