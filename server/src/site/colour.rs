//! Colours of the site, and variants of them that can be read (WCAG 2.2, 1.4.3 and 1.4.11).

use std::fmt;

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(u8, u8, u8);

/// White.
pub(super) const WHITE: Colour = Colour(255, 255, 255);
/// Black.
pub(super) const BLACK: Colour = Colour(0, 0, 0);
/// The least contrast of text.
pub(super) const TEXT: f64 = 4.5;

/// The colours of one scheme. Every text colour is read on every background of its scheme.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// The page.
    pub(super) page: Colour,
    /// What is set apart from it.
    pub(super) surface: Colour,
    /// Text.
    pub(super) ink: Colour,
    /// Text of less weight.
    pub(super) muted: Colour,
    /// Links and the focus ring.
    pub(super) link: Colour,
    /// What went wrong.
    pub(super) fault: Colour,
    /// Rules between things; no text.
    pub(super) line: Colour,
}

/// By day.
pub(super) const LIGHT: Palette = Palette {
    page: WHITE,
    surface: Colour(0xf3, 0xf4, 0xf6),
    ink: Colour(0x16, 0x1b, 0x22),
    muted: Colour(0x51, 0x5b, 0x67),
    link: Colour(0x0b, 0x5a, 0xa8),
    fault: Colour(0xb0, 0x1c, 0x1c),
    line: Colour(0xd3, 0xd8, 0xde),
};

/// By night.
pub(super) const DARK: Palette = Palette {
    page: Colour(0x12, 0x16, 0x1c),
    surface: Colour(0x1b, 0x21, 0x2a),
    ink: Colour(0xee, 0xf1, 0xf5),
    muted: Colour(0xa9, 0xb4, 0xc1),
    link: Colour(0x6f, 0xb8, 0xff),
    fault: Colour(0xff, 0x8f, 0x8f),
    line: Colour(0x36, 0x40, 0x4d),
};

/// The bar at the top and the bands, in both schemes; white text is read on it.
pub(super) const BAR: Colour = Colour(0x0c, 0x22, 0x3f);
/// Text of less weight on the bar.
pub(super) const BAR_MUTED: Colour = Colour(0xb7, 0xcb, 0xe3);
/// Buttons, in both schemes; white text is read on it.
pub(super) const ACCENT: Colour = Colour(0x0a, 0x66, 0xc2);

impl Colour {
    /// Reads `#rrggbb`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
        match bytes[..] {
            [red, green, blue] => Some(Self(red, green, blue)),
            _ => None,
        }
    }

    /// Relative luminance, 0 to 1.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// Contrast with another colour, 1 to 21.
    pub(super) fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour with so much of another in it, of 255.
    fn mixed(self, other: Self, share: u8) -> Self {
        let mix = |from: u8, to: u8| {
            let sum = u16::from(from) * u16::from(255 - share) + u16::from(to) * u16::from(share);
            u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
        };
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// The nearest colour on the way to `end`, itself included, that has the contrast of text with all the others; `end`
    /// when none has.
    pub(super) fn readable(self, on: &[Self], end: Self) -> Self {
        let enough = |colour: &Self| on.iter().all(|other| colour.contrast(*other) >= TEXT);
        (0..=u8::MAX).map(|share| self.mixed(end, share)).find(enough).unwrap_or(end)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// An edition's colour as the site uses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accent {
    /// Background of white text.
    pub(super) tile: Colour,
    /// Text on the light backgrounds.
    pub(super) light: Colour,
    /// Text on the dark backgrounds.
    pub(super) dark: Colour,
}

impl From<Colour> for Accent {
    fn from(colour: Colour) -> Self {
        Self {
            tile: colour.readable(&[WHITE], BLACK),
            light: colour.readable(&[LIGHT.page, LIGHT.surface], BLACK),
            dark: colour.readable(&[DARK.page, DARK.surface], WHITE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_definition() {
        assert!((WHITE.contrast(BLACK) - 21.0).abs() < 1e-9);
        assert!((WHITE.contrast(WHITE) - 1.0).abs() < 1e-9);
        // The lightest grey that passes on white, and the one after it.
        assert!(Colour::parse("#767676").unwrap().contrast(WHITE) >= TEXT);
        assert!(Colour::parse("#777777").unwrap().contrast(WHITE) < TEXT);
    }

    #[test]
    fn only_six_digits_are_a_colour() {
        assert_eq!(Colour::parse("#0A66c2"), Some(ACCENT));
        for wrong in ["", "#", "0a66c2", "#0a66c", "#0a66c2f", "#0a66cg", "#ab", "#é6c2a"] {
            assert_eq!(Colour::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_text_colour_is_read_on_every_background() {
        for scheme in [LIGHT, DARK] {
            for text in [scheme.ink, scheme.muted, scheme.link, scheme.fault] {
                for background in [scheme.page, scheme.surface] {
                    assert!(text.contrast(background) >= TEXT, "{text} on {background}");
                }
            }
        }
        for (text, background) in [(WHITE, BAR), (BAR_MUTED, BAR), (WHITE, ACCENT)] {
            assert!(text.contrast(background) >= TEXT, "{text} on {background}");
        }
    }

    #[test]
    fn every_edition_is_read_in_both_schemes() {
        for spec in aegis_editions::Spec::all().unwrap() {
            let accent = Accent::from(Colour::parse(&spec.colour.site).unwrap());
            assert!(WHITE.contrast(accent.tile) >= TEXT, "{} tile {}", spec.id, accent.tile);
            for background in [LIGHT.page, LIGHT.surface] {
                assert!(accent.light.contrast(background) >= TEXT, "{} {}", spec.id, accent.light);
            }
            for background in [DARK.page, DARK.surface] {
                assert!(accent.dark.contrast(background) >= TEXT, "{} {}", spec.id, accent.dark);
            }
        }
    }

    #[test]
    fn a_colour_that_can_be_read_stays() {
        assert_eq!(ACCENT.readable(&[WHITE], BLACK), ACCENT);
        let yellow = Colour::parse("#ffee00").unwrap();
        assert!(yellow.readable(&[WHITE], BLACK).contrast(WHITE) >= TEXT);
        // Nothing on the way to white is read on white.
        assert_eq!(yellow.readable(&[WHITE], WHITE), WHITE);
    }
}
