//! What one upstream may have at once, over all lanes: connections, and who waits for one; requests; retries.
//!
//! There is none of this for an upstream without limits. A place that is given back goes to whoever has
//! waited longest, on whichever lane: only lanes can close what they keep, so a lane that keeps
//! connections for nobody is asked to give one up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use tokio::sync::Notify;

use crate::quota::{Place, Quota};

/// The counts of one upstream. Their maximums are its policy's.
#[derive(Debug, Default)]
pub struct Limits {
    /// Requests under way.
    pub requests: Arc<Quota>,
    /// Requests that are being tried again.
    pub retries: Arc<Quota>,
    connections: Arc<Quota>,
    waiting: Mutex<VecDeque<Arc<Waiter>>>,
    /// Rung when somebody begins to wait, and at the end.
    rung: Notify,
    over: AtomicBool,
}

/// Someone who waits for a connection.
#[derive(Debug)]
struct Waiter {
    /// Whose turn it is, or may be, looks again.
    call: Notify,
    /// A lane is a thread.
    lane: ThreadId,
}

/// Leave to have one connection, for as long as it is kept.
#[derive(Debug)]
pub struct ConnectionPlace {
    place: Option<Place>,
    limits: Arc<Limits>,
}

/// A place in the queue; dropping it leaves the queue.
#[derive(Debug)]
pub struct Ticket {
    waiter: Arc<Waiter>,
    limits: Arc<Limits>,
}

impl Limits {
    /// A place for one more connection; none when `max` are there.
    pub fn connection(limits: &Arc<Self>, max: u32) -> Option<ConnectionPlace> {
        let place = Quota::take(&limits.connections, max)?;
        Some(ConnectionPlace { place: Some(place), limits: Arc::clone(limits) })
    }

    /// Joins those who wait.
    pub fn queue(limits: &Arc<Self>) -> Ticket {
        let lane = std::thread::current().id();
        let waiter = Arc::new(Waiter { call: Notify::new(), lane });
        limits.lock().push_back(Arc::clone(&waiter));
        Ticket { waiter, limits: Arc::clone(limits) }
    }

    /// Whether nobody has waited for longer than the holder of a ticket, or at all.
    pub fn is_turn(&self, ticket: Option<&Ticket>) -> bool {
        match (self.lock().front(), ticket) {
            (None, _) => true,
            (Some(first), Some(ticket)) => Arc::ptr_eq(first, &ticket.waiter),
            (Some(_), None) => false,
        }
    }

    /// Whether whoever is next waits on another lane than this.
    pub fn is_wanted_elsewhere(&self) -> bool {
        self.lock().front().is_some_and(|first| first.lane != std::thread::current().id())
    }

    /// Asks all lanes for a connection that they keep.
    pub fn want(&self) {
        self.rung.notify_waiters();
    }

    /// Waits until whoever is next waits on another lane than this; `false`: the upstream is gone.
    pub async fn wanted(&self) -> bool {
        loop {
            let mut rung = std::pin::pin!(self.rung.notified());
            rung.as_mut().enable(); // before looking, so that no ring falls between
            if self.over.load(Ordering::Relaxed) {
                return false;
            }
            rung.await;
            if self.is_wanted_elsewhere() {
                return true;
            }
        }
    }

    /// Says that the upstream is gone.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.rung.notify_waiters();
    }

    /// Lets whoever is next look again.
    pub fn call_next(&self) {
        if let Some(first) = self.lock().front() {
            first.call.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPlace {
    /// Those that it is counted by.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }
}

impl Ticket {
    /// Waits for the call to look again. A call that came before is not lost.
    pub async fn called(&self) {
        self.waiter.call.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.limits.lock().retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
        self.limits.call_next(); // a call that this one did not answer goes on to the next
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.place = None;
        self.limits.call_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_goes_to_whoever_has_waited_longest() {
        let limits = Arc::new(Limits::default());
        let held = Limits::connection(&limits, 1).expect("the first");
        assert!(Limits::connection(&limits, 1).is_none());
        assert!(limits.is_turn(None), "nobody waits");
        let (first, second) = (Limits::queue(&limits), Limits::queue(&limits));
        assert!(limits.is_turn(Some(&first)));
        assert!(!limits.is_turn(Some(&second)) && !limits.is_turn(None));
        drop(held);
        first.called().await;
        let taken = Limits::connection(&limits, 1).expect("it is free");
        drop(first);
        second.called().await; // is asked to look, in vain
        assert!(limits.is_turn(Some(&second)) && Limits::connection(&limits, 1).is_none());
        drop(taken);
        second.called().await;
        assert!(Limits::connection(&limits, 1).is_some());
    }

    #[test]
    fn whoever_waits_elsewhere_is_told_apart() {
        let limits = Arc::new(Limits::default());
        let here = Limits::queue(&limits);
        assert!(!limits.is_wanted_elsewhere());
        drop(here);
        let there = std::thread::scope(|scope| scope.spawn(|| Limits::queue(&limits)).join());
        let there = there.expect("no panic");
        assert!(limits.is_wanted_elsewhere());
        drop(there);
        assert!(!limits.is_wanted_elsewhere());
    }
}
