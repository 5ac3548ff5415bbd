//! What tells the process to stop.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::drain::Asked;

/// The signals that stop a process, and the admin port.
pub struct Stops {
    interrupt: Signal,
    terminate: Signal,
    /// From the admin port.
    pub quit: Arc<Notify>,
}

impl Stops {
    /// Catches the signals from now on. Errors: they cannot be caught.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: Arc::default(),
        })
    }

    /// Waits until a stop is asked for.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            () = self.quit.notified() => Asked::Gently,
            _ = self.terminate.recv() => Asked::Gently,
            _ = self.interrupt.recv() => Asked::AtOnce,
        }
    }

    /// Waits until a signal asks for it.
    pub async fn next_signal(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
