//! Everything the front-door tests stand on: a real gateway process, real origins, a real name server, real clients.
//!
//! Nothing here knows how the gateway is built: it is started as a user starts it, and watched through
//! its ports, its two outputs and its exit code.
//!
//! Tests are plain functions. Waiting is always for something to be seen, and `PATIENCE` bounds it:
//! whoever waits longer has failed.

pub mod article;
pub mod certs;
pub mod client;
pub mod command;
pub mod dns;
pub mod envoy;
pub mod frames;
pub mod gateway;
pub mod http1;
pub mod http2;
pub mod origin;
pub mod setup;

use std::future::Future;
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

pub use client::{Client, H2Client, Response, get};
pub use command::{curl, egret};
pub use dns::{Answer, Dns};
pub use gateway::Gateway;
pub use origin::{Origin, Scripted, Tls};
pub use setup::Setup;

/// How long a test waits for anything before it has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The runtime that origins and HTTP/2 clients of all tests run on.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
    })
}

/// Runs a future to its end, or fails the test after `PATIENCE`.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(async {
        tokio::time::timeout(PATIENCE, future).await.expect("within the patience of a test")
    })
}

/// Something that threads add to and tests wait upon.
pub struct Watched<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T: Default> Default for Watched<T> {
    fn default() -> Self {
        Self { state: Mutex::new(T::default()), changed: Condvar::new() }
    }
}

impl<T> Watched<T> {
    /// Changes the state and wakes those who wait.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Looks at the state.
    pub fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Waits until `found` finds something; `None` after `PATIENCE`.
    pub fn wait_for<R>(&self, mut found: impl FnMut(&T) -> Option<R>) -> Option<R> {
        let end = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            if let Some(result) = found(&state) {
                return Some(result);
            }
            let left = end.checked_duration_since(Instant::now())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .map(|(state, _)| state)
                .unwrap_or_else(|poisoned| poisoned.into_inner().0);
        }
    }

    // A test that failed while it held the lock has said so already; its state is still readable.
    fn lock(&self) -> std::sync::MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Asks again and again until the answer is `Some`; for what can be asked but not waited upon.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
