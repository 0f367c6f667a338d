//! Colours and glyphs that the terminal can show.

use ratatui::style::{Color, Modifier, Style};

/// How much colour there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Any colour; this one, as red, green and blue, is the edition's.
    Rich([u8; 3]),
    /// The sixteen colours of a PC console.
    Sixteen,
    /// None: bold and reversed text only.
    Mono,
}

/// Colours and glyphs. What matters is never shown by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours.
    pub palette: Palette,
    /// Lines and bars may use characters beyond ASCII.
    pub unicode: bool,
}

/// The parts of the environment that say what a terminal can do.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `TERM`.
    pub term: String,
    /// `COLORTERM`.
    pub colorterm: String,
    /// `NO_COLOR` is set to something; see no-color.org.
    pub no_color: bool,
    /// The first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set.
    pub locale: String,
}

impl Environment {
    /// Of this process.
    pub fn read() -> Self {
        let get = |name: &str| std::env::var(name).unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(get).into_iter().find(|value| !value.is_empty());
        Self {
            term: get("TERM"),
            colorterm: get("COLORTERM"),
            no_color: !get("NO_COLOR").is_empty(),
            locale: locale.unwrap_or_default(),
        }
    }
}

impl Theme {
    /// Chooses for a terminal; `accent` is the edition's colour as `#rrggbb`.
    pub fn choose(environment: &Environment, accent: &str) -> Self {
        let term = environment.term.as_str();
        let plain = environment.no_color || matches!(term, "" | "dumb" | "unknown") || term.starts_with("vt");
        let rich = matches!(environment.colorterm.as_str(), "truecolor" | "24bit");
        let palette = match (plain, rich, rgb(accent)) {
            (true, _, _) => Palette::Mono,
            (false, true, Some(colour)) => Palette::Rich(colour),
            _ => Palette::Sixteen,
        };
        let locale = environment.locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        // The fonts of the PC console and of serial terminals lack most of what Unicode has.
        let narrow = plain && !environment.no_color || matches!(term, "linux" | "ansi");
        Self { palette, unicode: utf8 && !narrow }
    }

    fn coloured(self, rich: impl FnOnce([u8; 3]) -> Style, sixteen: Style, mono: Style) -> Style {
        match self.palette {
            Palette::Rich(accent) => rich(accent),
            Palette::Sixteen => sixteen,
            Palette::Mono => mono,
        }
    }

    /// The line at the top.
    pub fn title(self) -> Style {
        let base = Style::new().add_modifier(Modifier::BOLD);
        self.coloured(
            |[r, g, b]| base.fg(Color::Rgb(255, 255, 255)).bg(Color::Rgb(r, g, b)),
            base.fg(Color::White).bg(Color::Blue),
            Style::new().add_modifier(Modifier::REVERSED),
        )
    }

    /// What has the focus.
    pub fn focus(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What cannot be chosen; a word or a mark says so too.
    pub fn refused(self) -> Style {
        let grey = Style::new().fg(Color::DarkGray);
        self.coloured(|_| grey, grey, Style::new())
    }

    /// Danger and failures; a word says so too.
    pub fn danger(self) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        self.coloured(|_| bold.fg(Color::LightRed), bold.fg(Color::LightRed), bold)
    }

    /// Success; a word says so too.
    pub fn success(self) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        self.coloured(|_| bold.fg(Color::LightGreen), bold.fg(Color::LightGreen), bold)
    }

    /// Headings within the body.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Full and empty cell of a bar.
    pub fn bar(self) -> (&'static str, &'static str) {
        if self.unicode { ("█", "░") } else { ("#", ".") }
    }

    /// A horizontal line.
    pub fn line(self) -> &'static str {
        if self.unicode { "─" } else { "-" }
    }
}

fn rgb(text: &str) -> Option<[u8; 3]> {
    aegis_core::hex::decode(text.strip_prefix('#')?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(term: &str, colorterm: &str, no_color: bool, locale: &str) -> (Palette, bool) {
        let environment =
            Environment { term: term.into(), colorterm: colorterm.into(), no_color, locale: locale.into() };
        let theme = Theme::choose(&environment, "#006699");
        (theme.palette, theme.unicode)
    }

    #[test]
    fn terminals() {
        let rich = Palette::Rich([0, 0x66, 0x99]);
        assert_eq!(choose("xterm-256color", "truecolor", false, "de_DE.UTF-8"), (rich, true));
        assert_eq!(choose("xterm", "", false, "C.UTF-8"), (Palette::Sixteen, true));
        assert_eq!(choose("xterm", "", false, "C"), (Palette::Sixteen, false));
        assert_eq!(choose("linux", "", false, "C.UTF-8"), (Palette::Sixteen, false));
        assert_eq!(choose("vt220", "", false, "C.UTF-8"), (Palette::Mono, false));
        assert_eq!(choose("", "", false, ""), (Palette::Mono, false));
        assert_eq!(choose("xterm", "truecolor", true, "C.UTF-8"), (Palette::Mono, true));
    }
}
