//! The session of the person at the machine: it stays awake, and Ctrl-C asks.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use windows_sys::Win32::System::{
    Console::SetConsoleCtrlHandler,
    Power::{ES_CONTINUOUS, ES_SYSTEM_REQUIRED, SetThreadExecutionState},
};

/// Keeps the machine from going to sleep, as long as the thread that asked for it lives and this is not dropped.
#[derive(Debug)]
pub struct Awake(());

impl Awake {
    /// Begins.
    ///
    /// # Errors
    /// When Windows refuses.
    pub fn keep() -> io::Result<Self> {
        // SAFETY: no pointers.
        match unsafe { SetThreadExecutionState(ES_CONTINUOUS | ES_SYSTEM_REQUIRED) } {
            0 => Err(io::Error::other("Windows refused to stay awake")),
            _ => Ok(Self(())),
        }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // SAFETY: no pointers. That it fails would only keep the machine awake until the program ends.
        unsafe { SetThreadExecutionState(ES_CONTINUOUS) };
    }
}

/// Ctrl-C, which does not end the program while this is there.
#[derive(Debug)]
pub struct Interrupts(());

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

unsafe extern "system" fn note_interrupt(_event: u32) -> i32 {
    INTERRUPTED.store(true, Ordering::Relaxed);
    1
}

impl Interrupts {
    /// Begins.
    ///
    /// # Errors
    /// When Windows refuses.
    pub fn take() -> io::Result<Self> {
        // SAFETY: the function only stores a value, as any thread may.
        match unsafe { SetConsoleCtrlHandler(Some(note_interrupt), 1) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(Self(())),
        }
    }

    /// Whether somebody pressed it, or closed the window.
    pub fn came(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // SAFETY: it is the function that was given.
        unsafe { SetConsoleCtrlHandler(Some(note_interrupt), 0) };
    }
}
