//! The two faces on a terminal.

use std::{
    io::{self, BufRead, Write},
    sync::mpsc::Sender,
    thread,
    time::Instant,
};

use super::{Face, Input};
use crate::{
    error::Error,
    flash::dialog::{
        draw,
        linear::{self, Linear, Reply},
        screen::{Answer, Screen},
        state::{Event, State},
    },
    tui::{
        terminal::{self, Screens},
        theme::Theme,
    },
};

/// Screens.
pub struct FullScreen {
    screens: Screens,
    theme: Theme,
    /// What devices ended as, to be left behind.
    ended: String,
}

impl FullScreen {
    /// Takes the terminal over. `size` replaces what it says of itself.
    pub fn open(size: Option<(u16, u16)>, theme: Theme) -> Result<Self, Error> {
        Ok(Self { screens: Screens::open(size)?, theme, ended: String::new() })
    }

    /// Gives the terminal back, and leaves what devices ended as behind in it.
    ///
    /// # Errors
    /// When the terminal fails.
    pub fn close(self) -> Result<(), Error> {
        let Self { screens, ended, .. } = self;
        drop(screens);
        print(&ended)
    }
}

impl Face for FullScreen {
    fn listen(&self, sender: Sender<Input>) -> Result<(), Error> {
        terminal::listen(move |input| {
            let event = match input {
                terminal::Input::Key(key) => Event::Key(key),
                terminal::Input::Resized => Event::Resized,
                terminal::Input::Closed => Event::Closed,
            };
            sender.send(Input::Event(event)).is_ok()
        });
        Ok(())
    }

    fn show(&mut self, state: &State) -> Result<(), Error> {
        if let Screen::Done(done) = &state.screen {
            self.ended = linear::ended(done);
        }
        self.screens.draw(|frame| draw::draw(state, self.theme, frame))
    }

    fn forget(&mut self) -> Result<(), Error> {
        self.screens.forget()
    }

    fn answers(&mut self, _state: &State, _line: &str) -> Vec<Answer> {
        Vec::new()
    }
}

/// Questions and answers in lines.
pub struct Lines {
    linear: Linear,
    begun: Instant,
}

impl Default for Lines {
    fn default() -> Self {
        Self { linear: Linear::default(), begun: Instant::now() }
    }
}

impl Face for Lines {
    fn listen(&self, sender: Sender<Input>) -> Result<(), Error> {
        interrupts(sender.clone())?;
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(Input::Line(line)).is_err() {
                    return;
                }
            }
            let _ = sender.send(Input::Event(Event::Closed));
        });
        Ok(())
    }

    fn show(&mut self, state: &State) -> Result<(), Error> {
        print(&self.linear.after(state, self.begun.elapsed()))
    }

    fn forget(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn answers(&mut self, state: &State, line: &str) -> Vec<Answer> {
        match self.linear.answer(state, line) {
            Reply::Answers(answers) => answers,
            Reply::Say(text) => {
                // A terminal that is gone is noticed by the one who reads from it.
                let _ = print(&text);
                Vec::new()
            }
        }
    }
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Terminal)
}

/// Ctrl-C asks, in place of ending the program.
#[cfg(target_os = "linux")]
fn interrupts(sender: Sender<Input>) -> Result<(), Error> {
    use nix::sys::signal::{SigSet, Signal};
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    // Threads that are started later inherit it.
    set.thread_block().map_err(|code| Error::Terminal(code.into()))?;
    thread::spawn(move || {
        while set.wait().is_ok() {
            if sender.send(Input::Event(Event::Answer(Answer::Leave))).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Ctrl-C ends the program; what was being written does not start then.
#[cfg(not(target_os = "linux"))]
fn interrupts(_sender: Sender<Input>) -> Result<(), Error> {
    Ok(())
}
