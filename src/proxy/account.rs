//! One request counted and told of, however it ends.
//!
//! Where it is told (counters, the access log) is the lane's business.

use std::rc::Rc;

use super::lane::Lane;
use crate::downstream::Client;
use crate::model::Failure;
use crate::observe::{Noted, Record, RequestFacts};

/// What there is to tell of one request. It is told when the request ends, and also when it never does:
/// what is still under way when the lane ends is dropped, and so is this.
pub struct Account<'s> {
    /// The facts.
    pub record: Record<'s>,
    noted: Option<Noted>,
    lane: &'s Rc<Lane>,
    closed: bool,
}

impl<'s> Account<'s> {
    /// For a request that begins now, and is under way until the account is dropped.
    pub fn open<'h>(
        client: &Client<'_>,
        facts: impl FnOnce() -> RequestFacts<'h>,
        lane: &'s Rc<Lane>,
    ) -> Self {
        lane.stats.borrow_mut().request_began();
        let ends = client.ends();
        let record = Record::begin(lane.time_told(), ends.peer, ends.local);
        Self { record, noted: lane.note(facts), lane, closed: false }
    }

    /// The request has come to its end, whatever that is; what is told goes out with the account.
    pub fn close(&mut self) {
        self.closed = true;
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.record.failed(&Failure::Stopped);
        }
        self.lane.observe(&self.record, self.noted.take());
    }
}
