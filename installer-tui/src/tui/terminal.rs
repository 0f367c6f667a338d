//! The terminal: raw while the screens are shown, as it was afterwards, also after a panic.

use std::{
    io::{self, Stdout, Write},
    panic, thread,
};

use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event, execute,
        terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
    },
    layout::Rect,
};

use crate::{error::Error, tui::keys::Key};

/// Size of a terminal that does not say its own, such as one at the end of a serial line.
const ASSUMED: (u16, u16) = (80, 24);

/// A terminal that is restored when dropped.
pub struct Screens {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screens {
    /// Takes the terminal over. `size` replaces what it says of itself.
    pub fn open(size: Option<(u16, u16)>) -> Result<Self, Error> {
        terminal::enable_raw_mode().map_err(Error::Terminal)?;
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
        execute!(io::stdout(), EnterAlternateScreen).map_err(Error::Terminal)?;
        let known = terminal::size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0);
        let viewport = match (size, known) {
            (Some((columns, rows)), _) => Viewport::Fixed(Rect::new(0, 0, columns, rows)),
            (None, None) => Viewport::Fixed(Rect::new(0, 0, ASSUMED.0, ASSUMED.1)),
            (None, Some(_)) => Viewport::Fullscreen,
        };
        let options = TerminalOptions { viewport };
        let terminal = Terminal::with_options(CrosstermBackend::new(io::stdout()), options);
        Ok(Self { terminal: terminal.map_err(Error::Terminal)? })
    }

    /// Draws what has changed.
    pub fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> Result<(), Error> {
        self.terminal.draw(draw).map(drop).map_err(Error::Terminal)
    }

    /// Draws everything the next time.
    pub fn forget(&mut self) -> Result<(), Error> {
        self.terminal.clear().map_err(Error::Terminal)
    }
}

/// What comes from a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// It has another size.
    Resized,
    /// It is gone.
    Closed,
}

/// Listens in a thread of its own that ends with the program, or when `tell` says that nobody wants to know any more.
pub fn listen(tell: impl Fn(Input) -> bool + Send + 'static) {
    thread::spawn(move || {
        while let Ok(read) = event::read() {
            let input = match read {
                event::Event::Key(key) => Key::from_terminal(key).map(Input::Key),
                event::Event::Resize(_, _) => Some(Input::Resized),
                _ => None,
            };
            if input.is_some_and(|input| !tell(input)) {
                return;
            }
        }
        tell(Input::Closed);
    });
}

impl Drop for Screens {
    fn drop(&mut self) {
        restore();
    }
}

/// Errors are of no use here: either the terminal is gone, or the next program sets it up again.
fn restore() {
    let _ = terminal::disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = io::stdout().flush();
}
