//! Pictures of screens at two sizes and in three sorts of terminal, compared with `tests/snapshots`.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p aegis-installer --test screens --test dialog` writes them anew; read the difference before
//! it is kept.

use std::{fmt::Write, fs, path::PathBuf};

use aegis_installer::tui::theme::{Palette, Theme};
use ratatui::{Frame, Terminal, backend::TestBackend, buffer::Buffer, style::Style};

pub(crate) const THEMES: [(&str, Theme); 3] = [
    ("rich", Theme { palette: Palette::Rich([0, 0x66, 0x99]), unicode: true }),
    ("sixteen", Theme { palette: Palette::Sixteen, unicode: false }),
    ("mono", Theme { palette: Palette::Mono, unicode: false }),
];

const SIZES: [(u16, u16); 2] = [(80, 24), (40, 12)];

pub(crate) fn render(
    draw: &dyn Fn(Theme, &mut Frame<'_>),
    theme: Theme,
    size: (u16, u16),
) -> (Buffer, Option<(u16, u16)>) {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(theme, frame)).unwrap();
    let position = terminal.get_cursor_position().unwrap();
    (terminal.backend().buffer().clone(), Some((position.x, position.y)))
}

/// The text, then the runs of equal style, then the cursor.
pub(crate) fn picture(buffer: &Buffer, cursor: Option<(u16, u16)>) -> String {
    let (mut text, mut styles) = (String::new(), String::new());
    for y in 0..buffer.area.height {
        let mut runs: Vec<(Style, u16, u16)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            text.push_str(cell.symbol());
            match runs.last_mut() {
                Some((style, _, end)) if *style == cell.style() => *end = x,
                _ => runs.push((cell.style(), x, x)),
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
        for (style, start, end) in runs.iter().filter(|(style, _, _)| *style != plain()) {
            let (fg, bg) = (style.fg.unwrap_or_default(), style.bg.unwrap_or_default());
            writeln!(styles, "{y}:{start}-{end} {fg} on {bg} {:?}", style.add_modifier).unwrap();
        }
    }
    format!("{text}--- styles\n{styles}--- cursor {cursor:?}\n")
}

fn plain() -> Style {
    ratatui::buffer::Cell::EMPTY.style()
}

/// Compares the pictures of a screen at each size and in each sort of terminal with those that are kept.
pub(crate) fn check(name: &str, draw: &dyn Fn(Theme, &mut Frame<'_>)) {
    for size in SIZES {
        for (palette, theme) in THEMES {
            let (buffer, cursor) = render(draw, theme, size);
            let found = picture(&buffer, cursor);
            assert!(!found.contains('\x1b') && !found.contains('\u{202e}'), "hostile text in {name}");
            if !theme.unicode {
                assert!(found.is_ascii(), "{name} has more than ASCII:\n{found}");
            }
            let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "snapshots"].iter().collect();
            let path = path.join(format!("{name}-{}x{}-{palette}.txt", size.0, size.1));
            if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &found).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(expected == found, "{} differs from\n{found}", path.display());
        }
    }
}
