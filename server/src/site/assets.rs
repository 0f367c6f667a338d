//! Style, icon, script and pictures: part of the program, named by their content, kept by browsers for a year.

use std::fmt::Write as _;

use aegis_editions::Spec;
use aws_lc_rs::digest;

use super::{
    colour::{self, Accent, Colour, Palette},
    page::{IMMUTABLE, Page},
};
use crate::{Error, Result};

/// The icon, also at `/favicon.svg`.
pub(super) const ICON: &str = include_str!("../../assets/favicon.svg");
/// The one script, for the pages on which a passkey can be used.
const SCRIPT: &str = include_str!("../../assets/passkey.js");
/// What an SVG file is.
pub(super) const SVG: &str = "image/svg+xml";

/// Pictures of the installer that its own tests took.
const SCREENS: [(&str, &[u8]); 3] = [
    ("installer-disk.png", include_bytes!("../../../tests/screens/installer-disk.png")),
    ("installer-summary.png", include_bytes!("../../../tests/screens/installer-summary.png")),
    ("installer-confirmation.png", include_bytes!("../../../tests/screens/installer-confirmation.png")),
];

/// Where the assets are.
#[derive(Clone, Debug)]
pub struct AssetPaths {
    /// The style sheet.
    pub css: String,
    /// The icon.
    pub icon: String,
    /// The script of passkeys.
    pub script: String,
    /// The installer's disk, summary and confirmation screens.
    pub screens: [String; 3],
}

impl AssetPaths {
    /// Where the assets of a site with these editions are.
    ///
    /// # Errors
    /// When an edition's colour is none.
    pub(super) fn of(specs: &[Spec]) -> Result<Self> {
        Ok(Self {
            css: fingerprinted("site.css", style_sheet(specs)?.as_bytes()),
            icon: fingerprinted("favicon.svg", ICON.as_bytes()),
            script: fingerprinted("passkey.js", SCRIPT.as_bytes()),
            screens: SCREENS.map(|(name, bytes)| fingerprinted(name, bytes)),
        })
    }
}

/// The assets, and where they are.
pub(super) struct Assets {
    /// Where.
    pub(super) paths: AssetPaths,
    /// Each path with its answer.
    pub(super) files: Vec<(String, Page)>,
}

impl Assets {
    /// Makes every asset, with a class for each edition in the style sheet.
    ///
    /// # Errors
    /// When an edition's colour is none.
    pub(super) fn build(specs: &[Spec]) -> Result<Self> {
        let paths = AssetPaths::of(specs)?;
        let sheet = style_sheet(specs)?.into_bytes();
        let mut files = vec![
            (paths.css.clone(), Page::new(sheet, "text/css; charset=utf-8", IMMUTABLE)?),
            (paths.icon.clone(), Page::new(ICON.into(), SVG, IMMUTABLE)?),
            (paths.script.clone(), Page::new(SCRIPT.into(), "text/javascript; charset=utf-8", IMMUTABLE)?),
        ];
        for (path, (_, bytes)) in paths.screens.iter().zip(SCREENS) {
            files.push((path.clone(), Page::new(bytes.into(), "image/png", IMMUTABLE)?));
        }
        Ok(Self { paths, files })
    }
}

/// `site.css` to `/assets/site.0a1b2c3d.css`.
fn fingerprinted(name: &str, bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let short = data_encoding::HEXLOWER.encode(&digest.as_ref()[..4]);
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, "bin"));
    format!("/assets/{stem}.{short}.{ending}")
}

/// Colours first, then what uses them, then the editions.
pub(super) fn style_sheet(specs: &[Spec]) -> Result<String> {
    let mut sheet = format!(
        ":root{{color-scheme:light dark;--bar:{};--bar-muted:{};--accent:{};{}}}\n\
         @media (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        colour::BAR,
        colour::BAR_MUTED,
        colour::ACCENT,
        variables(&colour::LIGHT),
        variables(&colour::DARK),
    );
    sheet.push_str(include_str!("../../assets/site.css"));
    let mut night = String::new();
    for spec in specs {
        let accent = Colour::parse(&spec.colour.site).map(Accent::from).ok_or_else(|| Error::Corrupt {
            what: format!("the colour of the edition {}", spec.id),
            problem: "is not of the form #rrggbb".into(),
        })?;
        // Writing to a string cannot fail.
        let _ = writeln!(sheet, ".e-{}{{--tile:{};--tint:{}}}", spec.id, accent.tile, accent.light);
        let _ = write!(night, ".e-{}{{--tint:{}}}", spec.id, accent.dark);
    }
    let _ = writeln!(sheet, "@media (prefers-color-scheme:dark){{{night}}}");
    Ok(sheet)
}

fn variables(palette: &Palette) -> String {
    let Palette { page, surface, ink, muted, link, fault, line } = palette;
    format!(
        "--page:{page};--surface:{surface};--ink:{ink};--muted:{muted};--link:{link};--fault:{fault};\
         --line:{line};--tint:{link}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_change_with_the_content() {
        let one = fingerprinted("site.css", b"a{}");
        assert_ne!(one, fingerprinted("site.css", b"b{}"));
        let digits = one.strip_prefix("/assets/site.").unwrap().strip_suffix(".css").unwrap();
        assert!(digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }

    #[test]
    fn the_style_sheet_loads_nothing_and_knows_every_edition() {
        let specs = Spec::all().unwrap();
        let sheet = style_sheet(&specs).unwrap();
        for word in ["url(", "@import", "expression(", "http", "javascript:"] {
            assert!(!sheet.contains(word), "{word}");
        }
        assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
        for spec in &specs {
            assert_eq!(sheet.matches(&format!(".e-{}{{", spec.id)).count(), 2, "{}", spec.id);
        }
    }

    /// Colours of text are in the palette, where their contrast is tested; the style sheet has none of its own but those
    /// of code, which are tested here.
    #[test]
    fn the_style_sheet_has_no_colour_that_is_not_tested() {
        let own = include_str!("../../assets/site.css");
        let (code, text) = (Colour::parse("#0e1621").unwrap(), Colour::parse("#e3eaf2").unwrap());
        assert!(text.contrast(code) >= colour::TEXT);
        for at in own.match_indices('#').map(|(at, _)| at) {
            let word: String =
                own[at..].chars().take_while(|c| *c == '#' || c.is_ascii_alphanumeric()).collect();
            assert!(["#0e1621", "#e3eaf2", "#fff", "#000"].contains(&word.as_str()), "{word}");
        }
    }

    #[test]
    fn a_colour_that_is_none_is_refused() {
        let mut specs = Spec::all().unwrap();
        specs[0].colour.site = "red;}*{display:none".into();
        assert!(style_sheet(&specs).is_err());
    }
}
