//! The threads of a run: engines at work, and one that listens for devices.

#[cfg(target_os = "linux")]
use std::{io::PipeReader, os::fd::AsFd};
use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread::Scope,
};

#[cfg(target_os = "linux")]
use aegis_hw::watch::{Change, End, Watch};

use super::{
    engine::{self, Observer, Options, Order, Target},
    image::ImageFile,
    outcome::{Event, Outcome},
};
#[cfg(target_os = "linux")]
use crate::error::Error;

/// What the threads tell.
pub(super) enum Message {
    /// A device went on; it is named by its number in the run.
    Progress(Event),
    /// A device ended.
    Ended(usize, Outcome),
    /// Devices came, went or changed.
    #[cfg(target_os = "linux")]
    Changes(Vec<Change>),
    /// Nobody listens any more.
    #[cfg(target_os = "linux")]
    Deaf(Error),
}

/// Devices that get the same image from one engine.
pub(super) struct Job<'b> {
    pub(super) image: &'b ImageFile,
    /// With their numbers in the run.
    pub(super) targets: Vec<(usize, Box<Target>)>,
    pub(super) options: Options,
}

/// Starts threads.
pub(super) struct Crew<'scope, 'env> {
    pub(super) scope: &'scope Scope<'scope, 'env>,
    /// Whether the engines are to stop.
    pub(super) stop: &'env AtomicBool,
    pub(super) messages: Sender<Message>,
}

impl<'scope, 'env> Crew<'scope, 'env> {
    /// Writes.
    pub(super) fn work(&self, job: Job<'env>) {
        let (messages, stop) = (self.messages.clone(), self.stop);
        self.scope.spawn(move || {
            let Job { image, targets, options } = job;
            let (numbers, targets): (Vec<usize>, Vec<Box<Target>>) = targets.into_iter().unzip();
            let mut relay = Relay { numbers, messages, stop };
            engine::flash_each(&Order { image, targets: &targets, options }, &mut relay);
        });
    }

    /// Tells of devices until the other end of the pipe is closed.
    #[cfg(target_os = "linux")]
    pub(super) fn listen(&self, mut watch: Watch<'env>, listening: PipeReader) {
        let messages = self.messages.clone();
        self.scope.spawn(move || {
            loop {
                let message = match watch.wait(&[End::Readable(listening.as_fd())]) {
                    Ok(None) => return,
                    Ok(Some(changes)) => Message::Changes(changes),
                    Err(error) => Message::Deaf(error.into()),
                };
                let last = matches!(message, Message::Deaf(_));
                if messages.send(message).is_err() || last {
                    return;
                }
            }
        });
    }

    /// Has the engines stop.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Passes on what an engine tells, with the numbers of the run.
struct Relay<'env> {
    numbers: Vec<usize>,
    messages: Sender<Message>,
    stop: &'env AtomicBool,
}

impl Observer for Relay<'_> {
    fn report(&mut self, event: Event) -> bool {
        let event = Event { device: self.numbers[event.device], ..event };
        self.messages.send(Message::Progress(event)).is_ok() && !self.stop.load(Ordering::Relaxed)
    }

    fn ended(&mut self, device: usize, outcome: Outcome) {
        // Who no longer receives has ended too.
        let _ = self.messages.send(Message::Ended(self.numbers[device], outcome));
    }
}
