//! Whether this gateway may be sent traffic: conditions by name, each met by dropping its guard.
//!
//! Hold a [`Pending`] while you start; dropping it is the message. Draining makes the gateway not
//! ready at once and for good. Liveness is not here: a process that answers is alive.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Conditions named in a report; the rest are only counted.
const NAMED_MAX: usize = 10;

/// The conditions that stand between this process and its traffic. Without any it is ready, so the
/// first condition must be taken before the health port is served.
#[derive(Debug, Default)]
pub struct Readiness {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    pending: BTreeMap<u64, String>,
    draining: bool,
}

impl Readiness {
    /// Makes the gateway not ready until the guard is dropped. `what` completes "waiting for".
    #[must_use = "dropping it at once means there is nothing to wait for"]
    pub fn wait_for(self: &Arc<Self>, what: impl Into<String>) -> Pending {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.pending.insert(id, what.into());
        Pending { readiness: Arc::clone(self), id }
    }

    /// Makes the gateway not ready for good.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// How things stand.
    pub fn report(&self) -> Report {
        let state = self.lock();
        if state.draining {
            return Report::Draining;
        }
        if state.pending.is_empty() {
            return Report::Ready;
        }
        let named = state.pending.values().take(NAMED_MAX).cloned().collect();
        Report::Waiting { named, more: state.pending.len().saturating_sub(NAMED_MAX) }
    }

    /// A thread that panicked while holding the lock left nothing half done: each change is one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A condition not met yet. Dropping it meets it.
#[derive(Debug)]
pub struct Pending {
    readiness: Arc<Readiness>,
    id: u64,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.readiness.lock().pending.remove(&self.id);
    }
}

/// Whether to send traffic, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Send it.
    Ready,
    /// Not yet.
    Waiting {
        /// The oldest conditions not met.
        named: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// Not any more.
    Draining,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Draining => f.write_str("not ready: draining"),
            Self::Waiting { named, more } => {
                write!(f, "not ready: waiting for {}", named.join(", "))?;
                if *more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_must_be_met() {
        let readiness = Arc::new(Readiness::default());
        let listener = readiness.wait_for("a listener");
        let name = readiness.wait_for("the addresses of edition.cnn.com");
        assert_eq!(
            readiness.report().to_string(),
            "not ready: waiting for a listener, the addresses of edition.cnn.com"
        );
        drop(listener);
        assert_eq!(
            readiness.report().to_string(),
            "not ready: waiting for the addresses of edition.cnn.com"
        );
        drop(name);
        assert_eq!(readiness.report(), Report::Ready);
        let _reload = readiness.wait_for("a listener");
        assert_eq!(readiness.report().to_string(), "not ready: waiting for a listener");
    }

    #[test]
    fn draining_wins_and_lasts() {
        let readiness = Arc::new(Readiness::default());
        let pending = readiness.wait_for("a listener");
        readiness.drain();
        assert_eq!(readiness.report().to_string(), "not ready: draining");
        drop(pending);
        assert_eq!(readiness.report(), Report::Draining);
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let readiness = Arc::new(Readiness::default());
        let held: Vec<_> = (0..12).map(|n| readiness.wait_for(format!("n{n}"))).collect();
        let report = readiness.report().to_string();
        assert!(report.starts_with("not ready: waiting for n0, n1,"), "{report}");
        assert!(report.ends_with("n9 and 2 more"), "{report}");
        drop(held);
        assert_eq!(readiness.report(), Report::Ready);
    }
}
