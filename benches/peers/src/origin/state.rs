//! What an origin counts, and the requests it keeps waiting.

use std::cell::RefCell;
use std::rc::Rc;

use rustls::{HandshakeKind, ServerConnection};
use tokio::sync::Notify;

use crate::work::Counts;

/// The state of one origin, which is one thread.
#[derive(Default)]
pub struct State {
    counts: RefCell<Counts>,
    released: Notify,
}

/// An open connection, for as long as this is kept.
pub struct Open(Rc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counts.borrow_mut().open -= 1;
    }
}

impl State {
    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    /// A connection was accepted.
    pub fn accepted(&self) {
        self.counts.borrow_mut().accepted += 1;
    }

    /// A connection is open until what this gives is dropped.
    pub fn open(self: &Rc<Self>) -> Open {
        self.counts.borrow_mut().open += 1;
        Open(Rc::clone(self))
    }

    /// A handshake came to its end.
    pub fn shaken(&self, session: &ServerConnection) {
        let mut counts = self.counts.borrow_mut();
        match session.handshake_kind() {
            Some(HandshakeKind::Resumed) => counts.resumed += 1,
            _ => counts.full += 1,
        }
        if let Some(group) = session.negotiated_key_exchange_group() {
            *counts.groups.entry(format!("{:?}", group.name())).or_default() += 1;
        }
    }

    /// Waits until it is let go.
    pub async fn hold(&self) {
        let released = self.released.notified(); // hears of it from here on
        self.counts.borrow_mut().held += 1;
        released.await;
    }

    /// Lets all that wait go on.
    pub fn release(&self) {
        self.counts.borrow_mut().held = 0;
        self.released.notify_waiters();
    }
}
