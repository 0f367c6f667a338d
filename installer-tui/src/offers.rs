//! What an image offers to choose from: locales, keyboard layouts and time zones.
//!
//! Invariant: a list is empty when the image does not say; nothing is then refused.

use std::{collections::BTreeSet, fs, path::Path};

use crate::answers::{Answers, Keyboard, Problem};

/// The choices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// Locales with UTF-8, such as `de_DE.UTF-8`.
    pub locales: BTreeSet<String>,
    /// Keyboards with their names for people, sorted by name.
    pub keyboards: Vec<(Keyboard, String)>,
    /// Time zones, such as `Europe/Berlin`.
    pub zones: BTreeSet<String>,
}

impl Offers {
    /// Reads the lists of an image.
    pub fn read(image: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(image.join(path)).unwrap_or_default();
        Self {
            locales: locales(&image.join("usr/lib/locale")),
            keyboards: keyboards(&text("usr/share/X11/xkb/rules/base.lst")),
            zones: zones(&text("usr/share/zoneinfo/zone1970.tab")),
        }
    }

    /// Answers that the image cannot fulfil. A zone can be one that has no line in the table, so the file decides.
    pub fn problems(&self, answers: &Answers, image: &Path) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |field, holds: bool, rule: String| {
            if !holds {
                found.push(Problem { field, rule });
            }
        };
        let locales: Vec<&str> = self.locales.iter().map(String::as_str).collect();
        let known = locales.is_empty() || self.locales.contains(&answers.language);
        check("language", known, format!("is not in the image, which has {}", locales.join(", ")));
        let known = self.keyboards.is_empty() || self.keyboards.iter().any(|(k, _)| *k == answers.keyboard);
        check("keyboard", known, "is not a layout and variant of the image".into());
        let zone = image.join("usr/share/zoneinfo").join(&answers.timezone);
        let known = self.zones.is_empty() || zone.is_file();
        check("timezone", known, "is not a time zone of the image".into());
        found
    }
}

/// Compiled locales: directories, and the names in `locale-archive`.
fn locales(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().join("LC_CTYPE").exists() {
            found.extend(entry.file_name().to_str().and_then(canonical));
        }
    }
    let archive = fs::read(directory.join("locale-archive")).unwrap_or_default();
    found.extend(archived(&archive).iter().filter_map(|name| canonical(name)));
    found
}

/// `de_DE.utf8@euro` as `de_DE.UTF-8@euro`; `None` without UTF-8.
fn canonical(name: &str) -> Option<String> {
    let (language, rest) = name.split_once('.')?;
    let (charset, modifier) = rest.split_once('@').map_or((rest, None), |(c, m)| (c, Some(m)));
    let utf8 = charset.eq_ignore_ascii_case("utf8") || charset.eq_ignore_ascii_case("utf-8");
    let modifier = modifier.map(|m| format!("@{m}")).unwrap_or_default();
    utf8.then(|| format!("{language}.UTF-8{modifier}"))
}

/// Names in glibc's locale-archive: `locale/locarchive.h`. A table of hashes points to strings.
fn archived(bytes: &[u8]) -> Vec<String> {
    const MAGIC: u32 = 0xde02_0109;
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let index = |at: usize| usize::try_from(number(at)?).ok();
    let name = |at: usize| {
        let text = bytes.get(at..)?.split(|b| *b == 0).next()?;
        std::str::from_utf8(text).ok().map(str::to_string)
    };
    let (Some(MAGIC), Some(table), Some(size)) = (number(0), index(8), index(16)) else { return Vec::new() };
    let entry = |i: usize| {
        let at = table.checked_add(i.checked_mul(12)?)?;
        (number(at + 8)? != 0).then_some(())?;
        name(index(at + 4)?)
    };
    (0..size.min(65_536)).filter_map(entry).collect()
}

/// The sections `! layout` and `! variant` of xkb's list of rules.
fn keyboards(text: &str) -> Vec<(Keyboard, String)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("! ") {
            section = name.trim();
            continue;
        }
        let Some((name, description)) = line.trim().split_once(char::is_whitespace) else { continue };
        let description = description.trim();
        let (layout, variant, description) = match (section, description.split_once(": ")) {
            ("layout", _) if name != "custom" => (name, "", description),
            ("variant", Some((layout, description))) => (layout, name, description),
            _ => continue,
        };
        let keyboard = Keyboard { layout: layout.into(), variant: variant.into() };
        found.push((keyboard, description.to_string()));
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found
}

/// tzfile's table: country codes, coordinates, zone, comment.
fn zones(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut zones: BTreeSet<String> =
        lines.filter_map(|line| line.split('\t').nth(2)).map(Into::into).collect();
    if !zones.is_empty() {
        zones.insert("Etc/UTC".into());
    }
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_parsed() {
        let text = "! model\n  pc105  Generic\n\n! layout\n  us   English (US)\n  de   German\n  custom  A user-defined\n\
                    ! variant\n  nodeadkeys   de: German (no dead keys)\n! option\n  grp  Switching\n";
        let names: Vec<_> = keyboards(text).into_iter().map(|(k, d)| (k.layout, k.variant, d)).collect();
        let of = |a: &str, b: &str, c: &str| (a.to_string(), b.to_string(), c.to_string());
        assert_eq!(
            names,
            [
                of("us", "", "English (US)"),
                of("de", "", "German"),
                of("de", "nodeadkeys", "German (no dead keys)")
            ]
        );
        let table = "# comment\nDE,DK\t+5230+01322\tEurope/Berlin\tmost\nJP\t+353916\tAsia/Tokyo\n";
        assert_eq!(zones(table).into_iter().collect::<Vec<_>>(), ["Asia/Tokyo", "Etc/UTC", "Europe/Berlin"]);
        assert!(zones("").is_empty());
    }

    #[test]
    fn names_of_locales() {
        assert_eq!(canonical("C.utf8").as_deref(), Some("C.UTF-8"));
        assert_eq!(canonical("ca_ES.utf8@valencia").as_deref(), Some("ca_ES.UTF-8@valencia"));
        assert_eq!(canonical("de_DE.iso88591"), None);
        assert_eq!(canonical("de_DE"), None);
    }

    #[test]
    fn an_archive_is_read_and_a_damaged_one_is_ignored() {
        // Header of 14 numbers, two slots, one of them in use, then the string.
        let mut bytes = vec![0u8; 56 + 24];
        let mut put = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        put(0, 0xde02_0109);
        put(8, 56);
        put(16, 2);
        put(56 + 12 + 4, 80);
        put(56 + 12 + 8, 1);
        bytes.extend_from_slice(b"de_DE.utf8\0");
        assert_eq!(archived(&bytes), ["de_DE.utf8"]);
        for cut in 0..bytes.len() {
            let _ = archived(&bytes[..cut]);
        }
        bytes[8..12].fill(0xff);
        assert!(archived(&bytes).is_empty());
    }
}
